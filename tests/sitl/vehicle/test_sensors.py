"""Sensors sample by sample equal those of simulated logs without noise, and have the same statistics with it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from px4_tinyml.flight_log import ImuSeries
from px4_tinyml_sitl.flight import Simulator, plan_flight
from px4_tinyml_sitl.realism import REAL_CALM, median_bands
from px4_tinyml_sitl.sensors import imu_times, measure_baro, measure_imu
from px4_tinyml_sitl.vehicle.live_sensors import LiveBaro, LiveImu
from px4_tinyml_sitl.vehicle.simulation import LiveFlight
from px4_tinyml_sitl.world import RATE_HZ


@pytest.fixture(scope="module")
def flown() -> tuple:
    plan = plan_flight(5, 0, "hover", "500", None, 0.2, None, 25.0)
    return plan, Simulator(plan).fly()


def live(suite, flown, hover):
    imu = LiveImu(suite, hover, float(RATE_HZ), np.random.default_rng(1))
    for row, speed in zip(flown.fast.tolist(), flown.rotor_rad_s.tolist(), strict=True):
        imu.update((*row, *speed))
    return np.array([t for t, _, _ in imu.samples]), np.array([[*a, *g] for _, a, g in imu.samples])


def test_without_noise_the_imu_is_the_same(flown: tuple) -> None:
    plan, flight = flown
    quiet = dataclasses.replace(
        plan.sensors, accel_noise_m_s2=0.0, gyro_noise_rad_s=0.0, line_m_s2=np.zeros((4, 2, 3)),
        line_rad_s=np.zeros((4, 2, 3)), broad_m_s2=np.zeros(3), broad_rad_s=np.zeros(3),
    )  # fmt: skip
    hover = plan.vehicle.rotor.hover_rad_s
    times, sampled = live(quiet, flight, hover)
    logged = measure_imu(
        quiet, times.astype(np.uint64), flight.fast, flight.rotor_rad_s, hover, float(RATE_HZ), np.random.default_rng(2)
    )
    assert len(times) == pytest.approx(len(flight.fast) / RATE_HZ * 1e6 / quiet.imu_interval_us, rel=0.01)
    assert sampled[5:] == pytest.approx(logged[5:], abs=1e-6)


def test_with_noise_the_imu_has_the_same_vibration(flown: tuple) -> None:
    plan, flight = flown
    hover = plan.vehicle.rotor.hover_rad_s
    times, sampled = live(plan.sensors, flight, hover)
    logged = measure_imu(
        plan.sensors, imu_times(plan.sensors, len(flight.fast) / RATE_HZ, np.random.default_rng(3)), flight.fast,
        flight.rotor_rad_s, hover, float(RATE_HZ), np.random.default_rng(4),
    )  # fmt: skip
    middle = slice(len(sampled) // 3, 2 * len(sampled) // 3)
    steps = np.diff(sampled[middle], axis=0).std(axis=0) / np.diff(logged[middle], axis=0).std(axis=0)
    assert steps == pytest.approx(np.ones(6), rel=0.2)
    assert (np.diff(times) > 0).all()


def test_without_noise_the_barometer_is_the_same(flown: tuple) -> None:
    plan, flight = flown
    quiet = dataclasses.replace(
        plan.sensors, baro_noise_m=0.0, baro_drift_m=0.0, baro_ground_m=0.0, baro_wash_m=0.0, baro_silence_s=None,
        baro_interval_us=50_000,
    )  # fmt: skip
    slow = flight.slow
    baro = LiveBaro(quiet, plan.vehicle.span_m, 50.0, np.random.default_rng(1))
    for row in zip(slow["time_s"], slow["height"], slow["airspeed"], slow["thrust_ratio"], strict=True):
        baro.update(*(float(value) for value in row))
    when, altitude = measure_baro(
        quiet, slow["time_s"], slow["height"], slow["airspeed"], slow["thrust_ratio"], plan.vehicle.span_m, 3.0,
        np.random.default_rng(2),
    )  # fmt: skip
    sampled = np.interp(when, [t * 1e-6 for t, _ in baro.samples], [a for _, a in baro.samples])
    assert sampled[2:] == pytest.approx(altitude[2:], abs=0.02)


def test_commanded_turbulence_is_in_the_slot_means() -> None:
    """Slot means of 0.4 to 2 Hz, calm and at EDR 0.3: inside the real calm band, then well above it."""
    flight = LiveFlight(plan_flight(5, 0, "hover", "500", "calm", None, None, 60.0), 0.0, 6.0)

    def run(seconds: float) -> None:
        for _ in range(int(seconds * RATE_HZ)):
            flight.advance()

    def slow_band() -> np.ndarray:
        flight.imu.samples.clear()
        run(15.0)
        times, accel, gyro = zip(*flight.imu.samples, strict=True)
        imu = ImuSeries(np.array(times, np.uint64), np.array(accel, np.float32), np.array(gyro, np.float32))
        return median_bands(imu)[:, 0]

    run(1.0)
    flight.arm()
    flight.wants_flight = True
    flight.take_command().go_to(0.0, 0.0, -12.0)
    run(14.0)
    calm = slow_band()
    flight.weather.command(0.3, 6.0, 1.0)
    run(5.0)
    rough = slow_band()
    for index, name in enumerate(("a_xy", "a_z", "g_xy")):
        low, high = REAL_CALM[name][0]
        assert 0.7 * low < calm[index] < 1.3 * high, name
    assert (rough > 1.8 * calm).all(), (calm, rough)
