"""What turbulence adds to the IMU: the difference of two flights that differ in the gusts only.

The vehicles have no noise of their own: no vibration, unsteady rotors, sensor or estimator errors. They hold position
or fly straight and slowly, in a mean wind that carries the gusts past them.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml.flight_log import F32, F64
from px4_tinyml.signal.responses import ResponseLibrary, save_responses
from px4_tinyml_sitl.airframes import VehicleModel, draw_vehicle
from px4_tinyml_sitl.catalog import RESPONSE_AIRFRAMES, Airframe
from px4_tinyml_sitl.flight import FlightPlan, Simulator
from px4_tinyml_sitl.missions import Segment
from px4_tinyml_sitl.parallel import in_parallel
from px4_tinyml_sitl.sensors import draw_sensors
from px4_tinyml_sitl.turbulence import mean_wind_factor
from px4_tinyml_sitl.weather import Weather
from px4_tinyml_sitl.world import RATE_HZ, load_jsbsim

RESPONSES = 60
"""Responses of a library: five of each airframe."""
EDR = 0.3
RESPONSE_HZ = 50
SECONDS = 40.0
"""Length of a response."""

_RISE_M_S = 2.0
_SETTLE_S = 14.0
"""From the end of the climb to the start of the response: transients of the climb have gone."""
_GUSTS_S = 5.0
"""Before the start of the response the gusts set in."""
_PATH_S = 150.0
"""Length of the gust field, as seconds of a flight: it does not repeat."""
_PASSING_M_S = (2.0, 12.0)
_SPREAD = 0.3
"""Of gains and drag, on top of the airframe's own: e^N(0, 0.3)."""
_STEADY_RAD_S = 0.005
"""Largest standard deviation of a rate without gusts: a vehicle whose loops oscillate on their own is drawn again."""


def fly_responses(path: Path, count: int = RESPONSES, seed: int = 0, jobs: int | None = None) -> None:
    """Write a library of `count` responses at EDR 0.3. Its bytes depend on the seed and the count only.

    Raises SpecError for an argument out of range, ToolchainError without JSBSim.
    """
    for name, value, least in (("flights", count, 1), ("seed", seed, 0), ("jobs", jobs or 1, 1)):
        if value < least:
            raise SpecError(f"{name} = {value}: expected at least {least}")
    load_jsbsim()
    requests = [(seed, index) for index in range(count)]
    responses = list(in_parallel(_respond, requests, jobs, "response"))
    samples = np.stack([response for _, response in responses])
    save_responses(ResponseLibrary(RESPONSE_HZ, EDR, tuple(name for name, _ in responses), samples), path)


def _respond(request: tuple[int, int]) -> tuple[str, F32]:
    name, response = gust_response(*request)
    return name, response.astype(np.float32)


def gust_response(seed: int, index: int, edr: float = EDR) -> tuple[str, F64]:
    """(airframe, what turbulence of an EDR adds to accelerometer and gyro [T, 6], m/s² and rad/s, FRD, at 50 Hz)."""
    bases = list(RESPONSE_AIRFRAMES.values())
    base = bases[index % len(bases)]
    for attempt in range(100):
        draws = (seed, index, attempt)
        calm = _fly(base, draws, 0.0)
        if calm is None or calm[:, 3:].std(axis=0).max() > _STEADY_RAD_S:
            continue
        rough = _fly(base, draws, edr)
        if rough is not None:
            return base.name, rough - calm
    raise AssertionError(f"no vehicle of airframe {base.name} is stable")


def _fly(base: Airframe, draws: tuple[int, int, int], edr: float) -> F64 | None:
    """Accelerometer and gyro of a flight [T, 6], None after a crash."""
    plan, start_s = _plan(base, draws, edr)
    flown = Simulator(plan).fly(start_s + SECONDS)
    first, steps = round(start_s * RATE_HZ), round(SECONDS * RATE_HZ)
    imu = flown.fast[first : first + steps]
    if len(imu) < steps or flown.slow["landed"][round(start_s * RESPONSE_HZ) :].any():
        return None
    result: F64 = imu.reshape(-1, RATE_HZ // RESPONSE_HZ, 6).mean(axis=1)
    return result


def _plan(base: Airframe, draws: tuple[int, int, int], edr: float) -> tuple[FlightPlan, float]:
    """(plan, start of the response in s): the same but for the gusts for every edr."""
    draw, simulate = np.random.default_rng(list(draws)).spawn(2)
    vehicle = _quiet(draw_vehicle(base, draw), draw)
    height = float(np.exp(draw.uniform(math.log(3.0), math.log(40.0))))
    low, high = _PASSING_M_S
    passing, course = float(draw.uniform(low, min(high, base.max_speed_m_s))), float(draw.uniform(-np.pi, np.pi))
    cruise = float(draw.uniform(0.0, 5.0)) if draw.random() < 0.5 else 0.0
    heading = float(draw.uniform(-np.pi, np.pi))
    # The velocity over ground is that of the wind plus that through the air.
    north = cruise * math.cos(heading) - passing * math.cos(course)
    east = cruise * math.sin(heading) - passing * math.sin(course)
    rise_s = height / _RISE_M_S
    start_s = math.ceil(4.0 + rise_s + _SETTLE_S)
    wind = math.hypot(north, east)
    gusts = ((0.0, 0.0), (start_s - _GUSTS_S - 2.0, 0.0), (start_s - _GUSTS_S, edr))
    plan = FlightPlan(
        seed=draws[0], index=draws[1], mission="hover", seconds=_PATH_S, vehicle=vehicle, sensors=draw_sensors(draw),
        # The same mean wind for every edr: it reaches its limit below the height of the response.
        weather=Weather("turbulent", gusts, 0.0, 1.2 * wind / mean_wind_factor(height), wind, math.atan2(east, north)),
        segments=[Segment(rise_s, climb_m_s=_RISE_M_S), Segment(_PATH_S, speed_m_s=cruise), Segment(1.0)],
        heading_rad=heading, elevation_m=0.0, estimator_m_s=0.0, rng=simulate, gyro_noise_rad_s=0.0, tilt_error_rad=0.0,
    )  # fmt: skip
    return plan, float(start_s)


def _quiet(vehicle: VehicleModel, rng: np.random.Generator) -> VehicleModel:
    """A vehicle without noise, its gains and drag drawn more widely."""

    def wider(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(value * float(np.exp(rng.normal(0.0, _SPREAD))) for value in values)

    return dataclasses.replace(
        vehicle, loop_gain=wider(vehicle.loop_gain), rotor_drag_per_s=wider(vehicle.rotor_drag_per_s),
        drag_area_m2=wider(vehicle.drag_area_m2), thrust_noise=0.0, heave_noise=0.0, side_noise_m_s2=0.0, esc_band=0.0,
    )  # fmt: skip
