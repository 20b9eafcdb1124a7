"""A small raw feed made of real windows: the input of the golden vectors.

Each chosen window becomes samples (two a slot) and barometer values that the signal path turns back into (nearly)
that window. Between windows are faults: a hole, a value that is not finite, a clock that jumps back, a silent
barometer.
"""

from __future__ import annotations

import numpy as np

from px4_tinyml.flight_log import F32, I32
from px4_tinyml.signal.golden_air import air_feed
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, IMU_CHANNELS, PipelineSpec
from px4_tinyml.units import STANDARD_GRAVITY_M_S2, US_PER_S

WINDOWS_PER_LABEL = 2
SECONDS_APART = 10


def training_feed(x: F32, y: I32, spec: PipelineSpec, seed: int) -> Feed:
    """The feed for a bundle trained on windows x[W,T,C] with labels y[W]; a synthetic flight for input = "bands"."""
    if spec.input == "bands":
        return air_feed(spec, seed)
    return golden_feed(choose(x, y, spec, seed), spec, seed)


def choose(x: F32, y: I32, spec: PipelineSpec, seed: int) -> F32:
    """A few of the windows x[W,T,C] of each label y[W], seeded."""
    rng = np.random.default_rng(seed)
    rows = [
        np.sort(rng.permutation(np.flatnonzero(y == label))[:WINDOWS_PER_LABEL]) for label in range(len(spec.labels))
    ]
    return np.asarray(x[np.concatenate(rows)], np.float32)


def golden_feed(chosen: F32, spec: PipelineSpec, seed: int) -> Feed:
    """The feed of chosen windows x[W,T,C] in physical units."""
    rng = np.random.default_rng(seed)
    at = [spec.channels.index(c) if c in spec.channels else None for c in IMU_CHANNELS]
    imu, imu_time, baro, baro_time = [], [], [], []
    for number, window in enumerate(chosen):
        # The last slot of the window ends on a hop; one slot before and one after close the first and last.
        end = spec.slot_of((number + 1) * SECONDS_APART * US_PER_S) // spec.hop * spec.hop
        lead, tail = spec.baro_lag_slots + 1, 1
        slots = np.arange(end - spec.window - lead, end + tail)
        position = np.arange(-lead, spec.window + tail)
        row = np.clip(position, 0, spec.window - 1)
        start = np.array([spec.slot_start_us(int(k)) for k in slots], np.int64)
        slot_us = US_PER_S // spec.rate_hz
        values = np.stack([window[row, c] if c is not None else np.zeros(len(row)) for c in at], axis=1)
        spread = rng.normal(0.0, 0.01, values.shape)
        imu += [np.stack([values + spread, values - spread], axis=1).reshape(-1, 6)]
        imu_time += [np.stack([start + slot_us // 4, start + slot_us * 3 // 4], axis=1).reshape(-1)]
        if ALTITUDE_CHANNEL in spec.channels and number % 4 != 3:
            lagged = np.clip(position + spec.baro_lag_slots, 0, spec.window - 1)
            baro += [100.0 + window[lagged, spec.channels.index(ALTITUDE_CHANNEL)]]
            baro_time += [start]
    samples, times = np.concatenate(imu).astype(np.float32), np.concatenate(imu_time)
    # Faults lie between windows, so that each is detected and every window stays complete.
    per_window = len(times) // len(chosen)
    samples[per_window * (len(chosen) // 2) - 1, 2] = np.nan
    if len(chosen) > 1:
        times[per_window - 1] -= SECONDS_APART * US_PER_S // 4
    if spec.imu_about_mean:
        samples[:, 2] -= np.float32(STANDARD_GRAVITY_M_S2)  # windows are about their mean, samples are not
    imu_us = times.astype(np.uint64)
    baro_us = np.concatenate(baro_time).astype(np.uint64) if baro else np.zeros(0, np.uint64)
    altitude = np.concatenate(baro).astype(np.float32) if baro else np.zeros(0, np.float32)
    latest = np.maximum.accumulate(imu_us)
    return Feed(imu_us, samples, baro_us, altitude, np.searchsorted(baro_us, latest, side="right"))
