"""Getting from the vehicles of a link what a classifier needs: streams, asked for again where they fail; reboots."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.connection import Link
from px4_tinyml.link.vehicle import (
    ACCEPTED,
    COMMAND_ACK,
    HEARTBEAT,
    IN_PROGRESS,
    NO_AUTOPILOT,
    HeartbeatClock,
    Vehicle,
    autopilots,
)
from px4_tinyml.logs.tlog.tlog_file import message_id
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.samples import ARDUPILOT
from px4_tinyml.mavlink.statistics import SenderStatistics

log = logging.getLogger(__name__)

SET_MESSAGE_INTERVAL = 511
IMU_NODE = 40
"""MAV_TYPE_IMU: a sensor node. An autopilot beside it would be heard within ALONE_S."""
ALONE_S = 3.0
EVERY_SAMPLE_HZ = 400.0
"""More than an autopilot integrates its IMU at (200 to 250 Hz, IMU_INTEG_RATE up to 400): every sample comes. Of fewer,
picked without a filter, propeller vibration aliases into the band of turbulence."""
SLOWEST_HZ = 188.0
"""Of the IMUs in public PX4 logs the slowest: one asked for every sample need not give more."""
LEAST_HZ = 50.0
_HIGHRES_IMU_SIZE = 75
ACK_TIMEOUT_S, ACK_TRIES = 0.5, 3
POSITION_HZ, STATE_HZ = 10, 2
ENOUGH = 0.8
"""Share of the asked rate below which it is asked for again."""
FIRST_LOOK_S, LAST_LOOK_S = 4.0, 60.0
REBOOT_MS = 2000
"""Time since boot that goes back by more than this is a reboot, by less is reordering."""
REBOOTS, REBOOTS_S = 3, 10.0
"""No autopilot reboots so often in so short a time: where time goes back like that, two speak with one system id."""
_WRAP_MS = 1 << 32
_CLOCKS = {2: (8, 12, 1), 27: (0, 8, 1000), 32: (0, 4, 1), 105: (0, 8, 1000), 116: (0, 4, 1)}
"""Where messages have their time since boot (payload bytes, units a ms): SYSTEM_TIME, RAW_IMU, LOCAL_POSITION_NED,
HIGHRES_IMU, SCALED_IMU2."""

ARDUPILOT_STREAMS = {1: "RAW_SENSORS", 2: "EXTENDED_STATUS", 6: "POSITION"}
_ARDUPILOT_IMU = (27, 116, 26, 105)
"""RAW_IMU, SCALED_IMU2, SCALED_IMU, HIGHRES_IMU: any of them will do."""


@dataclass
class _Stream:
    """A message that is wanted, and what came of asking for it."""

    name: str
    wanted_hz: float
    enough_hz: float
    message_id: int = 0
    count: int = 0
    watched_s: float = 0.0
    tries: int = 0
    refused: bool = False
    next_look: float = 0.0
    look_s: float = FIRST_LOOK_S


@dataclass
class Streams:
    """Keeps a vehicle sending IMU (at rate_hz), velocity and landed state: give it every frame received, at least once
    a second.

    Asks again after a reconnect, a reboot, or when too little comes. Never blocks. heartbeat: ours is sent as well.
    """

    link: Link
    vehicle: Vehicle
    rate_hz: float
    attitude: bool = False
    heartbeat: bool = True
    reboots: int = 0
    _streams: dict[int, _Stream] = field(default_factory=dict, repr=False)
    _queue: list[_Stream] = field(default_factory=list, repr=False)
    _asked_at: float = field(default=0.0, repr=False)
    _counts: dict[int, int] = field(default_factory=dict, repr=False)
    _measured: dict[int, float] = field(default_factory=dict, repr=False)
    _since: float = field(default=0.0, repr=False)
    _reconnects: int = field(default=0, repr=False)
    _boot_ms: dict[int, int] = field(default_factory=dict, repr=False)
    _went_back: deque[float] = field(default_factory=lambda: deque(maxlen=REBOOTS), repr=False)
    _twin_told: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self._dialect = ardupilotmega
        self._since = time.monotonic()
        self._beat = HeartbeatClock(self.link)
        wanted = {"HIGHRES_IMU": self.rate_hz, "LOCAL_POSITION_NED": POSITION_HZ, "EXTENDED_SYS_STATE": STATE_HZ}
        if self.attitude:
            wanted["ATTITUDE"] = POSITION_HZ
        if self.vehicle.autopilot == ARDUPILOT:
            wanted = {"RAW_IMU": self.rate_hz}
        self._streams = {
            message_id(name): _Stream(name, hz, ENOUGH * hz, message_id(name)) for name, hz in wanted.items()
        }
        slowest_hz = SLOWEST_HZ if self.vehicle.mav_type != IMU_NODE else LEAST_HZ
        next(iter(self._streams.values())).enough_hz = ENOUGH * min(self.rate_hz, slowest_hz)
        self._reconnects = self.link.statistics.reconnects
        self.request()

    @property
    def rates(self) -> dict[str, float]:
        """Messages a second of this vehicle by name, over the last second or two."""
        from px4_tinyml.logs.tlog.tlog_file import definitions

        known = definitions()
        return {known[n].msgname if n in known else f"UNKNOWN_{n}": hz for n, hz in sorted(self._measured.items())}

    @property
    def statistics(self) -> SenderStatistics:
        """What of this vehicle's frames came, and what was lost."""
        return self.link.statistics.sender(self.vehicle.system, self.vehicle.component)

    @property
    def wanted(self) -> list[str]:
        """Names of the messages that were asked for."""
        return [stream.name for stream in self._streams.values()]

    def request(self) -> None:
        """Ask for everything (again)."""
        now = time.monotonic()
        self._queue = list(self._streams.values())
        for stream in self._queue:
            stream.tries, stream.refused, stream.look_s, stream.next_look = 0, False, FIRST_LOOK_S, now + FIRST_LOOK_S
            stream.count, stream.watched_s = 0, 0.0
        self._asked_at = 0.0
        self._ask()

    def release(self) -> None:
        """Back to the vehicle's own rates, as far as one message each can do that."""
        if self.vehicle.autopilot != ARDUPILOT:
            for stream in self._streams.values():
                self.link.send(self._interval(stream, 0.0))

    def watch(self, frames: list[Frame]) -> None:
        """Count this vehicle's frames, notice its answers and reboots, ask where that is due."""
        if self.heartbeat:
            self._beat.tick()
        counts, vehicle = self._counts, self.vehicle
        for frame in frames:
            if frame.system != vehicle.system or frame.component != vehicle.component:
                continue
            number = frame.message_id
            counts[number] = counts.get(number, 0) + 1
            if number in _CLOCKS:
                self._check_clock(frame)
            elif number == COMMAND_ACK:
                self._answered(frame.message)
        if self.link.statistics.reconnects != self._reconnects:
            self._reconnects = self.link.statistics.reconnects
            self.request()
        now = time.monotonic()
        if now - self._since >= 1.0:
            self._measure(now)
        self._ask()

    def _measure(self, now: float) -> None:
        """Once a second: rates, and whether enough came of each message since it was last looked at."""
        elapsed_s = now - self._since
        counts, self._counts, self._since = self._counts, {}, now
        self._measured = {number: count / elapsed_s for number, count in counts.items()}
        for number, stream in self._streams.items():
            alike = _ARDUPILOT_IMU if self.vehicle.autopilot == ARDUPILOT else (number,)
            stream.count += max(counts.get(n, 0) for n in alike)
            stream.watched_s += elapsed_s if counts else 0.0  # one that is silent will be asked when it is back
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
                "%s: %s comes %.1f times a second, %g asked for: asking again",
                self.vehicle, stream.name, rate_hz, stream.wanted_hz,
            )  # fmt: skip
            stream.tries = 0
            self._queue.append(stream)
            stream.look_s = min(2 * stream.look_s, LAST_LOOK_S)
            stream.next_look = now + stream.look_s

    def _ask(self) -> None:
        """Send the next request when there is one and the one before is answered or late.

        One at a time: an acknowledgement names the command only, not the message that was asked for.
        """
        now = time.monotonic()
        if not self._queue or now - self._asked_at < ACK_TIMEOUT_S:
            return
        stream = self._queue[0]
        if self.vehicle.autopilot == ARDUPILOT:
            self._ask_ardupilot()
            self._queue.clear()
            return
        if stream.tries >= ACK_TRIES:
            self._queue.pop(0)
            self._ask()
            return
        stream.tries += 1
        self._asked_at = now
        self.link.send(self._interval(stream, 1e6 / stream.wanted_hz))

    def _interval(self, stream: _Stream, interval_us: float) -> Any:
        """MAV_CMD_SET_MESSAGE_INTERVAL; parameters not used are NaN (PX4 1.18 refuses others)."""
        nan = math.nan
        return self._dialect.MAVLink_command_long_message(
            self.vehicle.system, self.vehicle.component, SET_MESSAGE_INTERVAL, 0,
            stream.message_id, interval_us, nan, nan, nan, nan, nan,
        )  # fmt: skip

    def _ask_ardupilot(self) -> None:
        for number in ARDUPILOT_STREAMS:
            rate = self.rate_hz if number == 1 else POSITION_HZ
            self.link.send(
                self._dialect.MAVLink_request_data_stream_message(
                    self.vehicle.system, self.vehicle.component, number, round(rate), 1
                )
            )

    def _answered(self, ack: Any) -> None:
        if ack.command != SET_MESSAGE_INTERVAL or not self._queue or not self._asked_at or ack.result == IN_PROGRESS:
            return
        # 0 is everybody, and MAVLink 1, which does not say.
        if ack.target_system not in (0, self.link.system) or ack.target_component not in (0, self.link.component):
            return
        stream = self._queue.pop(0)
        if ack.result != ACCEPTED and not stream.refused:
            stream.refused = True
            log.warning("%s refuses to send %s (MAV_RESULT %d)", self.vehicle, stream.name, ack.result)
        self._asked_at = 0.0

    def _check_clock(self, frame: Frame) -> None:
        """Whether a time since boot went back."""
        start, end, per_ms = _CLOCKS[frame.message_id]
        boot_ms = int.from_bytes(frame.payload[start:end], "little") // per_ms % _WRAP_MS
        before_ms = self._boot_ms.get(frame.message_id, boot_ms)
        step_ms = (boot_ms - before_ms + _WRAP_MS // 2) % _WRAP_MS - _WRAP_MS // 2
        if step_ms >= 0:
            self._boot_ms[frame.message_id] = boot_ms
        elif step_ms < -REBOOT_MS:
            self._boot_ms = {frame.message_id: boot_ms}
            self._rebooted(-step_ms / 1000.0)

    def _rebooted(self, back_s: float) -> None:
        """Time went back: a reboot, unless it does so again and again."""
        self._went_back.append(time.monotonic())
        if len(self._went_back) == REBOOTS and self._went_back[-1] - self._went_back[0] < REBOOTS_S:
            if not self._twin_told:
                self._twin_told = True
                log.warning(
                    "%s: two vehicles speak as system %d here: give them different MAV_SYS_ID (SYSID_THISMAV)",
                    self.link.address, self.vehicle.system,
                )  # fmt: skip
            return
        self.reboots += 1
        self.link.statistics.rebooted(self.vehicle.system)
        log.warning("%s has rebooted: its time went back by %.1f s", self.vehicle, back_s)
        self.request()


def imu_rate_hz(address: LinkAddress, vehicle: Vehicle) -> float:
    """IMU messages a second to ask for where nobody says: all there are, or what half of a serial link has room for.

    ArduPilot's RAW_IMU is low-pass filtered (INS_ACCEL_FILTER, 20 Hz): the least will do.
    """
    if vehicle.autopilot == ARDUPILOT:
        return LEAST_HZ
    if address.kind != "serial" or _is_usb(address.device):
        return EVERY_SAMPLE_HZ
    return min(EVERY_SAMPLE_HZ, max(LEAST_HZ, 0.5 * address.baud / 10 / _HIGHRES_IMU_SIZE))


def _is_usb(device: str) -> bool:
    """Whether it is an autopilot's own USB port, where the baud rate says nothing (by-id names lead there)."""
    return Path(device).resolve().name.startswith("ttyACM")


class Fleet:
    """The vehicles of a link (or the one with this system id) as they appear, each kept sending.

    rate_hz: of the IMU; None: imu_rate_hz.
    """

    def __init__(self, link: Link, rate_hz: float | None = None, system: int | None = None) -> None:
        self.streams: dict[int, Streams] = {}
        self._link, self._rate_hz, self._system = link, rate_hz, system
        self._beat = HeartbeatClock(link)
        self.others: dict[int, Vehicle] = {}
        """Vehicles that are here and were not asked for."""
        self._nodes: dict[int, tuple[float, Vehicle]] = {}

    def watch(self, frames: list[Frame]) -> list[Vehicle]:
        """Give it all that is received; the vehicles that are new among them.

        An autopilot that starts after its system's sensor node is new, too, and takes its place.
        """
        self._beat.tick()
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
        """Sensor nodes (docs/node.md) that are here without an autopilot, as on their own USB port."""
        for frame in frames:
            if frame.message_id == HEARTBEAT and frame.system not in self._nodes and frame.message.type == IMU_NODE:
                node = Vehicle(frame.system, frame.component, NO_AUTOPILOT, IMU_NODE)
                self._nodes[frame.system] = time.monotonic(), node
        patient = time.monotonic() - ALONE_S
        return [node for since, node in self._nodes.values() if since < patient and node.system not in self.streams]

    def release(self) -> None:
        """Back to the vehicles' own rates."""
        for streams in self.streams.values():
            streams.release()
