"""MAVLink messages → IMU and barometer samples in the order of delivery: one set of rules, for files and live links.

Every rule looks back only, so that what a link says in flight is what its recording says afterwards.
HIGHRES_IMU is SI; SCALED_IMU* is milli-g and mrad/s; ArduPilot sends RAW_IMU in those units too (of other
autopilots it is raw counts, which nobody outside them can scale). All are body FRD, times since boot.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from px4_tinyml.logs.checks import ALTITUDE_RANGE_M, BARO_PAUSE_US, MAX_ACCEL_M_S2, MAX_GYRO_RAD_S, MAX_TIME_US
from px4_tinyml.logs.tlog.tlog_file import MAGIC_V1, definitions, message_id
from px4_tinyml.units import STANDARD_GRAVITY_M_S2, US_PER_S, pressure_altitude_m

IMU_MESSAGES = ("HIGHRES_IMU", "SCALED_IMU", "RAW_IMU", "SCALED_IMU2", "SCALED_IMU3")
"""In the order of preference (ArduPilot's RAW_IMU is its first IMU, SCALED_IMU2 its second)."""
BARO_MESSAGES = ("HIGHRES_IMU", "SCALED_PRESSURE", "SCALED_PRESSURE2", "SCALED_PRESSURE3")
"""In the order of preference; HIGHRES_IMU only while it is the IMU."""
STREAM_MESSAGES = ("HEARTBEAT", *IMU_MESSAGES, *BARO_MESSAGES[1:])
"""All that the rules look at."""

ARDUPILOT = 3
"""MAV_AUTOPILOT_ARDUPILOTMEGA."""
HIGHRES_IMU_FIELDS = 0x3F
HIGHRES_PRESSURE_ALT = 1 << 11
MILLI_G = STANDARD_GRAVITY_M_S2 / 1000.0
SLOW_SHARE = 0.5
"""A preferred message is passed over when another comes over twice as often."""
CHOICE_MESSAGES = 64
"""The IMU is chosen anew after this many IMU messages, by how often each came among them."""
LATE_US = US_PER_S
"""A time up to this much before the newest was delivered late; a larger step back is a clock that started anew."""
BARO_SILENT_US = 2 * US_PER_S
"""A barometer silent for so long gives way to another."""
MAX_LATER_US = 2 * US_PER_S
"""The most that reception times, which no checksum guards, may add to the time of the IMU message before."""
UNIX_US = 1 << 50
"""Times above (the year 2005) are Unix time, not time since boot."""
_WRAP_US = 1000 << 32


class Sink(Protocol):
    """Takes samples: times in µs of the autopilot's clock, values[6] ax ay az gx gy gz in m/s² and rad/s, FRD."""

    def push_imu(self, time_us: int, values: Sequence[float]) -> None: ...

    def push_baro(self, time_us: int, altitude_m: float) -> None: ...


class Framed(Protocol):
    """A received frame: data is all of it."""

    @property
    def data(self) -> bytes: ...
    @property
    def message_id(self) -> int: ...
    @property
    def system(self) -> int: ...
    @property
    def component(self) -> int: ...
    @property
    def received_us(self) -> int: ...


@cache
def _unpacker(number: int) -> struct.Struct:
    unpacker: struct.Struct = definitions()[number].unpacker
    return unpacker


def payload_values(data: bytes) -> tuple[Any, ...]:
    """Field values of a whole frame of a known message in the order of the wire; bytes MAVLink 2 trimmed are zero."""
    if data[0] == MAGIC_V1:
        header, number = 6, data[5]
    else:
        header, number = 10, int.from_bytes(data[7:10], "little")
    unpacker = _unpacker(number)
    payload = data[header : header + min(data[1], unpacker.size)]
    return unpacker.unpack(payload.ljust(unpacker.size, b"\0"))


@dataclass
class StreamCounts:
    """What became of a component's messages. imu, baro: samples handed on, by message; the rest was left out."""

    imu: Counter[str] = field(default_factory=Counter)
    baro: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    late: int = 0
    clock_restarts: int = 0
    implausible: int = 0
    implausible_baro: int = 0
    not_updated: int = 0
    """HIGHRES_IMU whose accelerometer or gyroscope fields are old ones."""
    unmarked: int = 0
    """HIGHRES_IMU used although nothing had been marked as updated yet."""
    raw_counts: int = 0
    """RAW_IMU of an autopilot other than ArduPilot (or not known yet)."""


class _Clock:
    """Times of one series: new, delivered twice, delivered late, or of a clock that started anew."""

    def __init__(self, counts: StreamCounts) -> None:
        self.newest_us = -1
        self._counts = counts
        self._recent: deque[int] = deque(maxlen=64)
        self._wrapped_us = 0

    def from_boot_ms(self, time_boot_ms: int) -> int:
        """µs since boot of a 32-bit time in ms, which wraps after 49.7 days."""
        time_us = time_boot_ms * 1000 + self._wrapped_us
        if time_us < self.newest_us - _WRAP_US // 2:
            self._wrapped_us += _WRAP_US
            return time_us + _WRAP_US
        if self._wrapped_us and time_us > self.newest_us + _WRAP_US // 2:
            return time_us - _WRAP_US
        if self._wrapped_us and time_us < self.newest_us - LATE_US:
            self._wrapped_us = 0
            return time_boot_ms * 1000
        return time_us

    def admits(self, time_us: int) -> bool:
        """Whether a sample of this time is handed on."""
        newest = self.newest_us
        if time_us <= newest:
            if time_us in self._recent:
                self._counts.duplicates += 1
                return False
            if time_us >= newest - LATE_US:
                self._counts.late += 1
                return False
            self._counts.clock_restarts += 1
            self._recent.clear()
        self.newest_us = time_us
        self._recent.append(time_us)
        return True


class MavlinkStream:
    """Samples of one component's messages, handed to a sink in the order in which they arrived."""

    def __init__(self, sink: Sink) -> None:
        self.counts = StreamCounts()
        self._sink = sink
        self._imu_clock = _Clock(self.counts)
        self._baro_clock = _Clock(StreamCounts())  # HIGHRES_IMU holds both: nothing is counted twice
        self._autopilot: int | None = None
        self._imu: str | None = None
        self._tally: Counter[str] = Counter()
        self._tallied = 0
        self._imu_received_us = 0
        self._highres_id = 255
        self._marks = False
        self._baro_rank: int | None = None
        self._baro_resumes_us = -1
        handlers: dict[str, Any] = {"HEARTBEAT": self._heartbeat, "HIGHRES_IMU": self._highres_imu}
        handlers |= {name: self._scaled(name) for name in IMU_MESSAGES[1:]}
        handlers |= {name: self._pressure(rank) for rank, name in enumerate(BARO_MESSAGES) if rank}
        self._handlers = {message_id(name): handlers[name] for name in STREAM_MESSAGES}

    def frame(self, frame: Framed) -> None:
        """Take one frame of this component; messages that no rule wants are not even decoded."""
        handler = self._handlers.get(frame.message_id)
        if handler is not None:
            handler(payload_values(frame.data), frame.received_us)

    def message(self, number: int, values: tuple[Any, ...], received_us: int) -> None:
        """Take one message of STREAM_MESSAGES. values: its fields in the order of the wire."""
        self._handlers[number](values, received_us)

    def _heartbeat(self, values: tuple[Any, ...], received_us: int) -> None:
        self._autopilot = values[2]

    def _highres_imu(self, values: tuple[Any, ...], received_us: int) -> None:
        """Of the first IMU (the lowest id seen), and only where the fields are new, if the sender says which are."""
        time_us, updated, sensor = values[0], values[14], values[15]
        if sensor != self._highres_id:
            if sensor > self._highres_id:
                return
            self._highres_id = sensor
        if updated:
            self._marks = True
        fresh = updated & HIGHRES_IMU_FIELDS == HIGHRES_IMU_FIELDS or not self._marks
        chosen = fresh and self._is_chosen("HIGHRES_IMU")
        if updated & HIGHRES_PRESSURE_ALT and self._imu == "HIGHRES_IMU":
            self._take_baro(0, time_us, values[12])
        if chosen:
            self.counts.unmarked += not self._marks
            self._take_imu(time_us, values[1:7], received_us)
        elif not fresh:
            self.counts.not_updated += 1

    def _scaled(self, name: str) -> Any:
        """Takes SCALED_IMU* and RAW_IMU: milli-g and mrad/s."""
        raw = name == "RAW_IMU"

        def take(values: tuple[Any, ...], received_us: int) -> None:
            if raw and self._autopilot != ARDUPILOT:
                self.counts.raw_counts += 1
                return
            if not self._is_chosen(name):
                return
            time_us = values[0] if raw else self._imu_clock.from_boot_ms(values[0])
            accel, gyro = values[1:4], values[4:7]
            self._take_imu(time_us, (*(a * MILLI_G for a in accel), *(g / 1000.0 for g in gyro)), received_us)

        return take

    def _pressure(self, rank: int) -> Any:
        """Takes SCALED_PRESSURE*: hPa, on the IMU's clock by its own time, or by when it was received."""

        def take(values: tuple[Any, ...], received_us: int) -> None:
            imu_us = self._imu_clock.newest_us
            if imu_us < 0:
                return
            if imu_us < UNIX_US:
                time_us = self._baro_clock.from_boot_ms(values[0])
            else:
                time_us = imu_us + min(max(received_us - self._imu_received_us, 0), MAX_LATER_US)
            pascal = values[1] * 100.0
            altitude_m = pressure_altitude_m(pascal) if 0.0 < pascal < 2e5 else float("nan")
            self._take_baro(rank, time_us, altitude_m)

        return take

    def _is_chosen(self, name: str) -> bool:
        """Whether this message is the IMU now: the most preferred one that is not much slower than another."""
        if self._imu is None:
            self._imu = name
        self._tally[name] += 1
        self._tallied += 1
        if self._tallied == CHOICE_MESSAGES:
            most = max(self._tally.values())
            self._imu = next(n for n in IMU_MESSAGES if self._tally[n] >= SLOW_SHARE * most)
            self._tally.clear()
            self._tallied = 0
        return name == self._imu

    def _take_imu(self, time_us: int, values: Sequence[float], received_us: int) -> None:
        ax, ay, az, gx, gy, gz = values
        a, g = MAX_ACCEL_M_S2, MAX_GYRO_RAD_S
        # Comparisons with NaN are false.
        sound = -a <= ax <= a and -a <= ay <= a and -a <= az <= a and -g <= gx <= g and -g <= gy <= g and -g <= gz <= g
        if not sound or time_us > MAX_TIME_US:
            self.counts.implausible += 1
        elif self._imu_clock.admits(time_us):
            self._imu_received_us = received_us
            self.counts.imu[self._imu or ""] += 1
            self._sink.push_imu(time_us, values)

    def _take_baro(self, rank: int, time_us: int, altitude_m: float) -> None:
        if not ALTITUDE_RANGE_M[0] <= altitude_m <= ALTITUDE_RANGE_M[1] or time_us > MAX_TIME_US:
            self.counts.implausible_baro += 1
            return
        if rank != self._baro_rank:
            waits_us = time_us - self._baro_clock.newest_us
            if self._baro_rank is not None:
                if rank > self._baro_rank and -LATE_US <= waits_us < BARO_SILENT_US:
                    return
                self._baro_resumes_us = time_us + BARO_PAUSE_US
            self._baro_rank = rank
        if self._baro_clock.admits(time_us) and not 0 < self._baro_resumes_us - time_us <= BARO_PAUSE_US:
            self.counts.baro[BARO_MESSAGES[rank]] += 1
            self._sink.push_baro(time_us, altitude_m)
