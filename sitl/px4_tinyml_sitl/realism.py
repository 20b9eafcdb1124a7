"""Band RMS of IMU slot means, to compare simulated flights with real ones.

50 Hz slot means; windows of 128 slots (2.56 s) every 32, Hann weighted; the power in each band, axes added
(x and y together, z alone); the RMS of it; then the median over windows.
"""

from __future__ import annotations

import numpy as np

from px4_tinyml.flight_log import F64, ImuSeries
from px4_tinyml.signal.bands import band_rms
from px4_tinyml.units import RAD_PER_DEG, US_PER_S
from px4_tinyml_sitl.flight import FlightPlan, Flown, Simulator, measured_imu, plan_flight

RATE_HZ = 50
WINDOW = 128
HOP = 32
QUANTITIES = ("a_xy", "a_z", "g_xy")
"""m/s², m/s² and deg/s."""

REAL_CALM: dict[str, tuple[tuple[float, float], ...]] = {
    "a_xy": ((0.03, 0.07), (0.06, 0.10), (0.12, 0.16), (0.35, 0.56)),
    "a_z": ((0.04, 0.11), (0.05, 0.13), (0.07, 0.25), (0.32, 0.75)),
    "g_xy": ((0.8, 5.2), (0.6, 4.8), (0.6, 2.3), (0.6, 2.2)),
}
"""Lowest and highest median of three public PX4 logs in calm hover or steady climb, one pair a band."""


def slot_means(imu: ImuSeries) -> tuple[F64, F64]:
    """(start time of each slot in s, mean accel and gyro [S, 6]); a slot without a sample is NaN."""
    slot = imu.timestamp_us.astype(np.int64) * RATE_HZ // US_PER_S
    slot0 = int(slot.min())
    index = slot - slot0
    n = int(index.max()) + 1
    count = np.bincount(index, minlength=n)
    values = np.hstack([imu.accel_m_s2, imu.gyro_rad_s]).astype(np.float64)
    total = np.stack([np.bincount(index, column, minlength=n) for column in values.T], axis=1)
    with np.errstate(invalid="ignore"):
        mean = total / count[:, None]
    return (slot0 + np.arange(n)) / RATE_HZ, mean


def window_bands(imu: ImuSeries) -> tuple[F64, F64]:
    """(start of each window in s, RMS [W, quantity, band]); windows with an empty slot are skipped."""
    time, mean = slot_means(imu)
    first = np.arange(0, len(mean) - WINDOW + 1, HOP)
    windows = mean[first[:, None] + np.arange(WINDOW)]
    whole = np.isfinite(windows).all(axis=(1, 2))
    power = band_rms(windows[whole], RATE_HZ).astype(np.float64) ** 2
    xy, z, turn = power[..., :2].sum(axis=-1), power[..., 2], power[..., 3:5].sum(axis=-1) / RAD_PER_DEG**2
    return time[first[whole]], np.sqrt(np.stack([xy, z, turn], axis=1))


def fly_hover(name: str, seed: int, edr: float, seconds: float) -> tuple[FlightPlan, Flown]:
    """A hover mission of an airframe in turbulence of constant EDR."""
    plan = plan_flight(seed, 0, "hover", name, None, edr, None, seconds)
    return plan, Simulator(plan).fly()


def hovering_s(flown: Flown) -> tuple[float, float]:
    """From 3 s after the first level setpoint to 3 s before the last one."""
    s = flown.slow
    level = s["time_s"][(np.abs(s["sp_vz"]) < 0.02) & (s["landed"] == 0.0)]
    return float(level[0]) + 3.0, float(level[-1]) - 3.0


def median_bands(imu: ImuSeries, between_s: tuple[float, float] | None = None) -> F64:
    """Median over the windows [quantity, band] that start between two times (log time, s)."""
    start, rows = window_bands(imu)
    if between_s is not None:
        rows = rows[(start >= between_s[0]) & (start < between_s[1])]
    result: F64 = np.median(rows, axis=0)
    return result


def hover_bands(name: str, seed: int, edr: float, seconds: float, noise_seed: int) -> F64:
    """Band medians [quantity, band] of one vehicle holding position."""
    plan, flown = fly_hover(name, seed, edr, seconds)
    return median_bands(measured_imu(plan, flown, np.random.default_rng(noise_seed)), hovering_s(flown))
