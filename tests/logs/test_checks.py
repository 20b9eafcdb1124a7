"""Dropped samples, and warnings about suspicious ones."""

from __future__ import annotations

import numpy as np
import pytest

from px4_tinyml.flight_log import BaroSeries, Gap, ImuSeries
from px4_tinyml.logs.checks import baro_series, hold, imu_series, rate_warnings
from px4_tinyml.logs.reference import Signal, Velocity, reference_series
from px4_tinyml.signal.spec import PRESETS


def samples(n: int = 1000, step_us: int = 5000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    accel = np.tile([0.0, 0.0, -9.8], (n, 1))
    return np.arange(n, dtype=np.uint64) * np.uint64(step_us) + np.uint64(10**7), accel, np.zeros((n, 3))


def check(*columns: np.ndarray) -> tuple[ImuSeries, tuple[Gap, ...], list[str]]:
    warnings: list[str] = []
    return *imu_series(*columns, warnings), warnings


@pytest.mark.parametrize(("axis", "value"), [(0, np.nan), (1, np.inf), (2, -401.0), (3, 70.5), (5, -np.inf)])
def test_impossible_samples_are_dropped_and_counted(axis: int, value: float) -> None:
    time_us, accel, gyro = samples()
    (accel if axis < 3 else gyro)[7, axis % 3] = value
    imu, _, warnings = check(time_us, accel, gyro)
    assert len(imu) == 999 and time_us[7] not in imu.timestamp_us
    assert len(warnings) == 1 and "1 sample dropped" in warnings[0]


def test_a_time_far_from_both_neighbours_is_dropped() -> None:
    time_us, accel, gyro = samples()
    time_us[500] = np.uint64(1 << 63)
    time_us[600] += np.uint64(1 << 30)
    imu, gaps, warnings = check(time_us, accel, gyro)
    assert len(imu) == 998 and gaps == ()
    assert "2 samples dropped" in warnings[0]


def test_a_clock_that_jumps_stays_visible() -> None:
    time_us, accel, gyro = samples()
    time_us[500:] -= np.uint64(1_000_000)
    imu, _, warnings = check(time_us, accel, gyro)
    assert len(imu) == 1000 and (imu.timestamp_us == time_us).all()
    assert warnings == ["clock of the IMU runs backwards 1 time, by up to 0.99 s"]


def test_gaps_a_low_rate_and_wrong_units_give_warnings() -> None:
    time_us, accel, gyro = samples(step_us=50_000)
    time_us[500:] += np.uint64(2_000_000)
    imu, gaps, warnings = check(time_us, accel / 9.8, gyro)
    assert [(g.end_us - g.start_us) for g in gaps] == [2_050_000]
    text = " | ".join([*warnings, *rate_warnings(imu, PRESETS["default"])])
    assert "1 gap in the IMU, 2.05 s" in text and "IMU at 20.0 Hz" in text and "median is 1.00 m/s²" in text


def test_hitl_accelerations_stay_with_a_warning() -> None:
    time_us, accel, gyro = samples()
    accel[3, 0] = 150.0
    imu, _, warnings = check(time_us, accel, gyro)
    assert len(imu) == 1000 and "1 sample above 100 m/s² (up to 150)" in warnings[0]


def test_barometer_spikes_are_dropped_and_steps_give_warnings() -> None:
    time_us = np.arange(100, dtype=np.uint64) * np.uint64(50_000)
    altitude = np.full(100, 10.0)
    altitude[5], altitude[20], altitude[50:] = np.nan, 300.0, 60.0
    warnings: list[str] = []
    baro = baro_series(time_us, altitude, warnings)
    assert baro is not None and len(baro) == 98 and baro.altitude_m.max() == 60.0
    assert len(warnings) == 3 and "jumps by over 20 m 1 time" in warnings[2]


def test_hold() -> None:
    held = hold(np.array([0, 10, 11, 30]), np.array([10, 20]), np.array([1, 2]), -1)
    assert held.tolist() == [-1, 1, 1, 2]


def reference_of(down: np.ndarray, altitude: np.ndarray) -> tuple[np.ndarray, list[str]]:
    time_us = np.arange(len(down), dtype=np.uint64) * np.uint64(100_000)
    warnings: list[str] = []
    velocity = Velocity("test", time_us, down, time_us)
    baro = BaroSeries(time_us, altitude.astype(np.float32))
    reference = reference_series(velocity, Signal(time_us, time_us), baro, {}, warnings)
    assert reference is not None
    return reference.velocity_down_m_s, warnings


def test_a_speed_that_the_barometer_contradicts_is_not_trusted() -> None:
    down = np.zeros(600)
    down[300:400] = 8.0  # the estimator falls, the barometer does not
    found, warnings = reference_of(down, np.zeros(600))
    assert np.isnan(found[300:400]).all() and np.isfinite(found[:250]).all() and np.isfinite(found[450:]).all()
    assert "the barometer disagrees" in warnings[0]
    found, warnings = reference_of(down, -np.cumsum(down) * 0.1)  # a real fall
    assert np.isfinite(found).all() and warnings == []
