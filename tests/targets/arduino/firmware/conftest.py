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
sys.path.insert(0, str(HERE.parent))
from pc_node import PcNode  # noqa: E402

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")
FLAGS = ("-std=c++14", "-g1", "-fno-exceptions", "-fno-rtti", "-fno-sanitize-recover=all", *WARNINGS)
SANITIZERS = "address,undefined"

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """The conv model; it reports the second and the third of its labels most often."""
    return reference_bundle("conv", labels=("level", "turbulence", "climb", "descend"))


@pytest.fixture(scope="session")
def sketch(bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of motion_node.ino, for the generic board."""
    folder = tmp_path_factory.mktemp("sketch")
    write_tree(folder, arduino_files(bundle, "generic"))
    return folder / SKETCH


@pytest.fixture(scope="session")
def build(cxx: list[str], sketch: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(main file, sources relative to the sketch's src): a program, with sanitizers, made once a run."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "node-cache"
    src = sketch / "src"

    def make_program(
        main: str, sources: Sequence[str] | None = None, flags: Sequence[str] = ("-O1",),
        compiler: Sequence[str] = cxx, sanitizers: str = SANITIZERS,
    ) -> Path:  # fmt: skip
        paths = [src / name for name in sources] if sources else node_sources(sketch)
        command = [*compiler, *FLAGS, *flags, f"-fsanitize={sanitizers}", "-I", str(src), str(HERE / main)]

        def make(work: Path) -> Path:
            product = work / "product"
            product.mkdir()
            run_tool([*command, *map(str, paths), "-o", str(product / "program")])
            return product

        return build_once("pc", (command[:-3], main, sources), make, cache) / "program"

    return make_program


def node_sources(sketch: Path) -> list[Path]:
    """Everything but the board: the node and its model."""
    return sorted(path for folder in ("node", "model") for path in (sketch / "src" / folder).glob("*.cpp"))


@pytest.fixture(scope="session")
def program(build: Build) -> Path:
    """The node behind the test double of a board."""
    return build("pc_board.cpp")


@pytest.fixture
def node(program: Path) -> Iterator[PcNode]:
    node = PcNode(program)
    yield node
    node.close()
