"""core/SelfTest.hpp: passes as generated, and reports what differs after a change."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.emit.write import MODULE
from px4_tinyml.targets.px4.golden_vectors import _choose, feed, steps


def run(program: Path) -> tuple[int, str]:
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_it_passes_as_generated(tree: Path, compiled: Callable[..., Path], compiler: str) -> None:
    assert run(compiled(tree, "selftest.cpp", compiler)) == (0, "")


def test_the_feed_is_hard_enough(bundles: dict[str, ModelBundle]) -> None:
    """Every class is an output, and decisions are made with and without a barometer, after each fault."""
    bundle = bundles["pretrained"]
    inputs, outputs = _choose(bundle)
    assert sorted(outputs.argmax(axis=1)) == [0, 1, 2, 3]
    events = feed(bundle.spec, inputs, steps(bundle.spec, read_model(bundle.model).input.scale))
    done = bundle.classifier().run(events)
    assert done.counts["reset_non_finite"] == done.counts["reset_backwards"] == 1
    assert {0, 4} <= {int(f) & 6 for f in done.decisions["flags"]} and np.any(done.decisions["flags"] & 1)
    assert len(np.unique(done.decisions["class_index"])) >= 2


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "found"),
    [
        ("GoldenVectors.cpp", r"(kOutput.*?\n\t\{)(-?\d+)", r"\g<1>99", "vector 0: level is "),
        ("GoldenVectors.cpp", r"(kExpected.*?\n.*?\n\t\{\d+, \d+, )(\d+)", r"\g<1>1", "decision 1: confidence is "),
        ("GoldenVectors.hpp", r"(kDecisions = )\d+", r"\g<1>2", "decision 2: more than expected is 1"),
        ("GoldenVectors.hpp", r"(kDecisions = )\d+", r"\g<1>99", "number of decisions is "),
        ("GoldenVectors.cpp", r"(kMixtureOutput.*?\n\t\{)(-?\d+)", r"\g<1>99", "mixture 0: level is "),
        ("GoldenVectors.cpp", r"(kMixture\[\].*?\n\t\{\d, \d, )(\d+)", r"\g<1>1", "mixture "),
        ("MotionSpec.hpp", r"(smoothing_q8 = )\d+", r"\g<1>120", "decision 1: confidence is "),
        ("MotionSpec.hpp", r"(baro_lag_slots = )\d+", r"\g<1>3", "decision "),
    ],
)
def test_a_difference_is_found(
    trees: dict[str, Path],
    tmp_path: Path,
    compiled: Callable[..., Path],
    file: str,
    pattern: str,
    replacement: str,
    found: str,
) -> None:
    folder = tmp_path / "tree"
    shutil.copytree(trees["pretrained"], folder)
    path = folder / MODULE / "model" / file
    text, changes = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.DOTALL)
    assert changes == 1
    path.write_text(text)
    code, output = run(compiled(folder, "selftest.cpp", sanitized=False))
    assert code == 1 and found in output
