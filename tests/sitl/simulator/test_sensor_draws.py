"""The spread of drawn sensors: barometer noise in flight, filtered and decimated loggers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from px4_tinyml.flight_log import ImuSeries
from px4_tinyml_sitl.sensors import (
    BARO_SLOPE_ERROR_M_S,
    SLOPE_S,
    draw_sensors,
    logged_imu,
    measure_baro,
    slope_error_per_m,
)  # fmt: skip

SUITES = [draw_sensors(np.random.default_rng(seed)) for seed in range(200)]


def test_the_slope_of_the_barometer_is_as_wrong_as_in_real_logs() -> None:
    """Hover at 20 m for 20 minutes: the slope over 2.56 s against the true vertical speed, 0."""
    low, high = BARO_SLOPE_ERROR_M_S
    time = np.arange(0.0, 1200.0, 0.02)
    still, ones = np.full(len(time), 20.0), np.ones(len(time))
    for suite in SUITES[:8]:
        suite = dataclasses.replace(suite, baro_silence_s=None, baro_noise_m=0.0, baro_interval_us=20_000)
        _, altitude = measure_baro(suite, time, still, 0.0 * ones, ones, 0.5, 0.0, np.random.default_rng(1))
        n = round(SLOPE_S / 0.02)
        weights = np.arange(n) - 0.5 * (n - 1)
        slope = np.convolve(altitude, weights[::-1] / np.sum(weights**2) / 0.02, mode="valid").std()
        # The sensor's lag takes a little of it.
        assert slope == pytest.approx(suite.baro_wash_m * slope_error_per_m(suite.baro_wash_hz), rel=0.15)
        assert 0.8 * low < slope < 1.1 * high


def test_some_loggers_filter_and_some_pick() -> None:
    cutoffs = [suite.log_cutoff_hz for suite in SUITES if suite.log_cutoff_hz is not None]
    rates = [suite.log_hz for suite in SUITES if suite.log_hz is not None]
    assert 0.08 < len(cutoffs) / len(SUITES) < 0.25 and 3.5 <= min(cutoffs) < max(cutoffs) <= 25.0
    assert 0.02 < len(rates) / len(SUITES) < 0.15 and set(rates) == {25.0, 50.0}


def test_a_logger_filters_above_its_corner_and_picks_without_a_filter() -> None:
    suite = dataclasses.replace(SUITES[0], imu_interval_us=4000, log_cutoff_hz=None, log_hz=None)
    time = np.arange(5000, dtype=np.uint64) * np.uint64(4000)
    phase = 2.0 * np.pi * time.astype(float) * 1e-6
    accel = np.stack([np.sin(2.0 * phase), np.sin(5.0 * phase), np.sin(40.0 * phase)], axis=1)
    imu = ImuSeries(time, accel, 0.1 * accel)
    filtered = logged_imu(dataclasses.replace(suite, log_cutoff_hz=5.0), imu)
    # Two first-order filters: half of the amplitude at the corner.
    gains = filtered.accel_m_s2[500:-500].std(axis=0) / accel[500:-500].std(axis=0)
    assert gains == pytest.approx([1.0 / 1.16, 0.5, 1.0 / 65.0], rel=0.02)
    assert np.array_equal(filtered.timestamp_us, time)
    picked = logged_imu(dataclasses.replace(suite, log_hz=25.0), imu)
    assert np.array_equal(picked.timestamp_us, time[::10])
    assert picked.accel_m_s2 == pytest.approx(accel[::10].astype(np.float32))
    whole = logged_imu(suite, imu)
    assert whole.gyro_rad_s == pytest.approx(imu.gyro_rad_s, abs=1e-6) and len(whole.timestamp_us) == len(time)
