"""One MAVLink channel of the vehicle (in PX4: a Mavlink instance): its streams, and the services on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from px4_tinyml.link.transports import Peer
from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml_sitl.vehicle.command_server import CommandServer
from px4_tinyml_sitl.vehicle.log_server import LogServer
from px4_tinyml_sitl.vehicle.parameter_server import ParameterServer
from px4_tinyml_sitl.vehicle.stream_scheduler import StreamScheduler
from px4_tinyml_sitl.vehicle.vehicle_streams import ECHOED, LinkMode
from px4_tinyml_sitl.vehicle.wire import Wire

if TYPE_CHECKING:
    from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

_TEXT_SIZE = 50
_LOG_REQUESTS = ("LOG_REQUEST_LIST", "LOG_REQUEST_DATA", "LOG_REQUEST_END", "LOG_ERASE")

_log = logging.getLogger(__name__)


class MavlinkChannel:
    """Sends and answers as the vehicle on one wire."""

    def __init__(self, wire: Wire, vehicle: EmbeddedVehicle, mode: LinkMode) -> None:
        self.wire, self._vehicle = wire, vehicle
        self.streams = StreamScheduler(vehicle.state, vehicle.echoes, mode, wire.baud)
        self._mavlink = mavlink.MAVLink(None, vehicle.state.system_id, 1)
        self._seen: set[tuple[int, int]] = set()
        self._logs = LogServer(vehicle.log, self.send, lambda: wire.busy)
        self._parameters = ParameterServer(self, vehicle)
        commands = CommandServer(self, vehicle)
        self._text_id = 0
        self._handlers: dict[str, Callable[[Any, Frame], None]] = {
            "COMMAND_LONG": commands.command_long, "COMMAND_INT": commands.command_int,
            "SET_MODE": commands.set_mode, "PARAM_REQUEST_LIST": self._parameters.request_list,
            "PARAM_REQUEST_READ": self._parameters.request_read, "PARAM_SET": self._parameters.set,
            "TIMESYNC": self._timesync, "PING": self._ping, "LOGGING_ACK": self._logging_ack,
            "MISSION_REQUEST_LIST": self._mission_list, "MISSION_COUNT": self._mission_upload,
            "MISSION_CLEAR_ALL": lambda m, frame: self._mission_ack(m, frame, mavlink.MAV_MISSION_ACCEPTED),
            **dict.fromkeys(_LOG_REQUESTS, lambda m, frame: self._logs.handle(m)),
        }  # fmt: skip

    # Sending

    def send(self, message: Any) -> bool:
        """Pack (and sign) a message and send it to every peer of this wire."""
        if self.wire.signing is not None:
            self.wire.signing.apply(self._mavlink)
        data = bytes(message.pack(self._mavlink))
        self._mavlink.seq = (self._mavlink.seq + 1) % 256
        return self.wire.send(data)

    def say(self, severity: int, text: str) -> None:
        """Send STATUSTEXT, in chunks when it is long."""
        raw = text.encode()
        chunks = [raw[at : at + _TEXT_SIZE] for at in range(0, len(raw), _TEXT_SIZE)]
        number = 0
        if len(chunks) > 1:
            self._text_id = number = self._text_id % 0xFFFF + 1
        for index, chunk in enumerate(chunks):
            self.send(mavlink.MAVLink_statustext_message(severity, chunk, number, index))

    def update(self) -> None:
        """One tick: send the messages that are due."""
        for message in self.streams.due():
            self.send(message)
        self._parameters.update()
        self._logs.update()
        if self._vehicle.stream is not None and self._vehicle.stream.channel is self:
            self._vehicle.stream.update()

    # Receiving

    def was_seen(self, system: int, component: int) -> bool:
        """Whether frames of a component (0: any) of a system (0: any) were received on this channel."""
        return any(system in (0, s) and component in (0, c) for s, c in self._seen)

    def handle(self, frame: Frame, peer: Peer) -> None:
        """Forward a frame, and answer it if it is for this vehicle."""
        vehicle = self._vehicle
        if (frame.system, frame.component) == (vehicle.state.system_id, 1):
            return  # an echo of this vehicle's own frames
        self._seen.add((frame.system, frame.component))
        vehicle.forward(frame, self, peer)
        handler = self._handlers.get(frame.name)
        if handler is None and frame.message_id not in ECHOED:
            return
        try:
            message = frame.message
        except (mavlink.MAVError, ValueError, IndexError) as error:
            _log.debug("%r: %s", frame, error)
            return
        if handler is None:
            self._publish(frame.message_id, message)
        elif self._is_for_us(message):
            handler(message, frame)

    def _publish(self, number: int, message: Any) -> None:
        """Keep a message to echo, stamped as received now, as PX4 does when it publishes it in uORB."""
        vehicle = self._vehicle
        now_us = vehicle.state.now_us
        if hasattr(message, "time_usec"):
            message.time_usec = now_us
        else:
            message.time_boot_ms = now_us // 1000 & 0xFFFFFFFF
        count, _ = vehicle.echoes.get(number, (0, None))
        vehicle.echoes[number] = (count + 1, message)

    def _is_for_us(self, message: Any) -> bool:
        system = getattr(message, "target_system", 0)
        component = getattr(message, "target_component", 0)
        return system in (0, self._vehicle.state.system_id) and component in (0, 1)

    # Clocks, log streaming and missions

    def _timesync(self, m: Any, frame: Frame) -> None:
        if m.tc1 == 0:
            self.send(mavlink.MAVLink_timesync_message(self._vehicle.state.now_us * 1000, m.ts1))

    def _ping(self, m: Any, frame: Frame) -> None:
        if m.target_system == 0 and m.target_component == 0:
            self.send(mavlink.MAVLink_ping_message(m.time_usec, m.seq, frame.system, frame.component))

    def _logging_ack(self, m: Any, frame: Frame) -> None:
        stream = self._vehicle.stream
        if stream is not None and stream.channel is self:
            stream.acknowledge(m.sequence)

    def _mission_list(self, m: Any, frame: Frame) -> None:
        self.send(mavlink.MAVLink_mission_count_message(frame.system, frame.component, 0, m.mission_type))

    def _mission_upload(self, m: Any, frame: Frame) -> None:
        self._vehicle.say(mavlink.MAV_SEVERITY_CRITICAL, "Mission upload refused: --mission selects the mission")
        self._mission_ack(m, frame, mavlink.MAV_MISSION_UNSUPPORTED)

    def _mission_ack(self, m: Any, frame: Frame, result: int) -> None:
        self.send(mavlink.MAVLink_mission_ack_message(frame.system, frame.component, result, m.mission_type))
