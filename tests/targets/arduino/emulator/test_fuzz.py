"""A million inputs into the node from outside, under sanitizers (fuzz_receive.cpp)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from toolchains import missing, need

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.toolchain import build_once, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.arduino.generate import SKETCH, arduino_files

MAIN = Path(__file__).resolve().parent / "fuzz_receive.cpp"
FLAGS = ("-std=c++14", "-O2", "-g1", "-fno-exceptions", "-fno-rtti", "-fno-sanitize-recover=all")
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")
SANITIZERS = "address,undefined"
SEEDS, INPUTS = range(4), 250_000


def build_fuzzer(bundle: ModelBundle, command: Sequence[str], cache: Path) -> Path:
    files = arduino_files(bundle, "generic")

    def make(work: Path) -> Path:
        write_tree(work, files)
        src = work / SKETCH / "src"
        sources = [str(path) for folder in ("node", "model") for path in sorted((src / folder).glob("*.cpp"))]
        (work / "product").mkdir()
        run_tool([*command, "-I", str(src), str(MAIN), *sources, "-o", str(work / "product" / "fuzz")])
        return work / "product"

    return build_once("fuzz", (command, MAIN.read_bytes(), sorted(files.items())), make, cache) / "fuzz"


@pytest.fixture(scope="module")
def fuzzer(bundle: ModelBundle, cache: Path, cxx: list[str]) -> Path:
    return build_fuzzer(bundle, [*cxx, *FLAGS, *WARNINGS, f"-fsanitize={SANITIZERS}"], cache)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_million_inputs(fuzzer: Path, seed: int) -> None:
    done = subprocess.run(
        [fuzzer, str(seed), str(INPUTS)], capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    # It got past the checksums, and the node went on with its work.
    found = re.fullmatch(r"(\d+) inputs, (\d+) frames received, (\d+) sent, (\d+) decisions\n", done.stdout)
    assert found
    inputs, received, sent, decisions = map(int, found.groups())
    assert inputs == INPUTS
    assert received > INPUTS / 3 and sent > INPUTS / 2 and decisions > 1000


def test_libfuzzer(bundle: ModelBundle, cache: Path, tmp_path: Path) -> None:
    """The same, led by what is covered, where clang has it. A longer run is `fuzz -runs=…` by hand."""
    need("clang++")
    command = ["clang++", *FLAGS, "-DLIBFUZZER", f"-fsanitize=fuzzer,{SANITIZERS}"]
    try:
        program = build_fuzzer(bundle, command, cache)
    except ToolchainError as error:
        if "clang_rt" not in str(error):
            raise
        missing("this clang++ has no libFuzzer: apt-get install libclang-rt-14-dev")
    done = subprocess.run(
        [program, "-runs=20000", "-seed=1", "-max_len=400"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 20000 runs" in done.stderr
