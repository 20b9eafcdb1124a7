"""Band RMS of real logs, and of simulated flights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyulog import ULog

from px4_tinyml.flight_log import F64, ImuSeries
from px4_tinyml_sitl.catalog import AIRFRAMES
from px4_tinyml_sitl.realism import QUANTITIES, REAL_CALM, hover_bands, median_bands, slot_means, window_bands

LOWEST, HIGHEST = np.moveaxis([REAL_CALM[q] for q in QUANTITIES], 2, 0)


def series(accel: F64, gyro: F64, rate_hz: float) -> ImuSeries:
    time = np.rint(np.arange(len(accel)) * 1e6 / rate_hz).astype(np.uint64)
    return ImuSeries(time, accel, gyro)


def test_a_sine_has_its_rms_in_its_own_band() -> None:
    time = np.arange(40_000) / 200.0
    accel = np.zeros((len(time), 3))
    accel[:, 0] = 0.5 * np.sin(2.0 * np.pi * 1.2 * time)
    accel[:, 2] = -9.8 + 0.8 * np.sin(2.0 * np.pi * 7.0 * time)
    gyro = np.zeros_like(accel)
    gyro[:, 1] = np.radians(3.0) * np.sin(2.0 * np.pi * 3.5 * time)
    bands = median_bands(series(accel, gyro, 200.0))
    expected = np.zeros((3, 4))
    expected[0, 0], expected[1, 2], expected[2, 1] = 0.5 / 2**0.5, 0.8 / 2**0.5, 3.0 / 2**0.5
    # A slot mean attenuates 7 Hz by 1 − sinc(7/50) = 3 %; the Hann window leaks a little over the edges.
    assert bands == pytest.approx(expected, abs=0.03, rel=0.05)


def test_windows_with_an_empty_slot_are_skipped() -> None:
    rng = np.random.default_rng(0)
    imu = series(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)), 200.0)
    keep = (imu.timestamp_us < 9_000_000) | (imu.timestamp_us > 9_100_000)
    cut = ImuSeries(imu.timestamp_us[keep], imu.accel_m_s2[keep], imu.gyro_rad_s[keep])
    start, rows = window_bands(cut)
    assert np.isnan(slot_means(cut)[1]).any()
    assert np.isfinite(rows).all()
    assert 0 < len(start) < len(window_bands(imu)[0])
    assert not ((start > 9.0 - 128 / 50) & (start < 9.1)).any()


@pytest.mark.parametrize("name", ["ascend_test", "frrs_gps_interference", "frrs_battery_brownout"])
def test_real_calm_logs_are_in_the_recorded_range(shared: Path, name: str) -> None:
    log = ULog(str(shared / "data" / "ulg" / f"{name}.ulg"), ["sensor_combined", "vehicle_land_detected"])
    data = {d.name: d.data for d in log.data_list}
    samples, land = data["sensor_combined"], data["vehicle_land_detected"]
    accel, gyro = (np.stack([samples[f"{field}[{i}]"] for i in range(3)], axis=1)
                   for field in ("accelerometer_m_s2", "gyro_rad"))  # fmt: skip
    airborne = land["timestamp"][land["landed"] == 0] / 1e6
    imu = ImuSeries(samples["timestamp"], accel, gyro)
    bands = median_bands(imu, (airborne[0] + 4.0, airborne[-1] - 6.5))
    # The limits are rounded to two digits, and the measured interval is not known to the second.
    assert (bands >= 0.9 * LOWEST - 0.005).all(), bands
    assert (bands <= 1.1 * HIGHEST + 0.005).all(), bands


def test_calm_hover_is_in_the_real_range_and_turbulence_above_it() -> None:
    """Three vehicles of every airframe in still air, the first of them in EDR 0.3."""
    still = {name: np.array([hover_bands(name, seed, 0.0, 40.0, 0) for seed in range(3)]) for name in AIRFRAMES}
    middle = np.median(np.concatenate(list(still.values())), axis=0)
    assert (middle >= LOWEST).all(), middle
    assert (middle <= HIGHEST).all(), middle
    for name in AIRFRAMES:
        calm = np.median(still[name], axis=0)
        # Three vehicles scatter around their airframe as much as the three real ones.
        assert (calm >= 0.7 * LOWEST).all(), (name, calm)
        assert (calm <= 1.4 * HIGHEST).all(), (name, calm)
        ratio = hover_bands(name, 0, 0.3, 40.0, 0) / still[name][0]
        assert ratio[0, 0] > 3.0, (name, ratio)
        assert ratio[1, 0] > 2.0, (name, ratio)
        assert ratio[0, 1] > 1.4, (name, ratio)
        # Gusts have almost no power above 10 Hz; vibration follows the thrust.
        assert (ratio[:2, 3] < 1.5).all(), (name, ratio)
