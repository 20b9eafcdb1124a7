"""COMMAND_LONG, COMMAND_INT and SET_MODE on one channel: executed, and answered with COMMAND_ACK."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml_sitl.vehicle.commander import MavCommand, Refusal, whole
from px4_tinyml_sitl.vehicle.log_server import LogStream
from px4_tinyml_sitl.vehicle.vehicle_streams import HEARTBEAT

if TYPE_CHECKING:
    from px4_tinyml_sitl.vehicle.channel import MavlinkChannel
    from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

_PROTOCOL_VERSION = 300
"""Message id of PROTOCOL_VERSION, which is not in the dialect."""
_REQUESTED: dict[int, int] = {
    mavlink.MAV_CMD_REQUEST_PROTOCOL_VERSION: _PROTOCOL_VERSION,
    mavlink.MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES: mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION,
    mavlink.MAV_CMD_GET_HOME_POSITION: mavlink.MAVLINK_MSG_ID_HOME_POSITION,
    mavlink.MAV_CMD_REQUEST_FLIGHT_INFORMATION: mavlink.MAVLINK_MSG_ID_FLIGHT_INFORMATION,
}
"""Commands older than MAV_CMD_REQUEST_MESSAGE, and the messages they request."""
_BROADCAST = (mavlink.MAV_CMD_REQUEST_PROTOCOL_VERSION, mavlink.MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES)
"""Commands that are answered without a target system, too."""
_FAILURE_UNITS = {
    mavlink.FAILURE_UNIT_SENSOR_GYRO: "imu", mavlink.FAILURE_UNIT_SENSOR_ACCEL: "imu",
    mavlink.FAILURE_UNIT_SENSOR_BARO: "baro", mavlink.FAILURE_UNIT_SENSOR_GPS: "gps",
}  # fmt: skip
_ULOG = 0
"""param1 of MAV_CMD_LOGGING_START: the format."""
_MIN_STREAM_BYTES_S = 5000
_NO_PLACE = 0x7FFFFFFF


class CommandServer:
    """Executes what the channel can (rates, requests, log streaming, failures, air); the rest goes to the commander."""

    def __init__(self, channel: MavlinkChannel, vehicle: EmbeddedVehicle) -> None:
        self._channel, self._vehicle = channel, vehicle
        self._commands: dict[int, Callable[[MavCommand], None]] = {
            mavlink.MAV_CMD_SET_MESSAGE_INTERVAL: self._set_interval,
            mavlink.MAV_CMD_GET_MESSAGE_INTERVAL: lambda c: self._send_interval(whole(c.param1)),
            mavlink.MAV_CMD_REQUEST_MESSAGE: self._request_message,
            mavlink.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN: self._check_reboot,
            mavlink.MAV_CMD_INJECT_FAILURE: self._inject_failure,
            mavlink.MAV_CMD_LOGGING_STOP: lambda c: vehicle.stop_stream(),
            mavlink.MAV_CMD_USER_1: self._set_air,
        }

    def command_long(self, m: Any, frame: Frame) -> None:
        params = (m.param1, m.param2, m.param3, m.param4, m.param5, m.param6, m.param7)
        self._answer(m, frame, MavCommand(m.command, *params))

    def command_int(self, m: Any, frame: Frame) -> None:
        x, y = (math.nan, math.nan) if m.x == m.y == _NO_PLACE else (m.x / 1e7, m.y / 1e7)
        self._answer(m, frame, MavCommand(m.command, m.param1, m.param2, m.param3, m.param4, x, y, m.z, m.frame))

    def set_mode(self, m: Any, frame: Frame) -> None:
        """SET_MODE, which has no acknowledgement."""
        commander, mode = self._vehicle.commander, m.custom_mode
        commander.attempt(lambda: commander.set_mode(m.base_mode, mode >> 16 & 0xFF, mode >> 24))

    def _answer(self, m: Any, frame: Frame, command: MavCommand) -> None:
        if m.target_system == 0 and command.number not in _BROADCAST:
            return
        result = self._vehicle.commander.attempt(lambda: self._execute(command, frame))
        ack = mavlink.MAVLink_command_ack_message(command.number, result, 0, 0, frame.system, frame.component)
        self._channel.send(ack)
        reboot = command.number == mavlink.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN and command.param1 == 1.0
        if reboot and result == mavlink.MAV_RESULT_ACCEPTED:
            self._vehicle.reboot()

    def _execute(self, command: MavCommand, frame: Frame) -> None:
        if command.number in _REQUESTED:
            self._request(_REQUESTED[command.number])
        elif command.number == mavlink.MAV_CMD_LOGGING_START:
            self._start_stream(command, frame)
        else:
            self._commands.get(command.number, self._vehicle.commander.command)(command)

    def _set_interval(self, c: MavCommand) -> None:
        number, interval, streams = whole(c.param1), c.param2, self._channel.streams
        if number == HEARTBEAT or not streams.has(number):
            raise Refusal(mavlink.MAV_RESULT_FAILED, f"No stream of message {number} to set a rate of")
        if any(math.isfinite(unused) and round(unused) != 0 for unused in (c.param3, c.param4, c.param7)):
            raise Refusal(mavlink.MAV_RESULT_FAILED, "SET_MESSAGE_INTERVAL: param3, 4 and 7 are not supported")
        rate_hz = 1e6 / interval if interval > 0.0 else 0.0 if interval < 0.0 else streams.default_hz(number)
        streams.set_rate(number, rate_hz)

    def _send_interval(self, number: int) -> None:
        interval_us = self._channel.streams.interval_us(number)
        self._channel.send(mavlink.MAVLink_message_interval_message(number & 0xFFFF, interval_us))

    def _request_message(self, c: MavCommand) -> None:
        if whole(c.param1) == mavlink.MAVLINK_MSG_ID_MESSAGE_INTERVAL:
            self._send_interval(whole(c.param2))
        else:
            self._request(whole(c.param1))

    def _request(self, number: int) -> None:
        streams = self._channel.streams
        message = streams.build(number, {}) if streams.has(number) else None
        if message is None:
            # Ground stations request many messages: not critical.
            raise Refusal(mavlink.MAV_RESULT_DENIED, f"Message {number} is not available", mavlink.MAV_SEVERITY_INFO)
        self._channel.send(message)

    def _check_reboot(self, c: MavCommand) -> None:
        if c.param1 not in (0.0, 1.0):
            raise Refusal(mavlink.MAV_RESULT_DENIED, "Shutdown and bootloader denied: this is a simulation")
        if c.param1 and self._vehicle.state.flight.armed:
            raise Refusal(mavlink.MAV_RESULT_DENIED, "Reboot denied: armed")

    def _inject_failure(self, c: MavCommand) -> None:
        """PX4's failure injection for sensors: off and ok."""
        state = self._vehicle.state
        unit, failure = _FAILURE_UNITS.get(whole(c.param1)), whole(c.param2)
        if not state.parameters["SYS_FAILURE_EN"]:
            raise Refusal(mavlink.MAV_RESULT_DENIED, "Failure injection denied: SYS_FAILURE_EN is 0")
        if unit is None or failure not in (mavlink.FAILURE_TYPE_OK, mavlink.FAILURE_TYPE_OFF):
            raise Refusal(mavlink.MAV_RESULT_UNSUPPORTED, f"Failure {c.param1:.0f}/{c.param2:.0f} is not supported")
        (state.broken.add if failure == mavlink.FAILURE_TYPE_OFF else state.broken.discard)(unit)

    def _set_air(self, c: MavCommand) -> None:
        """MAV_CMD_USER_1: param1 EDR (m^⅔/s), param2 mean wind (m/s at 20 ft); NaN leaves a value unchanged."""
        for name, value in (("SIM_TURB_EDR", c.param1), ("SIM_WIND_SPD", c.param2)):
            error = self._vehicle.state.parameters.set(name, value) if math.isfinite(value) else ""
            if error:
                raise Refusal(mavlink.MAV_RESULT_DENIED, error)
        self._vehicle.set_air()

    def _start_stream(self, c: MavCommand, frame: Frame) -> None:
        channel, vehicle = self._channel, self._vehicle
        if c.param1 != _ULOG:
            raise Refusal(mavlink.MAV_RESULT_UNSUPPORTED, "Log streaming: only ULog (param1 = 0)")
        baud = channel.wire.baud
        if baud is not None and baud / 20 < _MIN_STREAM_BYTES_S:
            raise Refusal(mavlink.MAV_RESULT_DENIED, "Not enough bandwidth to enable log streaming")
        if vehicle.stream is not None and vehicle.stream.channel is not channel:
            raise Refusal(mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "Log streaming denied: another link has it")
        vehicle.stop_stream()
        vehicle.stream = LogStream(vehicle.log, channel, frame.system, frame.component)
