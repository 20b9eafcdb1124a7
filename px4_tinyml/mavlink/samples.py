"""MAVLink messages → IMU and barometer samples in the order of delivery: one set of rules, for files and live links.

Every rule looks back only, so that a live link and its recording give the same samples.
HIGHRES_IMU is SI; SCALED_IMU* is milli-g and mrad/s; ArduPilot sends RAW_IMU in those units too (other autopilots send
raw counts of unknown scale). All are body FRD, times since boot.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.signal.plausibility import ALTITUDE_RANGE_M, BARO_PAUSE_US, MAX_ACCEL_M_S2, MAX_GYRO_RAD_S, MAX_TIME_US
from px4_tinyml.units import STANDARD_GRAVITY_M_S2, US_PER_S, pressure_altitude_m

IMU_MESSAGES = ("HIGHRES_IMU", "SCALED_IMU", "RAW_IMU", "SCALED_IMU2", "SCALED_IMU3")
"""In the order of preference (ArduPilot's RAW_IMU is its first IMU, SCALED_IMU2 its second)."""
BARO_MESSAGES = ("HIGHRES_IMU", "SCALED_PRESSURE", "SCALED_PRESSURE2", "SCALED_PRESSURE3")
"""In the order of preference; HIGHRES_IMU only while it is the IMU."""
STREAM_MESSAGES = ("HEARTBEAT", "EXTENDED_SYS_STATE", *IMU_MESSAGES, *BARO_MESSAGES[1:])
"""All messages that the rules use."""

MILLI_G = STANDARD_GRAVITY_M_S2 / 1000.0
SLOW_SHARE = 0.5
"""A preferred message is skipped when another one is received more than twice as often."""
CHOICE_MESSAGES = 64
"""The IMU is chosen again after this many IMU messages, by how often each was received among them."""
LATE_US = US_PER_S
"""A time up to this much before the newest was delivered late; a larger step back is a clock that was reset."""
BARO_SILENT_US = 2 * US_PER_S
"""A barometer silent for this long is replaced by another."""
LANDED_SILENT_US = 5 * US_PER_S
"""EXTENDED_SYS_STATE not received for this long is not used: HEARTBEAT is."""
MAX_LATER_US = 2 * US_PER_S
"""The most that reception times, which no checksum guards, may add to the time of the IMU message before."""
UNIX_US = 1 << 50
"""Times above (the year 2005) are Unix time, not time since boot."""
_WRAP_US = 1000 << 32
_IMU_AXES = ("XACC", "YACC", "ZACC", "XGYRO", "YGYRO", "ZGYRO")

Handler = Callable[[Any, int], None]
"""Takes a message's fields (dialect.decode) and when it was received (µs)."""


class Sink(Protocol):
    """Takes samples: times in µs of the autopilot's clock, values[6] ax ay az gx gy gz in m/s² and rad/s, FRD.

    push_ground: the landed state changed (False at first: airborne or unknown).
    """

    def push_imu(self, time_us: int, values: Sequence[float]) -> None: ...

    def push_baro(self, time_us: int, altitude_m: float) -> None: ...

    def push_ground(self, on_ground: bool) -> None: ...


@dataclass
class StreamCounts:
    """Counts of a component's messages. imu, baro: samples delivered, by message; the others were dropped."""

    imu: Counter[str] = field(default_factory=Counter)
    baro: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    late: int = 0
    clock_restarts: int = 0
    implausible: int = 0
    implausible_baro: int = 0
    not_updated: int = 0
    """HIGHRES_IMU without a new accelerometer or gyroscope sample."""
    unmarked: int = 0
    """HIGHRES_IMU used although no field was ever marked as updated."""
    raw_counts: int = 0
    """RAW_IMU of an autopilot other than ArduPilot (or of one still unknown)."""


class _Clock:
    """Times of one series: new, duplicate, late, or of a clock that was reset."""

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
        """Whether a sample of this time is delivered."""
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
    """Samples of one component's messages, delivered to a sink in the order of arrival."""

    def __init__(self, sink: Sink) -> None:
        self.counts = StreamCounts()
        self._sink = sink
        self._imu_clock = _Clock(self.counts)
        self._baro_clock = _Clock(StreamCounts())  # HIGHRES_IMU holds both: nothing is counted twice
        self._autopilot: int | None = None
        self._disarmed = False
        self._landed_state, self._landed_received_us = 0, 0
        self._on_ground = False
        self._imu: str | None = None
        self._tally: Counter[str] = Counter()
        self._tallied = 0
        self._imu_received_us = 0
        self._highres_id = 255
        self._marks = False
        self._baro_rank: int | None = None
        self._baro_resumes_us = -1
        self._ardupilot = dialect.MAV_AUTOPILOT_ARDUPILOTMEGA
        self._imu_fields = sum(getattr(dialect, f"HIGHRES_IMU_UPDATED_{axis}") for axis in _IMU_AXES)
        self._baro_field = dialect.HIGHRES_IMU_UPDATED_PRESSURE_ALT
        handlers: dict[str, Handler] = {"HEARTBEAT": self._heartbeat, "HIGHRES_IMU": self._highres_imu}
        handlers["EXTENDED_SYS_STATE"] = self._extended_sys_state
        handlers |= {name: self._scaled(name) for name in IMU_MESSAGES[1:]}
        handlers |= {name: self._pressure(rank) for rank, name in enumerate(BARO_MESSAGES) if rank}
        self._handlers = {dialect.message_id(name): handlers[name] for name in STREAM_MESSAGES}

    def frame(self, frame: Frame) -> None:
        """Take one frame of this component; messages that no rule uses are not decoded."""
        handler = self._handlers.get(frame.message_id)
        if handler is not None:
            handler(frame.fields, frame.received_us)

    def message(self, number: int, fields: Any, received_us: int) -> None:
        """Take one message of STREAM_MESSAGES. fields: as dialect.decode returns them."""
        self._handlers[number](fields, received_us)

    def _heartbeat(self, m: Any, received_us: int) -> None:
        self._autopilot = m.autopilot
        armed = m.base_mode & dialect.MAV_MODE_FLAG_SAFETY_ARMED
        self._disarmed = not armed and m.autopilot != dialect.MAV_AUTOPILOT_INVALID  # a sensor node arms nothing
        self._update_ground(received_us)

    def _extended_sys_state(self, m: Any, received_us: int) -> None:
        self._landed_state, self._landed_received_us = m.landed_state, received_us
        self._update_ground(received_us)

    def _update_ground(self, received_us: int) -> None:
        """On the ground by EXTENDED_SYS_STATE while it is known; else while disarmed."""
        known = self._landed_state != dialect.MAV_LANDED_STATE_UNDEFINED
        if known and received_us - self._landed_received_us <= LANDED_SILENT_US:
            on_ground = self._landed_state == dialect.MAV_LANDED_STATE_ON_GROUND
        else:
            on_ground = self._disarmed
        if on_ground != self._on_ground:
            self._on_ground = on_ground
            self._sink.push_ground(on_ground)

    def _highres_imu(self, m: Any, received_us: int) -> None:
        """Use the first IMU (the lowest id seen), and only new fields, if the sender marks which are new."""
        updated = m.fields_updated
        if m.id > self._highres_id:
            return
        self._highres_id = m.id
        self._marks = self._marks or bool(updated)
        fresh = updated & self._imu_fields == self._imu_fields or not self._marks
        chosen = fresh and self._is_chosen("HIGHRES_IMU")
        if updated & self._baro_field and self._imu == "HIGHRES_IMU":
            self._take_baro(0, m.time_usec, m.pressure_alt)
        if chosen:
            self.counts.unmarked += not self._marks
            self._take_imu(m.time_usec, (m.xacc, m.yacc, m.zacc, m.xgyro, m.ygyro, m.zgyro), received_us)
        elif not fresh:
            self.counts.not_updated += 1

    def _scaled(self, name: str) -> Handler:
        """Takes SCALED_IMU* and RAW_IMU: milli-g and mrad/s."""
        raw = name == "RAW_IMU"

        def take(m: Any, received_us: int) -> None:
            if raw and self._autopilot != self._ardupilot:
                self.counts.raw_counts += 1
                return
            if not self._is_chosen(name):
                return
            time_us = m.time_usec if raw else self._imu_clock.from_boot_ms(m.time_boot_ms)
            accel, gyro = (m.xacc, m.yacc, m.zacc), (m.xgyro, m.ygyro, m.zgyro)
            self._take_imu(time_us, (*(a * MILLI_G for a in accel), *(g / 1000.0 for g in gyro)), received_us)

        return take

    def _pressure(self, rank: int) -> Handler:
        """Takes SCALED_PRESSURE*: hPa, on the IMU's clock by its own time, or by when it was received."""

        def take(m: Any, received_us: int) -> None:
            imu_us = self._imu_clock.newest_us
            if imu_us < 0:
                return
            if imu_us < UNIX_US:
                time_us = self._baro_clock.from_boot_ms(m.time_boot_ms)
            else:
                time_us = imu_us + min(max(received_us - self._imu_received_us, 0), MAX_LATER_US)
            pascal = m.press_abs * 100.0
            altitude_m = pressure_altitude_m(pascal)
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
