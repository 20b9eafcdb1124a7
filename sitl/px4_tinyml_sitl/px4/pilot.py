"""A mission flown by PX4 through MAVSDK: take-off, the plan's segments as setpoints, landing."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from px4_tinyml.errors import LinkError, ToolchainError
from px4_tinyml_sitl.autopilot import OUTER_HZ, Guidance
from px4_tinyml_sitl.flight import FlightPlan
from px4_tinyml_sitl.px4.hil_loop import HilLoop

log = logging.getLogger(__name__)

_CONNECT_S = 30.0
_READY_S, _TAKE_OFF_S, _LAND_S = 120.0, 40.0, 120.0
"""Simulated time."""
_TAKE_OFF_M = 2.5
_PERIOD_US = 1_000_000 // OUTER_HZ


def load_mavsdk() -> Any:
    """The mavsdk package. Raises ToolchainError that names the extra if it is missing."""
    try:
        import mavsdk.mavsdk as module
    except ImportError as error:
        raise ToolchainError(
            "flying PX4 needs MAVSDK 4 or later, which is not installed: pip install 'px4-tinyml[live]'"
        ) from error
    return module


def _quiet() -> None:
    """Redirect MAVSDK's log from stdout, which is for results."""
    from mavsdk.logging import log_subscribe

    def forward(level: int, message: str, file: str | None, line: int) -> bool:
        log.debug("mavsdk: %s", message)
        return True

    log_subscribe(forward)


class Pilot:
    """Commands one PX4 over MAVSDK. Use as a context manager."""

    def __init__(self, port: int, loop: HilLoop) -> None:
        """port: UDP, where PX4 sends its onboard link."""
        mavsdk = load_mavsdk()
        from mavsdk.component_type import ComponentType
        from mavsdk.plugins.action import Action
        from mavsdk.plugins.offboard import Offboard
        from mavsdk.plugins.telemetry import Telemetry

        self._loop = loop
        self.airborne = False
        """Whether it has taken off."""
        _quiet()
        self._mavsdk = mavsdk.Mavsdk(mavsdk.Configuration.create_with_component_type(ComponentType.GROUND_STATION))
        try:
            self._mavsdk.add_any_connection(f"udpin://127.0.0.1:{port}")
            system = self._mavsdk.first_autopilot(_CONNECT_S)
            if system is None:
                raise LinkError(f"no autopilot found on UDP {port} within {_CONNECT_S:.0f} s")
            self._action, self._telemetry, self._offboard = Action(system), Telemetry(system), Offboard(system)
        except BaseException:
            self._mavsdk.destroy()
            raise

    def __enter__(self) -> Pilot:
        return self

    def __exit__(self, *_: object) -> None:
        self._mavsdk.destroy()

    def fly(self, plan: FlightPlan) -> None:
        """Fly the whole plan. Raises LinkError with the step that PX4 did not execute."""
        self._expect(self._telemetry.health_all_ok, _READY_S, "be ready to fly")
        self._try("set the take-off height", self._action.set_takeoff_altitude, _TAKE_OFF_M)
        self._arm()
        self._try("take off", self._action.takeoff)
        self._expect(lambda: self._position().down_m < -0.8 * _TAKE_OFF_M, _TAKE_OFF_S, "take off")
        self.airborne = True
        self._segments(plan)
        self._try("land", self._action.land)
        self._expect(lambda: not self._telemetry.armed(), _LAND_S, "land and disarm")

    def _arm(self) -> None:
        """Arm, with retries: health is reported a little before PX4's own checks pass."""
        refused: list[LinkError] = []

        def armed() -> bool:
            try:
                self._try("arm", self._action.arm)
            except LinkError as error:
                refused.append(error)
                return False
            return True

        if not self._loop.wait(armed, _READY_S, 0.3):
            raise refused[-1]

    def _position(self) -> Any:
        return self._telemetry.position_velocity_ned().position

    def _segments(self, plan: FlightPlan) -> None:
        """Follow the plan's guidance up to its landing."""
        from mavsdk.plugins.offboard import PositionNedYaw, VelocityNedYaw

        guidance = Guidance(plan.segments, plan.heading_rad)
        place = self._position()
        guidance.position = [place.north_m, place.east_m, place.down_m]

        def demand() -> None:
            yaw_deg = math.degrees(math.remainder(guidance.yaw, 2.0 * math.pi))
            self._offboard.set_position_velocity_ned(
                PositionNedYaw(*guidance.position, yaw_deg), VelocityNedYaw(*guidance.velocity, yaw_deg)
            )

        demand()
        self._try("follow setpoints", self._offboard.start)
        done_us = self._loop.time_us
        while not guidance.landing:
            self._loop.raise_error()
            if not self._telemetry.armed():
                raise LinkError("PX4 disarmed in the middle of the mission")
            time.sleep(0.002)
            while done_us + _PERIOD_US <= self._loop.time_us and not guidance.landing:
                guidance.step((0.0, 0.0, 0.0))
                done_us += _PERIOD_US
            demand()

    def _expect(self, done: Any, simulated_s: float, what: str) -> None:
        if not self._loop.wait(done, simulated_s, 0.02):
            raise LinkError(f"PX4 did not {what} within {simulated_s:.0f} s")

    def _try(self, what: str, command: Any, *values: float) -> None:
        try:
            command(*values)
        except Exception as error:  # every plugin of MAVSDK has its own class
            self._loop.raise_error()
            raise LinkError(f"PX4 refused to {what}: {error}") from error
