"""A million inputs into the node from outside, under sanitizers (fuzz_receive.cpp)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchains import missing, need

from px4_tinyml.errors import ToolchainError

SEEDS, INPUTS = range(4), 250_000


@pytest.mark.parametrize("seed", SEEDS)
def test_a_million_inputs(build: Callable[..., Path], seed: int) -> None:
    fuzzer = build("fuzz_receive.cpp", flags=["-O2"])
    done = subprocess.run(
        [fuzzer, str(seed), str(INPUTS)], capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    # Frames pass the checksums, and the node keeps working.
    found = re.fullmatch(r"(\d+) inputs, (\d+) frames received, (\d+) sent, (\d+) decisions\n", done.stdout)
    assert found
    inputs, received, sent, decisions = map(int, found.groups())
    assert inputs == INPUTS
    assert received > INPUTS / 3 and sent > INPUTS / 2 and decisions > 1000


def test_libfuzzer(build: Callable[..., Path], tmp_path: Path) -> None:
    """The same, guided by coverage, where clang has it. A longer run is `program -runs=…` by hand."""
    need("clang++")
    try:
        fuzzer = build(
            "fuzz_receive.cpp", None, ["-O2", "-DLIBFUZZER"], ["clang++"], "fuzzer,address,undefined"
        )  # fmt: skip
    except ToolchainError as error:
        if "clang_rt" not in str(error):
            raise
        missing("this clang++ has no libFuzzer: apt-get install libclang-rt-14-dev")
    done = subprocess.run(
        [fuzzer, "-runs=20000", "-seed=1", "-max_len=400"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 20000 runs" in done.stderr
