"""Missions: lists of segments, drawn for an airframe and a duration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml_sitl.catalog import MISSIONS, Airframe

MIN_HEIGHT_M = 2.0
LAND_SPEED_M_S = 0.7
FLARE_HEIGHT_M = 2.5
"""Below this height a landing descends at LAND_SPEED_M_S."""

_GROUND_TIME_S = 10.0
"""Time before take-off, after touch-down, and lag of the setpoints."""


@dataclass(frozen=True)
class Segment:
    """Constant setpoints for a time.

    speed_m_s: along the course; climb_m_s: up; turn_rad_s: rate of the course; yaw_rad_s: of the nose against the
    course; accel_m_s2: limit on changes of speed; rough_m_s: noise of the pilot's stick (rms).
    """

    seconds: float
    speed_m_s: float = 0.0
    climb_m_s: float = 0.0
    turn_rad_s: float = 0.0
    yaw_rad_s: float = 0.0
    accel_m_s2: float = 2.0
    rough_m_s: float = 0.0


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

    @property
    def left_s(self) -> float:
        """Time until the final descent must begin."""
        high = max(self.height_m - FLARE_HEIGHT_M, 0.0)
        return self.budget_s - self.seconds - high / self.down_m_s - FLARE_HEIGHT_M / LAND_SPEED_M_S

    def add(self, seconds: float, **demands: float) -> None:
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


def _slanted(plan: _Plan) -> None:
    plan.go_vertical(speed_m_s=plan.draw(1.0, 5.0), turn_rad_s=plan.draw(-0.5, 0.5), rough_m_s=plan.draw(0.0, 0.2))


def _mixed(plan: _Plan) -> None:
    kinds = (_hover, _ladder, _ladder, _slanted, _slanted, _cruise, _aggressive)
    kinds[int(plan.rng.integers(len(kinds)))](plan)


_DRAW: dict[str, Callable[[_Plan], None]] = {
    "mixed": _mixed,
    "hover": _hover,
    "ladder": _ladder,
    "cruise": _cruise,
    "survey": _survey,
}
"""What adds the next segments of a mission, by its name in catalog.MISSIONS."""


def plan_mission(
    name: str, airframe: Airframe, seconds: float, max_height_m: float, rng: np.random.Generator
) -> list[Segment]:
    """Segments from take-off to the ground for a flight of about `seconds`; the last is the landing."""
    if name not in MISSIONS:
        raise SpecError(f"mission {name!r} is not known; expected one of {', '.join(MISSIONS)}")
    plan = _Plan(rng, airframe, max_height_m, seconds - _GROUND_TIME_S, float(rng.uniform(0.7, 2.5)), [])
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
