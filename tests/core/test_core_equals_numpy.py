"""The C++ core against the NumPy reference: every int8 and every field of every decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.classify.decision import DECISION_FIELDS
from px4_tinyml.replay.host import run_host

WARNINGS = ["-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Wfloat-equal", "-Werror"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *WARNINGS]
CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""


def assert_same(got, want) -> None:
    assert got.counts == want.counts
    assert np.array_equal(got.inputs, want.inputs)
    assert np.array_equal(got.outputs, want.outputs)
    for name in DECISION_FIELDS:
        assert np.array_equal(got.decisions[name], want.decisions[name]), name


def test_every_spec_on_hostile_feeds(spec, build, reference, feeds) -> None:
    command = build(spec, SANITIZE)
    for events in feeds(range(12)):
        assert_same(run_host(command, events), reference(spec, events))
