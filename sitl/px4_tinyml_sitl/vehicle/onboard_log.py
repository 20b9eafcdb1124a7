"""The vehicle's logger: a ULog file from arming to disarming, and every message for log streaming.

Topics and rates are those of simulated flights (write_flight.py).
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from px4_tinyml.logs.ulog.topics import FORMATS
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter, message_dtype, ulog_message
from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml_sitl import logged_topics
from px4_tinyml_sitl.attitude import quaternion
from px4_tinyml_sitl.vehicle.state import VehicleState

_TRUTH = "vehicle_local_position_groundtruth"
_TOPICS = (
    "sensor_combined", "vehicle_air_data", "vehicle_local_position", _TRUTH, "vehicle_attitude",
    "vehicle_land_detected", "vehicle_status", "wind", "actuator_motors", "turbulence_truth",
)  # fmt: skip
_BARO_PERIOD_US = 180_000
"""Minimum interval of vehicle_air_data, which gives 5 Hz."""
_FLUSH_US = 1_000_000

_log = logging.getLogger(__name__)


class _Topic:
    """Packs data messages of one topic; fields not given are zero."""

    def __init__(self, message_id: int, fields: str) -> None:
        self._zeros = np.zeros((), message_dtype(fields))
        self._id = struct.pack("<H", message_id)

    def pack(self, fields: dict[str, Any]) -> bytes:
        row = self._zeros.copy()
        for name, value in fields.items():
            row[name] = value
        return ulog_message(b"D", self._id + row.tobytes())


class OnboardLog:
    """Writes logs into a folder. listeners are called with the data messages of every tick, armed or not."""

    def __init__(self, state: VehicleState, folder: Path, say: Callable[[int, str], None]) -> None:
        self.folder = folder
        self.listeners: list[Callable[[bytes], None]] = []
        self._state, self._say = state, say
        self._topics = {name: _Topic(index, FORMATS[name]) for index, name in enumerate(_TOPICS)}
        self._file: BinaryIO | None = None
        self._failed = False
        self._baro_us = self._flushed_us = 0
        self._ticks = 0
        self._logged: dict[str, tuple[int, ...]] = {}

    def paths(self) -> list[Path]:
        """The logs in the folder, oldest first."""
        return sorted(self.folder.glob(f"vehicle{self._state.system_id}_*.ulg"))

    @property
    def open_path(self) -> Path | None:
        """The log being written."""
        return None if self._file is None else Path(self._file.name)

    def definitions(self) -> list[bytes]:
        """Everything before the data of a log that starts now, message by message."""
        state = self._state
        writer = ULogWriter(state.now_us)
        for key, value in logged_topics.information(state.flight.plan, "served", "served").items():
            writer.info(key, value)
        for parameter in state.parameters:
            writer.parameter(parameter.name, parameter.value)
        for name in _TOPICS:
            writer.topic(name, FORMATS[name], {"timestamp": []})
        return writer.definitions()

    def update(self) -> None:
        """Log one tick: everything since the last one."""
        armed = self._state.flight.armed
        if armed and self._file is None and not self._failed:
            self._open()
        if self._file is not None or self.listeners:
            data = b"".join(self._messages())
            for listener in self.listeners:
                listener(data)
            self._write(data)
        if not armed:
            self.close()
            self._failed = False
        self._ticks += 1

    def _open(self) -> None:
        number = 0
        while (path := self.folder / f"vehicle{self._state.system_id}_{number:03d}.ulg").exists():
            number += 1
        try:
            self._file = path.open("wb")
        except OSError as error:
            self._fail(error)
            return
        self._logged.clear()
        self._write(b"".join(self.definitions()))

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
            if abs(self._state.now_us - self._flushed_us) >= _FLUSH_US:
                self._flushed_us = self._state.now_us
                self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        _log.warning("log in %s: %s; the rest of this flight is not logged", self.folder, error.strerror)
        self._say(mavlink.MAV_SEVERITY_CRITICAL, f"Logging failed: {error.strerror}"[:50])
        self._file, self._failed = None, True

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)
            self._file = None

    # The messages of a tick

    def _messages(self) -> list[bytes]:
        state, ticks = self._state, self._ticks
        flight, every_second = state.flight, ticks % 200 == 0
        row = {**flight.row._asdict(), "landed": flight.landed, "armed": flight.armed}
        out = [self._imu(*sample) for sample in state.new_imu]
        for time_us, altitude_m in state.new_baro:
            if not 0 <= time_us - self._baro_us < _BARO_PERIOD_US:
                self._baro_us = time_us
                fields = logged_topics.air_data(altitude_m, flight.plan.vehicle.rho_kg_m3)
                out.append(self._pack("vehicle_air_data", fields, time_us))
        if ticks % 8 == 0:
            out.append(self._pack("vehicle_attitude", {"q": quaternion(*flight.angles[3:])}))
        if ticks % 20 == 0:
            for topic, prefix in (("vehicle_local_position", "est_"), (_TRUTH, "")):
                out.append(self._pack(topic, logged_topics.local_position(row, prefix, row["yaw"], flight.plan)))
            out.append(self._pack("actuator_motors", {"control": [*flight.motor_share, *[np.nan] * 8]}))
            out.append(self._pack("turbulence_truth", logged_topics.turbulence_truth(row)))
        if every_second:
            out.append(self._pack("wind", logged_topics.wind(*flight.mean_wind)))
        if self._changed("landed", flight.landed) or every_second:
            out.append(self._pack("vehicle_land_detected", logged_topics.land_detected(row)))
        if self._changed("status", flight.armed, state.mode) or every_second:
            fields = logged_topics.vehicle_status(flight.armed, state.mode, state.system_id)
            times = {"armed_time": state.armed_us, "takeoff_time": state.takeoff_us}
            out.append(self._pack("vehicle_status", fields | times))
        return out

    def _imu(self, time_us: int, accel: Any, gyro: Any) -> bytes:
        interval = self._state.flight.plan.sensors.imu_interval_us
        fields = {
            "timestamp": time_us, "gyro_rad": gyro, "gyro_integral_dt": interval, "accelerometer_m_s2": accel,
            "accelerometer_integral_dt": interval,
        }  # fmt: skip
        return self._topics["sensor_combined"].pack(fields)

    def _pack(self, topic: str, fields: dict[str, Any], sample_us: int | None = None) -> bytes:
        """A message of now, of a sample of now or of sample_us."""
        now_us = self._state.now_us
        fields["timestamp"] = now_us
        if "timestamp_sample" in FORMATS[topic]:
            fields["timestamp_sample"] = now_us if sample_us is None else sample_us
        return self._topics[topic].pack(fields)

    def _changed(self, name: str, *now: int) -> bool:
        before = self._logged.get(name)
        self._logged[name] = now
        return before != now
