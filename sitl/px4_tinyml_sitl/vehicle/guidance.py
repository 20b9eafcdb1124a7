"""Setpoints for the commands of a ground station: take off, go to, hold, land."""

from __future__ import annotations

import math

from px4_tinyml_sitl.autopilot import OUTER_HZ, Guidance
from px4_tinyml_sitl.missions import FLARE_HEIGHT_M, LAND_SPEED_M_S, Segment

_DT = 1.0 / OUTER_HZ
_ACCEL_M_S2 = 2.5
_ARRIVE_PER_S = 0.6
"""Speed setpoint over distance, near the target."""
_YAW_RAD_S = 0.8


class CommandedGuidance(Guidance):
    """Moves the setpoint to a target (NED from home, m) within speeds, at OUTER_HZ."""

    def __init__(self, heading_rad: float) -> None:
        super().__init__([Segment(0.0)], heading_rad)
        self.target = [0.0, 0.0, 0.0]
        self.target_yaw = heading_rad
        self.speed_m_s, self.up_m_s, self.down_m_s = 5.0, 3.0, 1.5

    def start(self, position: list[float], velocity: list[float], yaw: float) -> None:
        """Start at a position and velocity, and hold."""
        self.position, self.velocity, self.yaw = list(position), list(velocity), yaw
        self.hold()

    def hold(self) -> None:
        """Stop as soon as the acceleration limit allows."""
        self.landing = False
        self.target_yaw = self.yaw
        self.target = [
            place + speed * abs(speed) / (2.0 * _ACCEL_M_S2)
            for place, speed in zip(self.position, self.velocity, strict=True)
        ]

    def go_to(self, north: float, east: float, down: float, yaw: float | None = None) -> None:
        """Go to a position; None keeps the heading."""
        self.landing = False
        self.target = [north, east, down]
        self.target_yaw = self.yaw if yaw is None else yaw

    def land(self) -> None:
        self.hold()
        self.landing = True

    def distance_m(self) -> float:
        """From the setpoint to the target."""
        return math.dist(self.position, self.target)

    def step(self, noise: tuple[float, float, float]) -> None:
        """Advance by one period; the noise of the pilot's stick is not used."""
        away = [wanted - is_ for wanted, is_ in zip(self.target, self.position, strict=True)]
        distance = math.hypot(away[0], away[1])
        share = _approach(distance, self.speed_m_s) / distance if distance > 1e-6 else 0.0
        if self.landing:
            down = LAND_SPEED_M_S if -self.position[2] < FLARE_HEIGHT_M else self.down_m_s
        else:
            down = math.copysign(_approach(abs(away[2]), self.down_m_s if away[2] > 0.0 else self.up_m_s), away[2])
        limit = _ACCEL_M_S2 * _DT
        for axis, wanted in enumerate((share * away[0], share * away[1], down)):
            change = wanted - self.velocity[axis]
            self.velocity[axis] += min(max(change, -limit), limit)
            self.position[axis] += self.velocity[axis] * _DT
        turn = math.remainder(self.target_yaw - self.yaw, 2.0 * math.pi)
        self.yaw += min(max(turn, -_YAW_RAD_S * _DT), _YAW_RAD_S * _DT)


def _approach(distance: float, speed: float) -> float:
    return min(speed, _ARRIVE_PER_S * distance, math.sqrt(_ACCEL_M_S2 * distance))
