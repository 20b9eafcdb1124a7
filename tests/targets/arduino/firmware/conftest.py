"""A bundle, the sketch generated from it, and the node built from the sketch for this computer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from reference_models import reference_bundle

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.toolchain import build_once, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.targets.arduino.generate import SKETCH, arduino_files

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from pc_node import PcNode  # noqa: E402

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")
FLAGS = ("-std=c++14", "-fno-exceptions", "-fno-rtti", *WARNINGS)
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """The conv model, whose most frequent outputs are its second and third label."""
    return reference_bundle("conv", labels=("level", "turbulence", "climb", "descend"))


@pytest.fixture(scope="session")
def sketch(bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of motion_node.ino, for the generic board."""
    folder = tmp_path_factory.mktemp("sketch")
    write_tree(folder, arduino_files(bundle, "generic"))
    return folder / SKETCH


@pytest.fixture(scope="session")
def build(cxx: list[str], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(folder of the sketch, main file, sources relative to src): a program, with sanitizers, made once a run."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "node-cache"

    def make_program(sketch: Path, main: Path, sources: Sequence[str]) -> Path:
        src = sketch / "src"
        texts = [path.read_bytes() for path in sorted(src.rglob("*")) if path.is_file()]

        def make(work: Path) -> Path:
            product = work / "product"
            product.mkdir()
            files = [str(main), *(str(src / source) for source in sources)]
            run_tool([*cxx, *FLAGS, *SANITIZERS, "-I", str(src), *files, "-o", str(product / "program")])
            return product

        return build_once("pc", (cxx, main.read_bytes(), list(sources), texts), make, cache) / "program"

    return make_program


def node_sources(sketch: Path) -> list[str]:
    src = sketch / "src"
    return sorted(
        path.relative_to(src).as_posix() for folder in ("node", "model") for path in (src / folder).glob("*.cpp")
    )


@pytest.fixture(scope="session")
def program(build: Build, sketch: Path) -> Path:
    """The node behind the test double of a board."""
    return build(sketch, HERE / "pc_board.cpp", node_sources(sketch))


@pytest.fixture
def node(program: Path) -> Iterator[PcNode]:
    made = PcNode(program)
    try:
        yield made
        made.close()
    finally:
        made.process.kill()
        made.process.wait()
