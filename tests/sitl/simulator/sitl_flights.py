"""Small hover flights and what their sensors measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from px4_tinyml.flight_log import ImuSeries
from px4_tinyml_sitl.flight import FlightPlan, Flown
from px4_tinyml_sitl.sensors import imu_times, measure_imu
from px4_tinyml_sitl.world import RATE_HZ

Hover = Callable[[str, int, float], tuple[FlightPlan, Flown]]


def imu_of(plan: FlightPlan, flown: Flown) -> ImuSeries:
    """sensor_combined of a flight, times from its start."""
    rng = np.random.default_rng(plan.index)
    time = imu_times(plan.sensors, len(flown.fast) / RATE_HZ, rng)
    samples = measure_imu(
        plan.sensors, time, flown.fast, flown.rotor_rad_s, plan.vehicle.rotor.hover_rad_s, RATE_HZ, rng
    )
    return ImuSeries(time, samples[:, :3], samples[:, 3:])


def hovering_s(flown: Flown) -> tuple[float, float]:
    """From 3 s after the first level setpoint to the start of the last descent."""
    s = flown.slow
    level = (np.abs(s["sp_vz"]) < 0.02) & (s["landed"] == 0.0)
    time = s["time_s"][np.flatnonzero(level)]
    return float(time[0]) + 3.0, float(time[-1]) - 3.0
