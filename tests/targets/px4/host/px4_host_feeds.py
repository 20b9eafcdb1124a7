"""Samples for the module: calm and turbulent hover with a climb, made of noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.signal.slots import Feed, delivered_before

START_US = 20_000_000
BARO_HZ = 20


def hover(
    seconds: float = 60.0, turbulent: tuple[float, float] = (0.0, 0.0), rate_hz: float = 200.0, seed: int = 3
) -> Feed:
    """IMU at rate_hz, barometer at 20 Hz. turbulent: from when to when (s) it shakes; the last third is a climb."""
    rng = np.random.default_rng(seed)
    time = np.arange(0.0, seconds, 1 / rate_hz)
    sample = rng.normal(0, [0.15, 0.15, 0.25, 0.01, 0.01, 0.005], (len(time), 6))
    sample[:, 2] -= 9.81
    shaking = (time >= turbulent[0]) & (time < turbulent[1])
    sample[shaking] += _gusts(rng, int(shaking.sum()), rate_hz) * [0.9, 0.9, 1.5, 0.5, 0.5, 0.15]
    baro_time = np.arange(0.0, seconds, 1 / BARO_HZ) + 0.013
    altitude = np.maximum(baro_time - seconds * 2 / 3, 0) * 2.0 + rng.normal(0, 0.05, len(baro_time))
    imu_us, baro_us = (np.rint(t * 1e6).astype(np.uint64) + np.uint64(START_US) for t in (time, baro_time))
    before = delivered_before(imu_us, baro_us)
    return Feed(imu_us, sample.astype(np.float32), baro_us, altitude.astype(np.float32), before)


def _gusts(rng: np.random.Generator, count: int, rate_hz: float) -> NDArray[np.float64]:
    """Low-passed noise of standard deviation 1, with a time constant of 0.05 s."""
    keep = float(np.exp(-1 / (0.05 * rate_hz)))
    out = np.zeros((count, 6))
    for i, kick in enumerate(rng.normal(0, np.sqrt(1 - keep**2), (count, 6))):
        out[i] = (out[i - 1] * keep if i else 0) + kick
    return out
