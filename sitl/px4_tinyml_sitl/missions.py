"""Missions: lists of segments, drawn for an airframe and a duration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml_sitl.airframes import VehicleModel
from px4_tinyml_sitl.catalog import MISSIONS, Airframe

MIN_HEIGHT_M = 2.0
LAND_SPEED_M_S = 0.7
FLARE_HEIGHT_M = 2.5
"""Below this height a landing descends at LAND_SPEED_M_S."""

_BRISK_SHARE = 0.15
"""Of mixed flights."""
_GROUND_TIME_S = 10.0
"""Time before take-off, after touch-down, and lag of the setpoints."""


@dataclass(frozen=True)
class Segment:
    """Constant setpoints for a time.

    speed_m_s: along the course; climb_m_s: up; turn_rad_s: rate of the course; yaw_rad_s: of the nose against the
    course; accel_m_s2, climb_accel_m_s2: limits on changes of speed; rough_m_s: noise of the pilot's stick (rms).
    direct: the change of speed is fed forward, as by a stick that commands the tilt.
    """

    seconds: float
    speed_m_s: float = 0.0
    climb_m_s: float = 0.0
    turn_rad_s: float = 0.0
    yaw_rad_s: float = 0.0
    accel_m_s2: float = 2.0
    climb_accel_m_s2: float = 2.5
    rough_m_s: float = 0.0
    direct: bool = False


@dataclass
class _Plan:
    """Segments so far, with the height and time at their end."""

    rng: np.random.Generator
    airframe: Airframe
    max_height_m: float
    budget_s: float
    down_m_s: float
    segments: list[Segment]
    height_m: float = 0.0
    seconds: float = 0.0
    brisk: bool = False
    """Brisk parts in a mixed flight."""
    vigour: float = 1.0
    """Factor on the accelerations of brisk parts."""

    @property
    def left_s(self) -> float:
        """Time until the final descent must begin."""
        high = max(self.height_m - FLARE_HEIGHT_M, 0.0)
        return self.budget_s - self.seconds - high / self.down_m_s - FLARE_HEIGHT_M / LAND_SPEED_M_S

    def add(self, seconds: float, **demands: Any) -> None:
        """Add a segment, shortened to the time left."""
        segment = Segment(min(seconds, max(self.left_s, 1.0)), **demands)
        seconds = segment.seconds
        self.segments.append(segment)
        self.height_m += segment.climb_m_s * seconds
        self.seconds += seconds

    def draw(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def vertical_speed(self, fastest: float) -> float:
        """0.7 to 3 m/s, one in five faster."""
        if self.rng.random() < 0.2:
            return self.draw(2.5, fastest)
        return self.draw(0.7, 3.0)

    def go_vertical(self, **demands: float) -> None:
        """Climb or descend for 4 to 12 s, as the height allows."""
        room_up, room_down = self.max_height_m - self.height_m, self.height_m - MIN_HEIGHT_M
        up = bool(self.rng.random() < room_up / (room_up + room_down))
        rate = self.vertical_speed(5.0 if up else 3.5)
        seconds = min(self.draw(4.0, 12.0), (room_up if up else room_down) / rate)
        if seconds >= 2.0:
            self.add(seconds, climb_m_s=rate if up else -rate, **demands)

    def speed(self) -> float:
        return self.draw(1.5, 0.75 * self.airframe.max_speed_m_s)


def _hover(plan: _Plan) -> None:
    turning = plan.rng.random() < 0.25
    plan.add(plan.draw(8.0, 20.0), yaw_rad_s=plan.draw(-0.5, 0.5) if turning else 0.0)


def _ladder(plan: _Plan) -> None:
    plan.go_vertical()
    plan.add(plan.draw(4.0, 9.0))


def _cruise(plan: _Plan) -> None:
    plan.add(plan.draw(8.0, 16.0), speed_m_s=plan.speed(), accel_m_s2=plan.draw(1.5, 4.0))
    plan.add(plan.draw(3.0, 8.0), speed_m_s=plan.speed(), turn_rad_s=plan.draw(-0.7, 0.7))


def _survey(plan: _Plan) -> None:
    speed, turn = plan.draw(2.0, 6.0), float(plan.rng.choice([-0.6, 0.6]))
    for side in (turn, -turn):
        plan.add(plan.draw(8.0, 14.0), speed_m_s=speed)
        plan.add(float(np.pi) / abs(side), speed_m_s=0.6 * speed, turn_rad_s=side)
    if plan.rng.random() < 0.5:
        plan.go_vertical()


def _aggressive(plan: _Plan) -> None:
    """Hard acceleration and braking, fast yaw, an unsteady stick: rough flying, independent of the air."""
    accel, rough = plan.draw(3.0, 5.0), plan.draw(0.0, 0.5)
    for _ in range(int(plan.rng.integers(2, 5))):
        speed = plan.speed()
        plan.add(plan.draw(1.5, 4.0), speed_m_s=speed, accel_m_s2=accel, rough_m_s=rough)
        plan.add(plan.draw(1.0, 3.0), accel_m_s2=accel, yaw_rad_s=plan.draw(-2.0, 2.0), rough_m_s=rough)


def _brisk(plan: _Plan) -> None:
    """Tilt and climb reversed every second or so: rates and thrust change as much as in severe turbulence."""
    accel, climb_accel = plan.vigour * plan.draw(6.0, 8.5), plan.vigour * plan.draw(5.0, 8.0)
    climb = plan.draw(1.8, 3.0)
    if plan.height_m < 6.0:
        plan.add(3.0, climb_m_s=2.0)
        plan.add(1.5)
    way, up, rate = 1.0, 1.0, 0.0
    for _ in range(int(plan.rng.integers(10, 24))):
        seconds = plan.draw(0.4, 1.3)
        way = -way
        up = -up if plan.rng.random() < 0.9 else up
        if not 5.0 < plan.height_m + up * climb * seconds < plan.max_height_m:
            up = 1.0 if plan.height_m < 8.0 else -1.0
        before = plan.height_m
        # Half of the speed that this acceleration would reach: the vehicle stays about where it is.
        plan.add(
            seconds, speed_m_s=way * 0.5 * accel * seconds, climb_m_s=up * climb, yaw_rad_s=plan.draw(-1.0, 1.0),
            accel_m_s2=accel, climb_accel_m_s2=climb_accel, direct=True,
        )  # fmt: skip
        moved, rate = _ramp(rate, up * climb, min(accel, climb_accel), plan.segments[-1].seconds)
        plan.height_m = before + moved
    plan.add(plan.draw(1.5, 3.0))
    plan.height_m += _ramp(rate, 0.0, 2.0, plan.segments[-1].seconds)[0]


def _ramp(speed: float, target: float, accel: float, seconds: float) -> tuple[float, float]:
    """(distance, speed at the end) of a change of speed with limited acceleration."""
    ramp_s = min(seconds, abs(target - speed) / accel)
    end = speed + math.copysign(accel * ramp_s, target - speed)
    return 0.5 * (speed + end) * ramp_s + end * (seconds - ramp_s), end


def _still(plan: _Plan) -> None:
    plan.add(plan.draw(8.0, 20.0))


def _slanted(plan: _Plan) -> None:
    plan.go_vertical(speed_m_s=plan.draw(1.0, 5.0), turn_rad_s=plan.draw(-0.5, 0.5), rough_m_s=plan.draw(0.0, 0.2))


def _mixed(plan: _Plan) -> None:
    kinds = (_hover, _ladder, _ladder, _slanted, _slanted, _cruise, _aggressive, *((_brisk,) * 4 if plan.brisk else ()))
    kinds[int(plan.rng.integers(len(kinds)))](plan)


_DRAW: dict[str, Callable[[_Plan], None]] = {
    "mixed": _mixed,
    "hover": _hover,
    "ladder": _ladder,
    "cruise": _cruise,
    "survey": _survey,
    "brisk": _brisk,
    "taps": _still,
}
"""What adds the next segments of a mission, by its name in catalog.MISSIONS."""


def plan_mission(
    name: str, airframe: Airframe, seconds: float, max_height_m: float, rng: np.random.Generator
) -> list[Segment]:
    """Segments from take-off to the ground for a flight of about `seconds`; the last is the landing."""
    if name not in MISSIONS:
        raise SpecError(f"mission {name!r} is not known; expected one of {', '.join(MISSIONS)}")
    plan = _Plan(rng, airframe, max_height_m, seconds - _GROUND_TIME_S, float(rng.uniform(0.7, 2.5)), [])
    if name == "mixed":
        more = rng.spawn(1)[0]
        plan.brisk, plan.vigour = bool(more.random() < _BRISK_SHARE), float(more.uniform(0.4, 1.0))
    rise = plan.draw(0.8, 2.0)
    plan.add(min(plan.draw(4.0, 8.0), max_height_m / rise, seconds / 6.0), climb_m_s=rise)
    plan.add(2.0)
    while plan.left_s > 3.0:
        _DRAW[name](plan)
    plan.segments.append(Segment(1.5))
    high = plan.height_m - FLARE_HEIGHT_M
    if high > 1.0:
        plan.segments.append(Segment(high / plan.down_m_s, climb_m_s=-plan.down_m_s))
    plan.segments.append(Segment(60.0, climb_m_s=-LAND_SPEED_M_S))
    return plan.segments


@dataclass(frozen=True)
class Tap:
    """A short push, half a sine over time. force (N) and moment (N·m) at its peak, body FRD."""

    start_s: float
    seconds: float
    force: tuple[float, float, float]
    moment: tuple[float, float, float]

    def at(self, seconds: float) -> float:
        """Share of the peak at a time."""
        part = (seconds - self.start_s) / self.seconds
        return math.sin(math.pi * part) if 0.0 < part < 1.0 else 0.0


def draw_taps(vehicle: VehicleModel, seconds: float, rng: np.random.Generator) -> tuple[Tap, ...]:
    """Taps on the frame, one every second or so. Each turns the vehicle by 15 to 90 deg/s within 20 to 70 ms."""
    taps = []
    now = 10.0 + float(rng.exponential(1.0))
    while now < seconds - 8.0:
        duration = float(rng.uniform(0.02, 0.07))
        # Half a sine has 2/π of its peak in the mean.
        peak = math.pi / 2.0 / duration
        side, turn = float(rng.uniform(-math.pi, math.pi)), math.radians(float(rng.uniform(15.0, 90.0))) * peak
        ixx, iyy, _ = vehicle.inertia_kg_m2
        moment = (ixx * turn * math.cos(side), iyy * turn * math.sin(side), 0.0)
        push = vehicle.mass_kg * peak * rng.normal(0.0, 0.04, 3)
        taps.append(Tap(now, duration, (float(push[0]), float(push[1]), float(push[2])), moment))
        now += 0.15 + float(rng.exponential(0.8))
    return tuple(taps)
