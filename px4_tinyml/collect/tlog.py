"""MAVLink telemetry log → FlightLogs, one for each component that sends an IMU.

HIGHRES_IMU is SI; SCALED_IMU* is milli-g and mrad/s; ArduPilot sends RAW_IMU in those units too (of other
autopilots it is raw counts, which nobody outside them can scale). All are body FRD. Sample times are the
messages' own (since boot), so a reboot stays visible; what has no time gets that of the messages around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.collect.checks import baro_series, imu_series, pressure_altitudes_m
from px4_tinyml.collect.reference import Signal, Velocity, reference_series
from px4_tinyml.collect.tlog_file import Frames, TlogFile
from px4_tinyml.collect.unusable import UnusableLogError
from px4_tinyml.collect.vehicles import AUTOPILOTS, mav_type_name
from px4_tinyml.errors import LogError
from px4_tinyml.types import F64, BaroSeries, Bool, FlightLog
from px4_tinyml.units import STANDARD_GRAVITY_M_S2, US_PER_S

MILLI_G = STANDARD_GRAVITY_M_S2 / 1000.0
ARDUPILOT = 3
MODE_FLAG_ARMED = 128
HIGHRES_IMU_FIELDS = 0x3F
HIGHRES_PRESSURE_ALT = 1 << 11
LANDED_STATES = {1: 0, 2: 1, 3: 1, 4: 1}
"""MAV_LANDED_STATE → airborne: on ground; in air, taking off, landing."""

IMU_MESSAGES = ("HIGHRES_IMU", "SCALED_IMU", "RAW_IMU", "SCALED_IMU2", "SCALED_IMU3")
"""In the order of preference (ArduPilot's RAW_IMU is its first IMU, SCALED_IMU2 its second)."""
BARO_MESSAGES = ("SCALED_PRESSURE", "SCALED_PRESSURE2", "SCALED_PRESSURE3")
VELOCITY_MESSAGES = ("LOCAL_POSITION_NED", "GLOBAL_POSITION_INT", "VFR_HUD")
SLOW_SHARE = 0.5
"""A preferred message is passed over when another comes over twice as often."""
UNIX_US = 1 << 50
"""Times above (the year 2005) are Unix time, not time since boot."""


@dataclass(frozen=True)
class _Messages:
    """Decoded messages of one kind from one component."""

    name: str
    frames: Frames
    rows: NDArray[Any]

    def where(self, mask: Bool) -> _Messages:
        return _Messages(self.name, self.frames.where(mask), self.rows[mask])

    def time_us(self) -> NDArray[np.uint64]:
        """The message's own time: time_usec, or time_boot_ms."""
        if "time_usec" in (self.rows.dtype.names or ()):
            return np.asarray(self.rows["time_usec"])
        return np.asarray(self.rows["time_boot_ms"].astype(np.uint64) * np.uint64(1000))


def read_tlog(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """One FlightLog a component with an IMU. LogError when there is none."""
    log = TlogFile.read(data)
    if not len(log.frames):
        raise LogError(f"{path}: no MAVLink frame with a right checksum in {len(data)} bytes: not a .tlog")
    senders = sorted({sender for name in IMU_MESSAGES for sender in log.select(name).senders()})
    recordings = [_Recording(log, system, component) for system, component in senders]
    usable, refused = [], []
    for recording in recordings:
        part = f"{path}#{recording.system}.{recording.component}" if len(recordings) > 1 else str(path)
        try:
            usable.append(recording.flight_log(part, sha256))
        except UnusableLogError as error:
            refused.append(error)
    if usable:
        return usable
    if refused:
        raise refused[0]
    why = "no IMU messages in this .tlog: ask the vehicle for HIGHRES_IMU (MAV_CMD_SET_MESSAGE_INTERVAL)"
    raise UnusableLogError(str(path), "tlog", why, {"topics": log.counts()}, log.damage)


class _Recording:
    """What one component sent."""

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
        facts = self._facts()
        imu_messages = self._imu_messages()
        if imu_messages is None:
            why = f"{' '.join(self.warnings) or 'its IMU messages are empty'}"
            raise UnusableLogError(source, "tlog", why, facts, self.log.damage)
        accel, gyro = _si(imu_messages)
        imu_time_us = imu_messages.time_us()
        imu, gaps = imu_series(imu_time_us, accel, gyro, self.warnings)
        if not len(imu):
            why = f"{imu_messages.name} holds no sound sample"
            raise UnusableLogError(source, "tlog", why, facts, [*self.log.damage, *self.warnings])
        baro, baro_source = self._baro(imu_messages)
        velocity = self._velocity(imu_messages)
        base = Signal(imu_messages.frames.offset, imu_time_us)
        reference = reference_series(velocity, base, baro, self._held(), self.warnings)
        return FlightLog(
            source=source,
            sha256=sha256,
            kind="tlog",
            vehicle=f"{mav_type_name(self.mav_type)} {facts['autopilot']} system {self.system}",
            imu=imu,
            baro=baro,
            reference=reference,
            gaps=gaps,
            warnings=(*self.log.damage, *self.warnings),
            info={
                **facts,
                "imu_source": imu_messages.name,
                "baro_source": baro_source if baro else None,
                "velocity_source": velocity.source if velocity else None,
            },
        )

    def _facts(self) -> dict[str, Any]:
        autopilot = AUTOPILOTS.get(self.autopilot, f"autopilot {self.autopilot}") if self.autopilot is not None else "?"
        return {
            "firmware": self._firmware(autopilot),
            "hardware": None,
            "simulated": False,
            "autopilot": autopilot,
            "topics": self.log.counts(self.system),
        }

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

    def _imu_messages(self) -> _Messages | None:
        """The IMU to use: the most preferred one that is not much slower than another."""
        found = []
        for name in IMU_MESSAGES:
            messages = self.messages(name, own=True)
            if not len(messages.rows):
                continue
            if name == "RAW_IMU" and self.autopilot != ARDUPILOT:
                self.warnings.append(
                    f"RAW_IMU of an autopilot other than ArduPilot is in raw counts of unknown scale "
                    f"({len(messages.rows)} messages): not used. Ask the vehicle for HIGHRES_IMU."
                )
                continue
            if name == "HIGHRES_IMU":
                messages = self._fresh_highres(messages)
            found.append(messages)
        if not found:
            return None
        most = max(len(m.rows) for m in found)
        return next(m for m in found if len(m.rows) >= SLOW_SHARE * most)

    def _fresh_highres(self, messages: _Messages) -> _Messages:
        """HIGHRES_IMU of the first IMU, whose accelerometer and gyroscope fields are new."""
        messages = messages.where(messages.rows["id"] == messages.rows["id"].min())
        fresh = (messages.rows["fields_updated"] & HIGHRES_IMU_FIELDS) == HIGHRES_IMU_FIELDS
        if fresh.any():
            return messages.where(fresh)
        self.warnings.append("HIGHRES_IMU marks no accelerometer or gyroscope field as updated: all are used")
        return messages

    def _baro(self, imu: _Messages) -> tuple[BaroSeries | None, str | None]:
        if imu.name == "HIGHRES_IMU":
            fresh = imu.where((imu.rows["fields_updated"] & HIGHRES_PRESSURE_ALT) != 0)
            if len(fresh.rows):
                return baro_series(fresh.time_us(), fresh.rows["pressure_alt"], self.warnings), imu.name
        for name in BARO_MESSAGES:
            pressure = self.messages(name, own=True)
            if len(pressure.rows):
                altitude = pressure_altitudes_m(pressure.rows["press_abs"].astype(np.float64) * 100.0)
                return baro_series(self._on_imu_clock(pressure, imu), altitude, self.warnings), name
        return None, None

    def _velocity(self, imu: _Messages) -> Velocity | None:
        found = [m for m in (self.messages(n, own=True) for n in VELOCITY_MESSAGES) if len(m.rows)]
        if not found:
            return None
        most = max(len(m.rows) for m in found)
        chosen = next(m for m in found if len(m.rows) >= SLOW_SHARE * most)
        down: F64
        if chosen.name == "VFR_HUD":
            down = -chosen.rows["climb"].astype(np.float64)
        elif chosen.name == "GLOBAL_POSITION_INT":
            down = chosen.rows["vz"].astype(np.float64) / 100.0
        else:
            down = chosen.rows["vz"].astype(np.float64)
        return Velocity(chosen.name, self._on_imu_clock(chosen, imu), down, chosen.frames.offset)

    def _on_imu_clock(self, messages: _Messages, imu: _Messages) -> NDArray[np.uint64]:
        """Times on the IMU's clock: the message's own where it is the same clock, else by when it was received."""
        names = messages.rows.dtype.names or ()
        imu_time = imu.time_us().astype(np.int64)
        if "time_boot_ms" in names and np.median(imu_time) < UNIX_US:
            return messages.time_us()
        before = np.maximum(np.searchsorted(imu.frames.offset, messages.frames.offset) - 1, 0)
        later = self.log.times_us(messages.frames) - self.log.times_us(imu.frames)[before]
        return np.asarray(imu_time[before] + np.clip(later, 0, 2 * US_PER_S), dtype=np.uint64)

    def _held(self) -> dict[str, Signal]:
        """Airborne by EXTENDED_SYS_STATE, armed by HEARTBEAT."""
        held = {}
        armed = ((self.heartbeats.rows["base_mode"] & MODE_FLAG_ARMED) != 0).astype(np.int8)
        if len(armed):
            held["armed"] = Signal(self.heartbeats.frames.offset, armed)
        states = self.messages("EXTENDED_SYS_STATE")
        if len(states.rows):
            airborne = np.array([LANDED_STATES.get(s, -1) for s in states.rows["landed_state"].tolist()], np.int8)
            held["airborne"] = Signal(states.frames.offset, airborne)
        return held


def _most_common(values: NDArray[Any]) -> int | None:
    return int(np.bincount(values).argmax()) if len(values) else None


def _si(imu: _Messages) -> tuple[F64, F64]:
    """Accelerations in m/s² and rates in rad/s, N×3 FRD."""
    accel = np.stack([imu.rows[f"{axis}acc"] for axis in "xyz"], axis=1).astype(np.float64)
    gyro = np.stack([imu.rows[f"{axis}gyro"] for axis in "xyz"], axis=1).astype(np.float64)
    return (accel, gyro) if imu.name == "HIGHRES_IMU" else (accel * MILLI_G, gyro / 1000.0)
