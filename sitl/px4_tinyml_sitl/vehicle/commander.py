"""Modes, arming and commands, with PX4's answers (src/modules/commander/Commander.cpp, v1.17).

Modes: Takeoff, Hold, Mission, Return and Land. Modes that need a pilot's stick or setpoints are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml_sitl.autopilot import OUTER_HZ, Guidance
from px4_tinyml_sitl.vehicle.state import Mode, VehicleState

FORCE = 21196
"""param2 of MAV_CMD_COMPONENT_ARM_DISARM that skips the checks."""
_ARRIVED_M = 0.3
_RTL_MIN_DIST_M = 10.0
"""Nearer to home than this, Return does not climb first."""
_RELATIVE_FRAMES = (mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT, mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT)


class Refusal(Exception):
    """A command is refused: the result for COMMAND_ACK, the reason for STATUSTEXT."""

    def __init__(self, result: int, reason: str, severity: int = mavlink.MAV_SEVERITY_CRITICAL) -> None:
        super().__init__(reason)
        self.result, self.severity = result, severity


@dataclass(frozen=True)
class MavCommand:
    """A COMMAND_LONG or COMMAND_INT. param5 and param6 of a COMMAND_INT: its x and y in degrees (NaN: none)."""

    number: int
    param1: float = math.nan
    param2: float = math.nan
    param3: float = math.nan
    param4: float = math.nan
    param5: float = math.nan
    param6: float = math.nan
    param7: float = math.nan
    frame: int = 0


def whole(value: float, missing: int = -1) -> int:
    """A parameter that holds an integer; `missing` for NaN and infinity."""
    return round(value) if math.isfinite(value) else missing


class Commander:
    """In command of one flight. say: sends a STATUSTEXT; mission: draws the guidance of the next mission."""

    def __init__(self, state: VehicleState, say: Callable[[int, str], None], mission: Callable[[], Guidance]) -> None:
        self._state, self._say, self._mission = state, say, mission
        self._flight, self._parameters, self._home = state.flight, state.parameters, state.home
        self._return_phase = 0
        self._takeoff_m = 0.0
        """Height above home in the take-off command; MIS_TAKEOFF_ALT is used where that is more."""
        self._idle_s = 0.0
        self._was_armed = False
        self._commands: dict[int, Callable[[MavCommand], None]] = {
            mavlink.MAV_CMD_COMPONENT_ARM_DISARM: self._arm_disarm,
            mavlink.MAV_CMD_NAV_TAKEOFF: self._take_off,
            mavlink.MAV_CMD_NAV_LAND: lambda c: self.switch(Mode.LAND),
            mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: lambda c: self.switch(Mode.RETURN),
            mavlink.MAV_CMD_MISSION_START: lambda c: self.switch(Mode.MISSION),
            mavlink.MAV_CMD_DO_SET_MODE: self._do_set_mode,
            mavlink.MAV_CMD_DO_REPOSITION: self._reposition,
            mavlink.MAV_CMD_DO_CHANGE_SPEED: self._change_speed,
            mavlink.MAV_CMD_DO_FLIGHTTERMINATION: self._terminate,
        }

    # Commands. Each method raises Refusal.

    def command(self, command: MavCommand) -> None:
        """Execute a command. Raises Refusal."""
        if command.number not in self._commands:
            raise Refusal(mavlink.MAV_RESULT_UNSUPPORTED, f"Command {command.number} is not supported here")
        self._commands[command.number](command)

    def attempt(self, action: Callable[[], None]) -> int:
        """Run an action; a refusal is sent as STATUSTEXT, and its result returned."""
        try:
            action()
        except Refusal as refusal:
            self._say(refusal.severity, str(refusal))
            return refusal.result
        accepted: int = mavlink.MAV_RESULT_ACCEPTED
        return accepted

    def _arm_disarm(self, c: MavCommand) -> None:
        if c.param1 not in (0.0, 1.0):
            raise Refusal(mavlink.MAV_RESULT_UNSUPPORTED, f"Unsupported ARM_DISARM param: {c.param1:.3f}")
        (self.arm if c.param1 else self.disarm)(c.param2 == FORCE)

    def arm(self, forced: bool = False) -> None:
        """Arm on the ground. In Takeoff and Mission mode flight follows at once."""
        flight = self._flight
        if flight.armed:
            return
        if not forced and not flight.landed:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "Arming denied: not landed")
        if flight.tipped:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "Arming denied: not upright (a reboot picks it up)")
        flight.arm()
        self._idle_s = 0.0
        self._was_armed = True
        self._home.set(flight.row)
        self._say(mavlink.MAV_SEVERITY_INFO, "Armed by external command")
        if self._state.mode in (Mode.TAKEOFF, Mode.MISSION):
            self._begin(self._state.mode)

    def disarm(self, forced: bool = False) -> None:
        """Stop the motors; in flight only if forced."""
        if not self._flight.armed:
            return
        if not forced and not self._flight.landed:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "Disarming denied: not landed")
        self._flight.disarm()
        self._after_disarm("external command")

    def _after_disarm(self, reason: str) -> None:
        self._was_armed = False
        self._state.mode = Mode.HOLD
        self._say(mavlink.MAV_SEVERITY_INFO, f"Disarmed by {reason}")

    def switch(self, mode: Mode) -> None:
        """Change the flight mode: it takes effect at once in flight, with arming on the ground."""
        if mode in (Mode.LAND, Mode.RETURN) and not self._flight.wants_flight:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, f"{mode.name.title()} denied: not flying")
        if mode is Mode.TAKEOFF and self._flight.wants_flight:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "Takeoff denied: already flying")
        self._state.mode = mode
        if self._flight.armed:
            self._begin(mode)

    def _take_off(self, c: MavCommand) -> None:
        home = self._home
        self._takeoff_m = c.param7 - home.elevation_m + home.position[2] if math.isfinite(c.param7) else 0.0
        self.switch(Mode.TAKEOFF)

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
        north, east, down = guide.position
        guide.speed_m_s = parameters["MPC_XY_CRUISE"]
        guide.up_m_s, guide.down_m_s = parameters["MPC_Z_V_AUTO_UP"], parameters["MPC_Z_V_AUTO_DN"]
        if mode is Mode.TAKEOFF:
            guide.up_m_s = parameters["MPC_TKO_SPEED"]
            height = max(self._takeoff_m, parameters["MIS_TAKEOFF_ALT"])
            guide.go_to(north, east, down - height)
            flight.wants_flight = True
            self._say(mavlink.MAV_SEVERITY_INFO, f"Takeoff to {height:.1f} m above home")
        elif mode is Mode.LAND:
            guide.land()
            self._say(mavlink.MAV_SEVERITY_INFO, "Landing at current position")
        elif mode is Mode.RETURN:
            self._return_phase = 0
            home = self._home.position
            near = math.hypot(north - home[0], east - home[1]) < _RTL_MIN_DIST_M
            guide.go_to(north, east, down if near else min(home[2] - parameters["RTL_RETURN_ALT"], down))
            self._say(mavlink.MAV_SEVERITY_INFO, f"RTL: start return at {home[2] - guide.target[2]:.0f} m")
        else:
            guide.hold()

    def _do_set_mode(self, c: MavCommand) -> None:
        self.set_mode(whole(c.param1, 0), whole(c.param2, 0), whole(c.param3, 0))

    def set_mode(self, base_mode: int, main: int, sub: int) -> None:
        """MAV_CMD_DO_SET_MODE and SET_MODE: PX4's custom modes only."""
        modes = {mode.px4_mode: mode for mode in Mode}
        if not base_mode & mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED or (main, sub) not in modes:
            reason = f"Switching to mode {main}/{sub} is not possible here"
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, reason)
        self.switch(modes[main, sub])

    def _reposition(self, c: MavCommand) -> None:
        if whole(c.param2) != mavlink.MAV_DO_REPOSITION_FLAGS_CHANGE_MODE:
            raise Refusal(mavlink.MAV_RESULT_UNSUPPORTED, "Reposition without a change of mode is not supported")
        if not self._flight.wants_flight:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "Reposition denied: not flying")
        self.switch(Mode.HOLD)
        guide = self._flight.commanded
        north, east, down = guide.target
        if math.isfinite(c.param5) and math.isfinite(c.param6):
            north, east = self._home.local(c.param5, c.param6)
        if math.isfinite(c.param7):
            relative = c.frame in _RELATIVE_FRAMES
            down = (self._home.position[2] if relative else self._home.elevation_m) - c.param7
        if math.isfinite(c.param1) and c.param1 > 0.0:
            guide.speed_m_s = min(max(c.param1, 0.5), self._max_speed_m_s())
        guide.go_to(north, east, down, c.param4 if math.isfinite(c.param4) else None)

    def _change_speed(self, c: MavCommand) -> None:
        if not (math.isfinite(c.param2) and c.param2 > 0.0):
            raise Refusal(mavlink.MAV_RESULT_DENIED, "Speed denied: above 0 m/s expected")
        self._flight.commanded.speed_m_s = min(c.param2, self._max_speed_m_s())

    def _max_speed_m_s(self) -> float:
        return 0.75 * self._flight.plan.vehicle.airframe.max_speed_m_s

    def _terminate(self, c: MavCommand) -> None:
        if not (c.param1 > 0.5 and self._flight.armed):
            raise Refusal(mavlink.MAV_RESULT_DENIED, "Termination denied: not armed")
        self.disarm(forced=True)

    # Changes without a command

    def update(self) -> None:
        """One period of OUTER_HZ: end of take-off, phases of Return, auto-disarm, failure detector."""
        flight, parameters, state = self._flight, self._parameters, self._state
        if self._was_armed and not flight.armed:
            self._after_disarm("failure detector")
            return
        if not flight.armed:
            return
        arrived = flight.commanded.distance_m() < _ARRIVED_M
        if state.mode is Mode.TAKEOFF and flight.wants_flight and arrived and not flight.landed:
            self.switch(Mode.HOLD)
        elif state.mode is Mode.RETURN and arrived:
            self._next_return_phase()
        idle = not flight.wants_flight or (flight.landed and flight.guidance.landing)
        self._idle_s = self._idle_s + 1.0 / OUTER_HZ if idle else 0.0
        limit = parameters["COM_DISARM_LAND" if flight.wants_flight else "COM_DISARM_PRFLT"]
        if idle and 0.0 < limit < self._idle_s:
            reason = "landing" if flight.wants_flight else "auto preflight disarming"
            flight.disarm()
            self._after_disarm(reason)

    def _next_return_phase(self) -> None:
        guide, home = self._flight.commanded, self._home.position
        self._return_phase += 1
        if self._return_phase == 1:
            guide.go_to(home[0], home[1], guide.target[2])
        elif self._return_phase == 2:
            guide.land()
