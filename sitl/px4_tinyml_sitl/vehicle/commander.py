"""Modes, arming and commands, with PX4's answers (src/modules/commander/Commander.cpp, v1.17).

Modes: Takeoff, Hold, Mission, Return and Land. Modes that need a pilot's stick or setpoints are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

from px4_tinyml_sitl.autopilot import OUTER_HZ, Guidance
from px4_tinyml_sitl.vehicle.geo import Home
from px4_tinyml_sitl.vehicle.parameters import Parameters
from px4_tinyml_sitl.vehicle.simulation import LiveFlight

FORCE = 21196
"""param2 of MAV_CMD_COMPONENT_ARM_DISARM that skips the checks."""
MAIN_MODE_AUTO = 4
_ARRIVED_M = 0.3
_HOME_RADIUS_M = 10.0
"""RTL_MIN_DIST: nearer than this it does not climb first."""
_RELATIVE_FRAMES = (3, 6)
"""MAV_FRAME_GLOBAL_RELATIVE_ALT(_INT)."""


class Mode(IntEnum):
    """vehicle_status.nav_state."""

    MISSION = 3
    HOLD = 4
    RETURN = 5
    TAKEOFF = 17
    LAND = 18


SUB_MODES = {Mode.TAKEOFF: 2, Mode.HOLD: 3, Mode.MISSION: 4, Mode.RETURN: 5, Mode.LAND: 6}
"""PX4_CUSTOM_SUB_MODE_AUTO, for custom_mode."""


class MavResult(IntEnum):
    """MAV_RESULT."""

    ACCEPTED = 0
    TEMPORARILY_REJECTED = 1
    DENIED = 2
    UNSUPPORTED = 3
    FAILED = 4
    IN_PROGRESS = 5


class Severity(IntEnum):
    """MAV_SEVERITY."""

    CRITICAL = 2
    WARNING = 4
    INFO = 6


Params = tuple[float, float, float, float, float, float, float]
"""param1 to param7 of a command; x and y of a COMMAND_INT in degrees."""


class Commander:
    """In command of one flight. say(severity, text) tells the ground; mission draws the next mission's guidance."""

    def __init__(
        self,
        flight: LiveFlight,
        parameters: Parameters,
        home: Home,
        say: Callable[[Severity, str], None],
        mission: Callable[[], Guidance],
    ) -> None:
        self.mode = Mode.HOLD
        self._flight, self._parameters, self._home, self._say, self._mission = flight, parameters, home, say, mission
        self._return_phase = 0
        self._takeoff_m = 0.0
        """Height asked for with the command, above home; MIS_TAKEOFF_ALT when that is more."""
        self._idle_s = 0.0
        self._was_armed = False

    @property
    def custom_mode(self) -> int:
        """custom_mode of HEARTBEAT."""
        return MAIN_MODE_AUTO << 16 | SUB_MODES[self.mode] << 24

    # Commands (MAV_CMD)

    def command(self, number: int, p: Params, frame: int) -> MavResult:
        """Do what a command says."""
        handlers: dict[int, Callable[[Params, int], MavResult]] = {
            400: self._arm_disarm,
            22: self._take_off,
            21: lambda p, f: self.switch(Mode.LAND),
            20: lambda p, f: self.switch(Mode.RETURN),
            300: lambda p, f: self.switch(Mode.MISSION),
            176: self._set_mode,
            192: self._reposition,
            178: self._change_speed,
            185: self._terminate,
        }
        if number not in handlers:
            return self.refuse(MavResult.UNSUPPORTED, f"Command {number} is not supported here")
        return handlers[number](p, frame)

    def refuse(self, result: MavResult, why: str) -> MavResult:
        """Tell why, and return the result."""
        self._say(Severity.CRITICAL, why)
        return result

    def _arm_disarm(self, p: Params, frame: int) -> MavResult:
        if p[0] not in (0.0, 1.0):
            return self.refuse(MavResult.UNSUPPORTED, f"Unsupported ARM_DISARM param: {p[0]:.3f}")
        forced = p[1] == FORCE
        return self.arm(forced) if p[0] else self.disarm(forced)

    def arm(self, forced: bool = False) -> MavResult:
        """Arm on the ground. In Takeoff and Mission flight follows at once."""
        flight = self._flight
        if flight.armed:
            return MavResult.ACCEPTED
        if not forced and not flight.landed:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, "Arming denied: not landed")
        if flight.tipped:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, "Arming denied: not upright (a reboot picks it up)")
        flight.arm()
        self._idle_s = 0.0
        self._was_armed = True
        self._home.set(flight.row)
        self._say(Severity.INFO, "Armed by external command")
        if self.mode in (Mode.TAKEOFF, Mode.MISSION):
            self._begin(self.mode)
        return MavResult.ACCEPTED

    def disarm(self, forced: bool = False) -> MavResult:
        """Motors off; in flight only by force."""
        if not self._flight.armed:
            return MavResult.ACCEPTED
        if not forced and not self._flight.landed:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, "Disarming denied: not landed")
        self._flight.disarm()
        self._after_disarm("external command")
        return MavResult.ACCEPTED

    def _after_disarm(self, why: str) -> None:
        self._was_armed = False
        self.mode = Mode.HOLD
        self._say(Severity.INFO, f"Disarmed by {why}")

    def switch(self, mode: Mode) -> MavResult:
        """Change the flight mode; what it does in flight begins at once, on the ground with arming."""
        if mode in (Mode.LAND, Mode.RETURN) and not self._flight.wants_flight:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, f"{mode.name.title()} denied: not flying")
        if mode is Mode.TAKEOFF and self._flight.wants_flight:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, "Takeoff denied: already flying")
        self.mode = mode
        if self._flight.armed:
            self._begin(mode)
        return MavResult.ACCEPTED

    def _take_off(self, p: Params, frame: int) -> MavResult:
        self._takeoff_m = p[6] - self._home.elevation_m + self._home.position[2] if math.isfinite(p[6]) else 0.0
        return self.switch(Mode.TAKEOFF)

    def _begin(self, mode: Mode) -> None:
        flight, parameters = self._flight, self._parameters
        if mode is Mode.MISSION:
            flight.take_command()
            flight.guide(self._mission())
            flight.wants_flight = True
            return
        if mode is Mode.HOLD and not flight.wants_flight:
            return
        guide = flight.take_command()
        guide.speed_m_s = parameters["MPC_XY_CRUISE"]
        guide.up_m_s, guide.down_m_s = parameters["MPC_Z_V_AUTO_UP"], parameters["MPC_Z_V_AUTO_DN"]
        if mode is Mode.TAKEOFF:
            guide.up_m_s = parameters["MPC_TKO_SPEED"]
            height = max(self._takeoff_m, parameters["MIS_TAKEOFF_ALT"])
            guide.go_to(guide.position[0], guide.position[1], guide.position[2] - height)
            flight.wants_flight = True
            self._say(Severity.INFO, f"Takeoff to {height:.1f} m above home")
        elif mode is Mode.LAND:
            guide.land()
            self._say(Severity.INFO, "Landing at current position")
        elif mode is Mode.RETURN:
            self._return_phase = 0
            home = self._home.position
            near = math.hypot(guide.position[0] - home[0], guide.position[1] - home[1]) < _HOME_RADIUS_M
            high = home[2] - parameters["RTL_RETURN_ALT"]
            guide.go_to(
                guide.position[0], guide.position[1], guide.position[2] if near else min(high, guide.position[2])
            )
            self._say(Severity.INFO, f"RTL: start return at {home[2] - guide.target[2]:.0f} m")
        else:
            guide.hold()

    def _set_mode(self, p: Params, frame: int) -> MavResult:
        base, main, sub = (int(value) if math.isfinite(value) else 0 for value in p[:3])
        return self.set_mode(base, main, sub)

    def set_mode(self, base_mode: int, main: int, sub: int) -> MavResult:
        """MAV_CMD_DO_SET_MODE and SET_MODE: PX4's own modes only."""
        if not base_mode & 1 or main != MAIN_MODE_AUTO:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, f"Switching to mode {main}/{sub} is not possible here")
        for mode, number in SUB_MODES.items():
            if number == sub:
                return self.switch(mode)
        return self.refuse(MavResult.TEMPORARILY_REJECTED, f"Switching to mode {main}/{sub} is not possible here")

    def _reposition(self, p: Params, frame: int) -> MavResult:
        flags = int(p[1]) if math.isfinite(p[1]) else 0
        if flags != 1:
            return self.refuse(MavResult.UNSUPPORTED, "Reposition without a change of mode is not supported")
        if not self._flight.wants_flight:
            return self.refuse(MavResult.TEMPORARILY_REJECTED, "Reposition denied: not flying")
        self.switch(Mode.HOLD)
        guide = self._flight.commanded
        north, east = self._home.local(p[4], p[5]) if math.isfinite(p[4]) and math.isfinite(p[5]) else guide.target[:2]
        down = guide.target[2]
        if math.isfinite(p[6]):
            down = self._home.position[2] - p[6] if frame in _RELATIVE_FRAMES else self._home.elevation_m - p[6]
        if math.isfinite(p[0]) and p[0] > 0.0:
            guide.speed_m_s = min(max(p[0], 0.5), self._parameters_limit())
        guide.go_to(north, east, down, p[3] if math.isfinite(p[3]) else None)
        return MavResult.ACCEPTED

    def _change_speed(self, p: Params, frame: int) -> MavResult:
        if not (math.isfinite(p[1]) and p[1] > 0.0):
            return self.refuse(MavResult.DENIED, "Speed denied: above 0 m/s expected")
        self._flight.commanded.speed_m_s = min(p[1], self._parameters_limit())
        return MavResult.ACCEPTED

    def _parameters_limit(self) -> float:
        return 0.75 * self._flight.plan.vehicle.airframe.max_speed_m_s

    def _terminate(self, p: Params, frame: int) -> MavResult:
        if not (p[0] > 0.5 and self._flight.armed):
            return self.refuse(MavResult.DENIED, "Termination denied: not armed")
        return self.disarm(forced=True)

    # What happens by itself

    def update(self) -> None:
        """One period of OUTER_HZ: take-off reached, way home, landed, forgotten on the ground."""
        flight, parameters = self._flight, self._parameters
        if self._was_armed and not flight.armed:
            self._after_disarm("failure detector")
            return
        if not flight.armed:
            return
        guide = flight.commanded
        if self.mode is Mode.TAKEOFF and flight.wants_flight and guide.distance_m() < _ARRIVED_M and not flight.landed:
            self.switch(Mode.HOLD)
        elif self.mode is Mode.RETURN and guide.distance_m() < _ARRIVED_M:
            self._go_home()
        waits = not flight.wants_flight or (flight.landed and flight.landing)
        self._idle_s = self._idle_s + 1.0 / OUTER_HZ if waits else 0.0
        limit = parameters["COM_DISARM_LAND" if flight.wants_flight else "COM_DISARM_PRFLT"]
        if waits and 0.0 < limit < self._idle_s:
            why = "landing" if flight.wants_flight else "auto preflight disarming"
            flight.disarm()
            self._after_disarm(why)

    def _go_home(self) -> None:
        guide, home = self._flight.commanded, self._home.position
        self._return_phase += 1
        if self._return_phase == 1:
            guide.go_to(home[0], home[1], guide.target[2])
        elif self._return_phase == 2:
            guide.land()
