"""One MAVLink channel of the vehicle (an instance, in PX4): its streams, and an answer to every question."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from px4_tinyml.link.transports import Peer
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml_sitl.vehicle.commander import Commander, MavResult, Params, Severity
from px4_tinyml_sitl.vehicle.log_server import LogServer, LogStream
from px4_tinyml_sitl.vehicle.onboard_log import OnboardLog
from px4_tinyml_sitl.vehicle.parameters import HASH_NAME, TYPE_UINT32, VehicleParameter, int_as_float
from px4_tinyml_sitl.vehicle.state import VehicleState
from px4_tinyml_sitl.vehicle.vehicle_streams import ECHO_HZ, ECHOED, HEARTBEAT, STREAMS, LinkMode, Memory
from px4_tinyml_sitl.vehicle.wire import Wire

TICK_US = 2_500
"""The fastest stream is one message a tick, which is less than any IMU's sampling interval: every sample goes out."""
_PARAMETERS_PER_TICK = 5
_TEXT_SIZE = 50
_LOG_REQUESTS = ("LOG_REQUEST_LIST", "LOG_REQUEST_DATA", "LOG_REQUEST_END", "LOG_ERASE")
_MESSAGE_INTERVAL = 244
_REQUESTED: dict[int, int] = {519: 300, 520: 148, 410: 242, 528: 264}
"""Commands older than MAV_CMD_REQUEST_MESSAGE, and the messages they ask for."""
_BROADCAST = (519, 520)
"""MAV_CMD_REQUEST_PROTOCOL_VERSION and _AUTOPILOT_CAPABILITIES are answered without a target, too."""
_FAILURE_UNITS = {0: "imu", 1: "imu", 3: "baro", 4: "gps"}
"""FAILURE_UNIT of MAV_CMD_INJECT_FAILURE: gyro, accelerometer, barometer, GPS."""
_FAILURE_OK, _FAILURE_OFF = 0, 1

_log = logging.getLogger(__name__)


class Station(Protocol):
    """What a channel needs of the vehicle it belongs to."""

    state: VehicleState
    commander: Commander
    log: OnboardLog
    stream: tuple[LogStream, MavlinkChannel] | None
    echoes: dict[int, tuple[int, Any]]

    def say(self, severity: Severity, text: str) -> None: ...

    def forward(self, frame: Frame, channel: MavlinkChannel, peer: Peer) -> None: ...

    def reboot(self) -> None: ...

    def set_air(self) -> None: ...


@dataclass
class _Running:
    """A stream being sent. interval_us < 0: whenever there is something new."""

    interval_us: int
    last_us: int
    memory: Memory = field(default_factory=dict)


class MavlinkChannel:
    """Speaks for the vehicle on one wire."""

    def __init__(self, wire: Wire, station: Station, mode: LinkMode) -> None:
        self.wire, self.mode = wire, mode
        self._station = station
        self._mavlink = mavlink.MAVLink(None, station.state.system_id, 1)
        self._running: dict[int, _Running] = {}
        self._seen: set[tuple[int, int]] = set()
        self._parameters_due: list[VehicleParameter] = []
        self._logs = LogServer(station.log, self.send, lambda: wire.busy)
        self._text_id = 0
        for number in (*STREAMS, *ECHOED):
            self._configure(number, self._default_hz(number))
        self._handlers: dict[str, Callable[[Any, Frame], None]] = {
            "COMMAND_LONG": self._command_long, "COMMAND_INT": self._command_int, "SET_MODE": self._set_mode,
            "PARAM_REQUEST_LIST": self._parameter_list, "PARAM_REQUEST_READ": self._parameter_read,
            "PARAM_SET": self._parameter_set, "TIMESYNC": self._timesync, "PING": self._ping,
            "LOGGING_ACK": self._logging_ack, "MISSION_REQUEST_LIST": self._mission_list,
            "MISSION_COUNT": self._mission_upload, "MISSION_CLEAR_ALL": self._mission_clear,
            **dict.fromkeys(_LOG_REQUESTS, self._logs_request),
        }  # fmt: skip

    # Sending

    def send(self, message: Any) -> bool:
        """Pack (and sign) a message and send it to everybody on this wire."""
        if self.wire.signing is not None:
            self.wire.signing.apply(self._mavlink)
        data = bytes(message.pack(self._mavlink))
        self._mavlink.seq = (self._mavlink.seq + 1) % 256
        return self.wire.send(data)

    def say(self, severity: Severity, text: str) -> None:
        """STATUSTEXT, in pieces when it is long."""
        raw = text.encode()
        pieces = [raw[at : at + _TEXT_SIZE] for at in range(0, len(raw), _TEXT_SIZE)]
        number = 0
        if len(pieces) > 1:
            self._text_id = number = self._text_id % 0xFFFF + 1
        for index, piece in enumerate(pieces):
            self.send(mavlink.MAVLink_statustext_message(int(severity), piece, number, index))

    def update(self, now_us: int) -> None:
        """One tick: send what is due."""
        station = self._station
        multiplier = self._rate_multiplier() if self.wire.address.kind == "serial" else 1.0
        for number, running in self._running.items():
            interval = running.interval_us if number == HEARTBEAT else running.interval_us / multiplier
            elapsed = now_us - running.last_us
            # PX4's mavlink_stream.cpp: a little early rather than late, and at a steady rate.
            if interval < 0 or elapsed > interval - 0.3 * TICK_US:
                message = self._build(number, running.memory)
                if message is not None:
                    self.send(message)
                    steady = 0 < elapsed < 1.5 * interval
                    running.last_us = running.last_us + int(interval) if steady else now_us
        burst = _PARAMETERS_PER_TICK if self.wire.address.kind != "serial" else 1
        while burst and self._parameters_due and not self.wire.busy:
            self._send_parameter(self._parameters_due.pop(0))
            burst -= 1
        self._logs.update()
        if station.stream is not None and station.stream[1] is self:
            station.stream[0].update()

    def _build(self, number: int, memory: Memory) -> Any:
        station = self._station
        if number in STREAMS:
            return STREAMS[number].build(station.state, station.commander, memory)
        count, message = station.echoes.get(number, (0, None))
        if memory.get("stamp", 0) == count:
            return None
        memory["stamp"] = count
        return message

    def _rate_multiplier(self) -> float:
        """PX4 uses half of a UART: Mavlink::update_rate_mult with the default data rate of baud/20 bytes a second."""
        fixed = other = 0.0
        for number, running in self._running.items():
            if running.interval_us > 0:
                bytes_s = (mavlink.mavlink_map[number].unpacker.size + 12) * 1e6 / running.interval_us
                fixed, other = (fixed + bytes_s, other) if number == HEARTBEAT else (fixed, other + bytes_s)
        return min(1.0, max((self.wire.address.baud / 20 - fixed) / max(other, 1.0), 0.01))

    # Rates

    def _default_hz(self, number: int) -> float:
        return STREAMS[number].default_hz(self.mode) if number in STREAMS else ECHO_HZ[self.mode]

    def _configure(self, number: int, rate_hz: float) -> None:
        if rate_hz == 0.0:
            self._running.pop(number, None)
            return
        interval = -1 if rate_hz < 0.0 else max(round(1e6 / rate_hz), 1)
        running = self._running.get(number)
        if running is None:
            self._running[number] = _Running(interval, self._station.state.now_us - max(interval, 0))
        else:
            running.interval_us = interval

    def _set_interval(self, p: Params) -> MavResult:
        number, interval = _whole(p[0]), p[1]
        if number == HEARTBEAT or (number not in STREAMS and number not in ECHOED):
            return self._refuse(MavResult.FAILED, f"No stream of message {number} to set a rate of")
        if any(math.isfinite(unused) and round(unused) != 0 for unused in (p[2], p[3], p[6])):
            return self._refuse(MavResult.FAILED, "SET_MESSAGE_INTERVAL: param3, 4 and 7 are not supported")
        if interval < 0.0:
            self._configure(number, 0.0)
        else:
            self._configure(number, 1e6 / interval if interval > 0.0 else self._default_hz(number))
        return MavResult.ACCEPTED

    def _tell_interval(self, number: int) -> MavResult:
        running = self._running.get(number)
        self.send(
            mavlink.MAVLink_message_interval_message(number & 0xFFFF, -1 if running is None else running.interval_us)
        )
        return MavResult.ACCEPTED

    def _request(self, number: int, p: Params) -> MavResult:
        if number == _MESSAGE_INTERVAL:
            return self._tell_interval(_whole(p[1]))
        message = self._build(number, {}) if number in STREAMS or number in ECHOED else None
        if message is None:
            # Ground stations ask for this and that: nothing to alarm a pilot with.
            return self._refuse(MavResult.DENIED, f"Message {number} is not available", Severity.INFO)
        self.send(message)
        return MavResult.ACCEPTED

    # Receiving

    def was_seen(self, system: int, component: int) -> bool:
        """Whether a component (0: any) of a system (0: any) has spoken on this channel."""
        return any(system in (0, s) and component in (0, c) for s, c in self._seen)

    def handle(self, frame: Frame, peer: Peer) -> None:
        """Take in a frame."""
        station = self._station
        own = station.state.system_id
        if (frame.system, frame.component) == (own, 1):
            return  # our own words, coming back
        self._seen.add((frame.system, frame.component))
        station.forward(frame, self, peer)
        handler = self._handlers.get(frame.name)
        if handler is None and frame.message_id not in ECHOED:
            return
        try:
            message = frame.message
        except (mavlink.MAVError, ValueError, IndexError) as error:
            _log.debug("%r: %s", frame, error)
            return
        if handler is None:
            self._take_in(frame.message_id, message)
        elif self._for_us(message):
            handler(message, frame)

    def _take_in(self, number: int, message: Any) -> None:
        """A message to echo: like PX4, which publishes it in uORB, with the time it came."""
        now_us = self._station.state.now_us
        if hasattr(message, "time_usec"):
            message.time_usec = now_us
        else:
            message.time_boot_ms = now_us // 1000 & 0xFFFFFFFF
        count, _ = self._station.echoes.get(number, (0, None))
        self._station.echoes[number] = (count + 1, message)

    def _for_us(self, message: Any) -> bool:
        system = getattr(message, "target_system", 0)
        component = getattr(message, "target_component", 0)
        return system in (0, self._station.state.system_id) and component in (0, 1)

    def _refuse(self, result: MavResult, why: str, severity: Severity = Severity.CRITICAL) -> MavResult:
        self._station.say(severity, why)
        return result

    def _command_long(self, m: Any, frame: Frame) -> None:
        p = (m.param1, m.param2, m.param3, m.param4, m.param5, m.param6, m.param7)
        self._command(m, frame, p, 0)

    def _command_int(self, m: Any, frame: Frame) -> None:
        nowhere = m.x == m.y == 0x7FFFFFFF
        x, y = (math.nan, math.nan) if nowhere else (m.x / 1e7, m.y / 1e7)
        self._command(m, frame, (m.param1, m.param2, m.param3, m.param4, x, y, m.z), m.frame)

    def _command(self, m: Any, frame: Frame, p: Params, where: int) -> None:
        if m.target_system == 0 and m.command not in _BROADCAST:
            return
        result = self._execute(m.command, p, where, frame)
        if result is not None:
            self.send(mavlink.MAVLink_command_ack_message(m.command, int(result), 0, 0, frame.system, frame.component))
        if m.command == 246 and result is MavResult.ACCEPTED and p[0] == 1.0:
            self._station.reboot()

    def _execute(self, command: int, p: Params, where: int, frame: Frame) -> MavResult | None:
        if command in _REQUESTED:
            return self._request(_REQUESTED[command], p)
        simple: dict[int, Callable[[], MavResult]] = {
            511: lambda: self._set_interval(p),
            510: lambda: self._tell_interval(_whole(p[0])),
            512: lambda: self._request(_whole(p[0]), p),
            246: lambda: self._may_reboot(p),
            420: lambda: self._inject_failure(p),
            2510: lambda: self._start_stream(p, frame),
            2511: self._stop_stream,
            31010: lambda: self._set_air(p),
        }
        if command in simple:
            return simple[command]()
        return self._station.commander.command(command, p, where)

    def _set_mode(self, m: Any, frame: Frame) -> None:
        self._station.commander.set_mode(m.base_mode, m.custom_mode >> 16 & 0xFF, m.custom_mode >> 24)

    def _may_reboot(self, p: Params) -> MavResult:
        if p[0] not in (0.0, 1.0):
            return self._refuse(MavResult.DENIED, "Shutdown and bootloader denied: this is a simulation")
        if p[0] and self._station.state.flight.armed:
            return self._refuse(MavResult.DENIED, "Reboot denied: armed")
        return MavResult.ACCEPTED

    def _inject_failure(self, p: Params) -> MavResult:
        """PX4's failure injection for sensors: off and ok again."""
        state = self._station.state
        unit = _FAILURE_UNITS.get(_whole(p[0]))
        if not state.parameters["SYS_FAILURE_EN"]:
            return self._refuse(MavResult.DENIED, "Failure injection denied: SYS_FAILURE_EN is 0")
        if unit is None or _whole(p[1]) not in (_FAILURE_OK, _FAILURE_OFF):
            return self._refuse(MavResult.UNSUPPORTED, f"Failure {p[0]:.0f}/{p[1]:.0f} is not supported")
        (state.broken.add if _whole(p[1]) == _FAILURE_OFF else state.broken.discard)(unit)
        return MavResult.ACCEPTED

    def _set_air(self, p: Params) -> MavResult:
        """MAV_CMD_USER_1: param1 EDR (m^⅔/s), param2 mean wind (m/s at 20 ft); NaN leaves one as it is."""
        parameters = self._station.state.parameters
        for name, value in (("SIM_TURB_EDR", p[0]), ("SIM_WIND_SPD", p[1])):
            parameter = parameters.find(name)
            trouble = parameters.set(name, value, parameter.type) if parameter and math.isfinite(value) else ""
            if trouble:
                return self._refuse(MavResult.DENIED, trouble)
        self._station.set_air()
        return MavResult.ACCEPTED

    # Parameters

    def _send_parameter(self, parameter: VehicleParameter) -> None:
        name = parameter.name.encode()
        count = len(self._station.state.parameters)
        self.send(mavlink.MAVLink_param_value_message(name, parameter.on_wire, parameter.type, count, parameter.index))

    def _send_hash(self) -> None:
        parameters = self._station.state.parameters
        value = int_as_float(parameters.hash())
        self.send(mavlink.MAVLink_param_value_message(HASH_NAME.encode(), value, TYPE_UINT32, len(parameters), 0xFFFF))

    def _parameter_list(self, m: Any, frame: Frame) -> None:
        self._send_hash()
        self._parameters_due = list(self._station.state.parameters)

    def _parameter_read(self, m: Any, frame: Frame) -> None:
        parameters = self._station.state.parameters
        if m.param_index < 0 and m.param_id == HASH_NAME:
            self._send_hash()
            return
        parameter = parameters.find(m.param_id) if m.param_index < 0 else parameters.at(m.param_index)
        if parameter is not None:
            self._send_parameter(parameter)

    def _parameter_set(self, m: Any, frame: Frame) -> None:
        parameters = self._station.state.parameters
        if m.param_id == HASH_NAME:
            self._parameters_due = []
            return
        trouble = parameters.set(m.param_id, m.param_value, m.param_type)
        if trouble:
            self._station.say(Severity.WARNING, trouble)
        parameter = parameters.find(m.param_id)
        if parameter is not None:
            self._station.set_air()
            self._send_parameter(parameter)

    # Clocks, logs and missions

    def _timesync(self, m: Any, frame: Frame) -> None:
        if m.tc1 == 0:
            self.send(mavlink.MAVLink_timesync_message(self._station.state.now_us * 1000, m.ts1))

    def _ping(self, m: Any, frame: Frame) -> None:
        if m.target_system == 0 and m.target_component == 0:
            self.send(mavlink.MAVLink_ping_message(m.time_usec, m.seq, frame.system, frame.component))

    def _logs_request(self, m: Any, frame: Frame) -> None:
        self._logs.handle(m)

    def _start_stream(self, p: Params, frame: Frame) -> MavResult:
        station = self._station
        if p[0] != 0.0:
            return self._refuse(MavResult.UNSUPPORTED, "Log streaming: only ULog (param1 = 0)")
        if self.wire.address.kind == "serial" and self.wire.address.baud / 20 < 5000:
            return self._refuse(MavResult.DENIED, "Not enough bandwidth to enable log streaming")
        if station.stream is not None:
            if station.stream[1] is not self:
                return self._refuse(MavResult.TEMPORARILY_REJECTED, "Log streaming denied: another link has it")
            station.stream[0].stop()
        station.stream = (LogStream(station.log, self.send, frame.system, frame.component), self)
        return MavResult.ACCEPTED

    def _stop_stream(self) -> MavResult:
        if self._station.stream is not None:
            self._station.stream[0].stop()
            self._station.stream = None
        return MavResult.ACCEPTED

    def _logging_ack(self, m: Any, frame: Frame) -> None:
        if self._station.stream is not None and self._station.stream[1] is self:
            self._station.stream[0].acknowledge(m.sequence)

    def _mission_list(self, m: Any, frame: Frame) -> None:
        self.send(mavlink.MAVLink_mission_count_message(frame.system, frame.component, 0, m.mission_type))

    def _mission_upload(self, m: Any, frame: Frame) -> None:
        self._station.say(Severity.CRITICAL, "Mission upload refused: --mission names what is flown")
        self._mission_ack(m, frame, mavlink.MAV_MISSION_UNSUPPORTED)

    def _mission_clear(self, m: Any, frame: Frame) -> None:
        self._mission_ack(m, frame, mavlink.MAV_MISSION_ACCEPTED)

    def _mission_ack(self, m: Any, frame: Frame, result: int) -> None:
        self.send(mavlink.MAVLink_mission_ack_message(frame.system, frame.component, result, m.mission_type))


def _whole(value: float) -> int:
    return round(value) if math.isfinite(value) else -1
