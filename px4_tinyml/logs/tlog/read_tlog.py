"""MAVLink telemetry log → FlightLogs, one for each component that sends an IMU.

mavlink/samples.py has the rules by which messages become samples: the same as on a live link. Sample times are the
messages' own (since boot), so a reboot stays visible. Messages without a time get that of the messages around them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError, UnusableLogError
from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries
from px4_tinyml.logs.checks import OUT_OF_RANGE, count, examine_baro, examine_imu
from px4_tinyml.logs.reference import Signal, Velocity, reference_series
from px4_tinyml.logs.tlog.tlog_file import TIME_SIZE, Frames, TlogFile
from px4_tinyml.logs.vehicle_names import autopilot_name, mav_type_name, vehicle_class
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.samples import IMU_MESSAGES, STREAM_MESSAGES, UNIX_US, MavlinkStream, StreamCounts
from px4_tinyml.units import US_PER_S

VELOCITY_MESSAGES = {
    "LOCAL_POSITION_NED": ("vz", 1.0),
    "GLOBAL_POSITION_INT": ("vz", 100.0),
    "VFR_HUD": ("climb", -1.0),
}
"""Field and divisor that give m/s down, by message, the preferred one first."""
SLOW_SHARE = 0.5
"""A preferred velocity is skipped when another is received more than twice as often."""


@dataclass(frozen=True)
class _Messages:
    """Decoded messages of one kind from one component."""

    name: str
    frames: Frames
    rows: NDArray[Any]

    def time_us(self) -> NDArray[np.uint64]:
        """The message's own time: time_usec, or time_boot_ms."""
        if "time_usec" in (self.rows.dtype.names or ()):
            return np.asarray(self.rows["time_usec"])
        return np.asarray(self.rows["time_boot_ms"].astype(np.uint64) * np.uint64(1000))


@dataclass(frozen=True)
class _ImuClock:
    """Of each IMU sample its offset in the file, its reception time and its sample time (µs); all [N]."""

    offset: NDArray[np.int64]
    received_us: NDArray[np.int64]
    time_us: NDArray[np.int64]


class _Samples:
    """Collects the samples of a stream, and of each IMU sample the index of its message, baro_before and on_ground."""

    def __init__(self) -> None:
        self.imu: list[tuple[int, Sequence[float], int, int, bool]] = []
        self.baro: list[tuple[int, float]] = []
        self.here = 0
        self.on_ground = False

    def push_imu(self, time_us: int, values: Sequence[float]) -> None:
        self.imu.append((time_us, values, self.here, len(self.baro), self.on_ground))

    def push_baro(self, time_us: int, altitude_m: float) -> None:
        self.baro.append((time_us, altitude_m))

    def push_ground(self, on_ground: bool) -> None:
        self.on_ground = on_ground


def is_tlog(head: bytes) -> bool:
    """Whether a file may start with a time and a MAVLink frame."""
    return len(head) > 16 and head[TIME_SIZE] in (dialect.MAGIC_V1, dialect.MAGIC_V2) and b"\0" in head


def read_tlog(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """One FlightLog per component with an IMU. Raises LogError when there is no such component."""
    log = TlogFile.read(data)
    if not len(log.frames):
        raise LogError(f"{path}: no MAVLink frame with a right checksum in {len(data)} bytes: not a .tlog")
    senders = sorted({sender for name in IMU_MESSAGES for sender in log.select(name).senders()})
    recordings = [_Recording(log, system, component) for system, component in senders]
    usable, unusable = [], []
    for recording in recordings:
        part = f"{path}#{recording.system}.{recording.component}" if len(recordings) > 1 else str(path)
        try:
            usable.append(recording.flight_log(part, sha256))
        except UnusableLogError as error:
            unusable.append(error)
    if usable:
        return usable
    if unusable:
        raise unusable[0]
    why = "no IMU messages in this .tlog: ask the vehicle for HIGHRES_IMU (MAV_CMD_SET_MESSAGE_INTERVAL)"
    raise UnusableLogError(str(path), "tlog", why, {"topics": log.counts()}, log.damage)


class _Recording:
    """The messages of one component."""

    def __init__(self, log: TlogFile, system: int, component: int) -> None:
        self.log, self.system, self.component = log, system, component
        self.warnings: list[str] = []
        heartbeats = self.messages("HEARTBEAT", own=True)
        self.heartbeats = heartbeats
        self.autopilot = _most_common(heartbeats.rows["autopilot"])
        self.mav_type = _most_common(heartbeats.rows["type"])

    def messages(self, name: str, own: bool = False) -> _Messages:
        """Messages of a kind of this system (own: of this component only)."""
        frames = self.log.select(name)
        frames = frames.where(frames.system == self.system)
        if own:
            frames = frames.where(frames.component == self.component)
        return _Messages(name, frames, self.log.rows(frames, name))

    def flight_log(self, source: str, sha256: str) -> FlightLog:
        autopilot = autopilot_name(self.autopilot) if self.autopilot is not None else "?"
        topics = self.log.counts(self.system)
        facts = {"firmware": self._firmware(autopilot), "autopilot": autopilot, "topics": topics}
        samples, counts, received_us, offset = self._stream()
        self._warn(counts)
        if not samples.imu:
            why = " ".join(self.warnings) or "its IMU messages hold no valid sample"
            raise UnusableLogError(source, "tlog", why, facts, self.log.damage)
        times, vectors, messages, baro_before, on_ground = zip(*samples.imu, strict=True)
        values, place = np.array(vectors, np.float32), np.array(messages)
        imu = ImuSeries(np.array(times, np.uint64), values[:, :3], values[:, 3:])
        baro = BaroSeries(*map(np.array, zip(*samples.baro, strict=True))) if samples.baro else None
        gaps = examine_imu(imu, self.warnings)
        if baro is not None:
            examine_baro(baro, self.warnings)
        clock = _ImuClock(offset[place], received_us[place], imu.timestamp_us.astype(np.int64))
        velocity = self._velocity(clock)
        base = Signal(clock.offset, imu.timestamp_us)
        reference = reference_series(velocity, base, baro, self._held(), self.warnings)
        return FlightLog(
            source=source,
            sha256=sha256,
            kind="tlog",
            vehicle=f"{mav_type_name(self.mav_type)} {autopilot} system {self.system}",
            imu=imu,
            baro=baro,
            reference=reference,
            gaps=gaps,
            warnings=(*self.log.damage, *self.warnings),
            baro_before=np.array(baro_before, np.int64),
            on_ground=np.array(on_ground, np.bool_),
            vehicle_class=vehicle_class(self.mav_type),
            info={
                **facts,
                "imu_source": counts.imu.most_common(1)[0][0],
                "baro_source": counts.baro.most_common(1)[0][0] if baro else None,
                "velocity_source": velocity.source if velocity else None,
            },
        )

    def _stream(self) -> tuple[_Samples, StreamCounts, NDArray[np.int64], NDArray[np.int64]]:
        """Samples of this component's messages; when each message was received (µs), and where it is in the file."""
        kinds = [(dialect.message_id(name), self.messages(name, own=True)) for name in STREAM_MESSAGES]
        offset = np.concatenate([m.frames.offset for _, m in kinds])
        received_us = np.concatenate([self.log.times_us(m.frames) for _, m in kinds])
        numbers = np.repeat([number for number, _ in kinds], [len(m.rows) for _, m in kinds]).tolist()
        fields = [row for n, m in kinds for row in map(dialect.record_type(n)._make, m.rows.tolist())]
        received = received_us.tolist()
        samples = _Samples()
        stream = MavlinkStream(samples)
        for i in np.argsort(offset).tolist():
            samples.here = i
            stream.message(numbers[i], fields[i], received[i])
        return samples, stream.counts, received_us, offset

    def _warn(self, counts: StreamCounts) -> None:
        """Warn about dropped messages and samples."""
        if counts.implausible:
            self.warnings.append(f"{count(counts.implausible, 'sample')} dropped: {OUT_OF_RANGE}")
        if counts.implausible_baro:
            dropped = count(counts.implausible_baro, "sample")
            self.warnings.append(f"{dropped} dropped: barometric altitude not finite or out of range")
        if counts.duplicates or counts.late:
            duplicates = count(counts.duplicates, "duplicate IMU message")
            self.warnings.append(f"{duplicates} and {counts.late} out of order dropped")
        if counts.unmarked:
            self.warnings.append(
                f"HIGHRES_IMU marks no field as updated: {count(counts.unmarked, 'message')} used nevertheless"
            )
        if counts.raw_counts and not counts.imu:
            self.warnings.append(
                f"RAW_IMU of an autopilot other than ArduPilot is in raw counts of unknown scale "
                f"({count(counts.raw_counts, 'message')}): not used. Ask the vehicle for HIGHRES_IMU."
            )

    def _firmware(self, autopilot: str) -> str:
        for text in self.messages("STATUSTEXT").rows["text"].tolist():
            match = re.match(rb"(?:APM:)?(Ardu\w+|Copter|Plane|Rover|Sub) V?\d[^\0]*", text)
            if match:
                return match[0].decode("utf-8", "replace").removeprefix("APM:")
        versions = self.messages("AUTOPILOT_VERSION").rows["flight_sw_version"]
        if len(versions) and versions[0]:
            number = int(versions[0])
            return f"{autopilot} v{number >> 24 & 255}.{number >> 16 & 255}.{number >> 8 & 255}"
        return f"{autopilot}, version unknown"

    def _velocity(self, clock: _ImuClock) -> Velocity | None:
        found = [m for m in (self.messages(n, own=True) for n in VELOCITY_MESSAGES) if len(m.rows)]
        if not found:
            return None
        most = max(len(m.rows) for m in found)
        chosen = next(m for m in found if len(m.rows) >= SLOW_SHARE * most)
        field, divisor = VELOCITY_MESSAGES[chosen.name]
        down = chosen.rows[field].astype(np.float64) / divisor
        return Velocity(chosen.name, self._on_imu_clock(chosen, clock), down, chosen.frames.offset)

    def _on_imu_clock(self, messages: _Messages, clock: _ImuClock) -> NDArray[np.uint64]:
        """Times on the IMU's clock: the message's own where it is the same clock, else by when it was received."""
        names = messages.rows.dtype.names or ()
        if "time_boot_ms" in names and np.median(clock.time_us) < UNIX_US:
            return messages.time_us()
        before = np.maximum(np.searchsorted(clock.offset, messages.frames.offset) - 1, 0)
        later = self.log.times_us(messages.frames) - clock.received_us[before]
        return np.asarray(clock.time_us[before] + np.clip(later, 0, 2 * US_PER_S), dtype=np.uint64)

    def _held(self) -> dict[str, Signal]:
        """Airborne by EXTENDED_SYS_STATE, armed by HEARTBEAT."""
        held = {}
        armed = ((self.heartbeats.rows["base_mode"] & dialect.MAV_MODE_FLAG_SAFETY_ARMED) != 0).astype(np.int8)
        if len(armed):
            held["armed"] = Signal(self.heartbeats.frames.offset, armed)
        states = self.messages("EXTENDED_SYS_STATE")
        if len(states.rows):
            state, ground = states.rows["landed_state"], dialect.MAV_LANDED_STATE_ON_GROUND
            flying = (state > ground) & (state <= dialect.MAV_LANDED_STATE_LANDING)  # taking off and landing too
            held["airborne"] = Signal(states.frames.offset, np.where(flying, 1, np.where(state == ground, 0, -1)))
        return held


def _most_common(values: NDArray[Any]) -> int | None:
    return int(np.bincount(values).argmax()) if len(values) else None
