"""Samples lost before the pipeline: it is reset, as by a sample that is not finite, and counts nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.decision import DECISION
from px4_tinyml.signal.slots import Feed

RECORD = np.dtype([("time_us", "<u8"), ("imu", "<f4", 6), ("lost", "<u4"), ("baro", "<u4")])


def test_a_restart_forgets_the_window_and_not_the_barometer(
    tree: Path, bundle: ModelBundle, compiled: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(11)
    records = np.zeros(200 * 60, RECORD)
    records["time_us"] = 7_000_000 + np.arange(len(records)) * 5_000
    records["imu"] = rng.normal(0, 1.5, (len(records), 6))
    records["baro"][::10] = 1
    records["imu"][::10, 0] = 100 + np.cumsum(rng.normal(0, 0.1, len(records) // 10))
    lost = np.flatnonzero(records["baro"] == 0)[[0, 1700, 1701, 5000, 8003]]
    records["lost"][lost] = 1

    done = subprocess.run(
        [str(compiled(tree, "restart.cpp"))], input=records.tobytes(), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    found = np.frombuffer(done.stdout, DECISION)

    classifier = bundle.classifier()
    expected = classifier.run(feed_with_bad_samples(records)).decisions
    names = [name for name in DECISION.names or () if name != "padding"]
    assert np.array_equal(found[names], expected[names])
    # At the start and after each loss but the one right before another.
    assert np.count_nonzero(found["flags"] & 4) == 4


def feed_with_bad_samples(records: NDArray[np.void]) -> Feed:
    """Every loss is a sample of NaN before the next one."""
    is_baro = records["baro"] == 1
    baro, before = records[is_baro], np.cumsum(is_baro)[~is_baro]
    lost = np.flatnonzero(records[~is_baro]["lost"])
    imu = np.insert(records[~is_baro], lost, records[~is_baro][lost])
    imu["imu"][lost + np.arange(len(lost))] = np.nan
    before = np.insert(before, lost, before[lost])
    return Feed(imu["time_us"], imu["imu"], baro["time_us"], baro["imu"][:, 0], before)
