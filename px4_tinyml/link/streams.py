"""Message streams a classifier needs: requests them, repeats requests that fail, detects reboots."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.connection import Link
from px4_tinyml.link.vehicle import HeartbeatSender, Vehicle, autopilots
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.statistics import SenderStatistics

log = logging.getLogger(__name__)

ALONE_S = 3.0
"""A sensor node without an autopilot for this long is a vehicle of its own."""
EVERY_SAMPLE_HZ = 400.0
"""More than an autopilot integrates its IMU at (200 to 250 Hz, IMU_INTEG_RATE up to 400): requests every sample.
Decimated without a filter, propeller vibration aliases into the band of turbulence."""
SLOWEST_HZ = 188.0
"""The slowest IMU in public PX4 logs: a vehicle asked for every sample need not send more."""
LEAST_HZ = 50.0
_HIGHRES_IMU_SIZE = 75
ACK_TIMEOUT_S, ACK_TRIES = 0.5, 3
POSITION_HZ, STATE_HZ = 10, 2
ENOUGH = 0.8
"""Share of the requested rate below which the request is repeated."""
FIRST_LOOK_S, LAST_LOOK_S = 4.0, 60.0
REBOOT_MS = 2000
"""Time since boot that steps back by more than this is a reboot, by less is reordering."""
REBOOTS, REBOOTS_S = 3, 10.0
"""No autopilot reboots so often in so short a time: two vehicles send with one system id."""
_WRAP_MS = 1 << 32
_CLOCK_MESSAGES = ("SYSTEM_TIME", "RAW_IMU", "LOCAL_POSITION_NED", "HIGHRES_IMU", "SCALED_IMU2")
"""Messages whose time since boot is compared to detect reboots."""
_ARDUPILOT_IMU = ("RAW_IMU", "SCALED_IMU2", "SCALED_IMU", "HIGHRES_IMU")
"""Each of these is enough."""
_ARDUPILOT_STREAMS = ("RAW_SENSORS", "EXTENDED_STATUS", "POSITION")
"""MAV_DATA_STREAMs requested."""


@cache
def _clock_ids() -> frozenset[int]:
    return frozenset(map(dialect.message_id, _CLOCK_MESSAGES))


def _boot_ms(frame: Frame) -> int:
    """Time since boot of a frame of _CLOCK_MESSAGES, modulo 2³² ms."""
    fields = frame.fields
    return int(fields.time_boot_ms if hasattr(fields, "time_boot_ms") else fields.time_usec // 1000 % _WRAP_MS)


@dataclass
class _MessageRequest:
    """A requested message: rates, and the state of its request."""

    name: str
    requested_hz: float
    enough_hz: float
    message_id: int
    count: int = 0
    watched_s: float = 0.0
    tries: int = 0
    refused: bool = False
    next_look: float = 0.0
    look_s: float = FIRST_LOOK_S


class Streams:
    """Keeps a vehicle sending IMU (at rate_hz), velocity and landed state: give it every frame received, at least once
    a second.

    Repeats requests after a reconnect, a reboot, or at too low a rate. Never blocks. heartbeat: send ours, too.
    """

    def __init__(self, link: Link, vehicle: Vehicle, rate_hz: float, heartbeat: bool = True) -> None:
        self.link, self.vehicle, self.rate_hz = link, vehicle, rate_hz
        self.reboots = 0
        self._heartbeat = HeartbeatSender(link) if heartbeat else None
        requested = {"HIGHRES_IMU": rate_hz, "LOCAL_POSITION_NED": POSITION_HZ, "EXTENDED_SYS_STATE": STATE_HZ}
        if vehicle.is_ardupilot:
            requested = {"RAW_IMU": rate_hz}
        requests = [_MessageRequest(name, hz, ENOUGH * hz, dialect.message_id(name)) for name, hz in requested.items()]
        slowest_hz = SLOWEST_HZ if vehicle.mav_type != dialect.MAV_TYPE_IMU else LEAST_HZ
        requests[0].enough_hz = ENOUGH * min(rate_hz, slowest_hz)
        self._streams = {request.message_id: request for request in requests}
        self._queue: list[_MessageRequest] = []
        self._counts: dict[int, int] = {}
        self._measured: dict[int, float] = {}
        self._since = time.monotonic()
        self._reconnects = link.statistics.reconnects
        self._boot_ms: dict[int, int] = {}
        self._steps_back: deque[float] = deque(maxlen=REBOOTS)
        self._duplicate_id_warned = False
        self.request()

    @property
    def rates(self) -> dict[str, float]:
        """Messages a second of this vehicle by name, over the last second or two."""
        return {dialect.message_name(number): hz for number, hz in sorted(self._measured.items())}

    @property
    def statistics(self) -> SenderStatistics:
        """Counts of this vehicle's frames."""
        return self.link.statistics.sender(self.vehicle.system, self.vehicle.component)

    @property
    def requested(self) -> list[str]:
        """Names of the requested messages."""
        return [stream.name for stream in self._streams.values()]

    def request(self) -> None:
        """Request all messages (again)."""
        now = time.monotonic()
        self._queue = list(self._streams.values())
        for stream in self._queue:
            stream.tries, stream.refused, stream.look_s, stream.next_look = 0, False, FIRST_LOOK_S, now + FIRST_LOOK_S
            stream.count, stream.watched_s = 0, 0.0
        self._asked_at = 0.0
        self._ask()

    def release(self) -> None:
        """Return to the vehicle's own rates, as far as one message each can do that."""
        if not self.vehicle.is_ardupilot:
            for stream in self._streams.values():
                self.link.send(self._interval(stream, 0.0))

    def watch(self, frames: list[Frame]) -> None:
        """Count this vehicle's frames, handle acknowledgements and reboots, send requests that are due."""
        if self._heartbeat:
            self._heartbeat.tick()
        counts, vehicle = self._counts, self.vehicle
        for frame in frames:
            if frame.system != vehicle.system or frame.component != vehicle.component:
                continue
            number = frame.message_id
            counts[number] = counts.get(number, 0) + 1
            if number in _clock_ids():
                self._check_clock(frame)
            elif number == dialect.MAVLINK_MSG_ID_COMMAND_ACK:
                self._note_ack(frame.fields)
        if self.link.statistics.reconnects != self._reconnects:
            self._reconnects = self.link.statistics.reconnects
            self.request()
        now = time.monotonic()
        if now - self._since >= 1.0:
            self._measure(now)
        self._ask()

    def _measure(self, now: float) -> None:
        """Once a second: measure rates; repeat requests of messages received at too low a rate."""
        elapsed_s = now - self._since
        counts, self._counts, self._since = self._counts, {}, now
        self._measured = {number: count / elapsed_s for number, count in counts.items()}
        for number, stream in self._streams.items():
            alike = [*map(dialect.message_id, _ARDUPILOT_IMU)] if self.vehicle.is_ardupilot else [number]
            stream.count += max(counts.get(n, 0) for n in alike)
            stream.watched_s += elapsed_s if counts else 0.0  # a silent vehicle is asked when it is back
            if now < stream.next_look or stream in self._queue:
                continue
            enough = stream.count + 1 >= stream.enough_hz * stream.watched_s
            rate_hz = stream.count / max(1.0, stream.watched_s)
            stream.count, stream.watched_s = 0, 0.0
            if enough:
                stream.look_s, stream.next_look = FIRST_LOOK_S, now + FIRST_LOOK_S
                continue
            log.log(
                logging.WARNING if stream.look_s == FIRST_LOOK_S else logging.DEBUG,
                "%s: %s received at %.1f Hz, %g Hz requested: requesting again",
                self.vehicle, stream.name, rate_hz, stream.requested_hz,
            )  # fmt: skip
            stream.tries = 0
            self._queue.append(stream)
            stream.look_s = min(2 * stream.look_s, LAST_LOOK_S)
            stream.next_look = now + stream.look_s

    def _ask(self) -> None:
        """Send the next request when the one before is acknowledged or timed out.

        One at a time: an acknowledgement names the command only, not the requested message.
        """
        now = time.monotonic()
        if not self._queue or now - self._asked_at < ACK_TIMEOUT_S:
            return
        stream = self._queue[0]
        if self.vehicle.is_ardupilot:
            self._ask_ardupilot()
            self._queue.clear()
            return
        if stream.tries >= ACK_TRIES:
            self._queue.pop(0)
            self._ask()
            return
        stream.tries += 1
        self._asked_at = now
        self.link.send(self._interval(stream, 1e6 / stream.requested_hz))

    def _interval(self, stream: _MessageRequest, interval_us: float) -> Any:
        """MAV_CMD_SET_MESSAGE_INTERVAL; unused parameters are NaN (PX4 1.18 rejects others)."""
        nan = math.nan
        return dialect.MAVLink_command_long_message(
            self.vehicle.system, self.vehicle.component, dialect.MAV_CMD_SET_MESSAGE_INTERVAL, 0,
            stream.message_id, interval_us, nan, nan, nan, nan, nan,
        )  # fmt: skip

    def _ask_ardupilot(self) -> None:
        for name in _ARDUPILOT_STREAMS:
            rate_hz = round(self.rate_hz if name == "RAW_SENSORS" else POSITION_HZ)
            stream = getattr(dialect, f"MAV_DATA_STREAM_{name}")
            target = self.vehicle.system, self.vehicle.component
            self.link.send(dialect.MAVLink_request_data_stream_message(*target, stream, rate_hz, 1))

    def _note_ack(self, ack: Any) -> None:
        ours = ack.command == dialect.MAV_CMD_SET_MESSAGE_INTERVAL
        if not (ours and self._queue and self._asked_at) or ack.result == dialect.MAV_RESULT_IN_PROGRESS:
            return
        # 0 is a broadcast, or MAVLink 1, which has no target.
        if ack.target_system not in (0, self.link.system) or ack.target_component not in (0, self.link.component):
            return
        stream = self._queue.pop(0)
        if ack.result != dialect.MAV_RESULT_ACCEPTED and not stream.refused:
            stream.refused = True
            log.warning("%s refuses to send %s (MAV_RESULT %d)", self.vehicle, stream.name, ack.result)
        self._asked_at = 0.0

    def _check_clock(self, frame: Frame) -> None:
        """Detect a time since boot that stepped back."""
        boot_ms = _boot_ms(frame)
        before_ms = self._boot_ms.get(frame.message_id, boot_ms)
        step_ms = (boot_ms - before_ms + _WRAP_MS // 2) % _WRAP_MS - _WRAP_MS // 2
        if step_ms >= 0:
            self._boot_ms[frame.message_id] = boot_ms
        elif step_ms < -REBOOT_MS:
            self._boot_ms = {frame.message_id: boot_ms}
            self._rebooted(-step_ms / 1000.0)

    def _rebooted(self, back_s: float) -> None:
        """Time stepped back: a reboot, unless that happens repeatedly."""
        self._steps_back.append(time.monotonic())
        if len(self._steps_back) == REBOOTS and self._steps_back[-1] - self._steps_back[0] < REBOOTS_S:
            if not self._duplicate_id_warned:
                self._duplicate_id_warned = True
                log.warning(
                    "%s: two vehicles use system id %d: give them different MAV_SYS_ID (SYSID_THISMAV)",
                    self.link.address, self.vehicle.system,
                )  # fmt: skip
            return
        self.reboots += 1
        self.link.statistics.rebooted(self.vehicle.system)
        log.warning("%s has rebooted: its time stepped back by %.1f s", self.vehicle, back_s)
        self.request()


def imu_rate_hz(address: LinkAddress, vehicle: Vehicle) -> float:
    """IMU messages a second to request by default: all samples, or as many as fit half of a serial link.

    ArduPilot's RAW_IMU is low-pass filtered (INS_ACCEL_FILTER, 20 Hz): LEAST_HZ is enough.
    """
    if vehicle.is_ardupilot:
        return LEAST_HZ
    if address.kind != "serial" or _is_usb(address.device):
        return EVERY_SAMPLE_HZ
    return min(EVERY_SAMPLE_HZ, max(LEAST_HZ, 0.5 * address.baud / 10 / _HIGHRES_IMU_SIZE))


def _is_usb(device: str) -> bool:
    """Whether it is an autopilot's own USB port, where the baud rate has no meaning (by-id names are resolved)."""
    return Path(device).resolve().name.startswith("ttyACM")


class Fleet:
    """The vehicles of a link (or the one with this system id) as they appear, each with its Streams.

    rate_hz: of the IMU; None: imu_rate_hz.
    """

    def __init__(self, link: Link, rate_hz: float | None = None, system: int | None = None) -> None:
        self.streams: dict[int, Streams] = {}
        self._link, self._rate_hz, self._system = link, rate_hz, system
        self._heartbeat = HeartbeatSender(link)
        self.others: dict[int, Vehicle] = {}
        """Vehicles with another system id than requested."""
        self._nodes: dict[int, tuple[float, Vehicle]] = {}

    def watch(self, frames: list[Frame]) -> list[Vehicle]:
        """Give it every frame received; returns new vehicles.

        An autopilot that starts after its system's sensor node is new, too, and replaces it.
        """
        self._heartbeat.tick()
        new = []
        for vehicle in (*autopilots(frames), *self._lone_nodes(frames)):
            before = self.streams.get(vehicle.system)
            if self._system not in (None, vehicle.system):
                self.others[vehicle.system] = vehicle
            elif vehicle.replaces(before.vehicle if before else None):
                if before:
                    before.release()
                rate_hz = self._rate_hz or imu_rate_hz(self._link.address, vehicle)
                self.streams[vehicle.system] = Streams(self._link, vehicle, rate_hz, heartbeat=False)
                new.append(vehicle)
        for streams in self.streams.values():
            streams.watch(frames)
        return new

    def _lone_nodes(self, frames: list[Frame]) -> list[Vehicle]:
        """Sensor nodes (docs/node.md) without an autopilot, as on their own USB port."""
        for frame in frames:
            if frame.message_id != dialect.MAVLINK_MSG_ID_HEARTBEAT or frame.system in self._nodes:
                continue
            if frame.fields.type == dialect.MAV_TYPE_IMU:
                invalid, imu = dialect.MAV_AUTOPILOT_INVALID, dialect.MAV_TYPE_IMU
                node = Vehicle(frame.system, frame.component, invalid, imu)
                self._nodes[frame.system] = time.monotonic(), node
        patient = time.monotonic() - ALONE_S
        return [node for since, node in self._nodes.values() if since < patient and node.system not in self.streams]

    def release(self) -> None:
        """Return to the vehicles' own rates."""
        for streams in self.streams.values():
            streams.release()
