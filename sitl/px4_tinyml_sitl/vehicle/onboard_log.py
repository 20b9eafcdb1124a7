"""The vehicle's logger: from arming to disarming into a ULog file, and to whoever streams, message by message.

Topics and rates are those of `fly` (write_flight.py): a log of a served flight is one of the same kind.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from px4_tinyml import __version__
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter, message_dtype, ulog_message
from px4_tinyml_sitl.turbulence import intensities, lengths
from px4_tinyml_sitl.vehicle.commander import Commander, Severity
from px4_tinyml_sitl.vehicle.geo import REFERENCE_LAT_DEG, REFERENCE_LON_DEG
from px4_tinyml_sitl.vehicle.state import VehicleState
from px4_tinyml_sitl.vehicle.vehicle_streams import quaternion

_CODES = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q", "f4": "f", "f8": "d"}
_TRUTH = "vehicle_local_position_groundtruth"
_TOPICS = (
    "sensor_combined", "vehicle_air_data", "vehicle_local_position", _TRUTH, "vehicle_attitude",
    "vehicle_land_detected", "vehicle_status", "wind", "actuator_motors", "turbulence_truth",
)  # fmt: skip
_BARO_PERIOD_US = 180_000
"""vehicle_air_data is logged at 5 Hz."""
_DISTANT = float("inf")

_log = logging.getLogger(__name__)


class _Topic:
    """Packs one topic's data messages from numbers by field name; fields not given are zero."""

    def __init__(self, index: int, fields: str) -> None:
        dtype = message_dtype(fields)
        self._place: dict[str, slice] = {}
        code, at = "<", 0
        for name in dtype.names or ():
            kind = dtype[name]
            count = math.prod(kind.shape)
            code += _CODES[kind.base.str[1:]] * count
            self._place[name] = slice(at, at + count)
            at += count
        self._struct = struct.Struct(code)
        self._zeros = [0] * at
        self._id = struct.pack("<H", index)

    def pack(self, **values: Any) -> bytes:
        row: list[Any] = self._zeros.copy()
        for name, value in values.items():
            row[self._place[name]] = value if isinstance(value, (list, tuple)) else (value,)
        return ulog_message(b"D", self._id + self._struct.pack(*row))


class OnboardLog:
    """Writes logs into a folder. listeners get every data message as it comes, armed or not."""

    def __init__(
        self, state: VehicleState, commander: Commander, folder: Path, say: Callable[[Severity, str], None]
    ) -> None:
        self.folder = folder
        self.listeners: list[Callable[[bytes], None]] = []
        self._state, self._commander, self._say = state, commander, say
        self._topics = {name: _Topic(index, topics.FORMATS[name]) for index, name in enumerate(_TOPICS)}
        self._file: BinaryIO | None = None
        self._failed = False
        self._baro_us = self._flushed_us = 0
        self._ticks = 0
        self._on_change: dict[str, tuple[int, ...]] = {}

    def paths(self) -> list[Path]:
        """The logs there are, oldest first."""
        return sorted(self.folder.glob(f"vehicle{self._state.system_id}_*.ulg"))

    @property
    def open_path(self) -> Path | None:
        """The log being written."""
        return None if self._file is None else Path(self._file.name)

    def definitions(self) -> list[bytes]:
        """What a log starts with, as of now."""
        state = self._state
        plan = state.flight.plan
        writer = ULogWriter(state.now_us)
        for key, value in (
            ("sys_name", "PX4"), ("ver_hw", "JSBSIM_QUAD"), ("ver_sw", f"px4-tinyml {__version__}"),
            ("sim_airframe", plan.vehicle.airframe.name), ("sim_mission", "served"), ("sim_seed", str(plan.seed)),
            ("sim_flight", str(plan.index)), ("sim_weather", "served"),
        ):  # fmt: skip
            writer.info(key, value)
        for parameter in state.parameters:
            writer.parameter(parameter.name, parameter.value)
        for name in _TOPICS:
            writer.topic(name, topics.FORMATS[name], {"timestamp": []})
        return writer.definitions()

    def update(self) -> None:
        """Log this tick (200 a second): everything since the one before."""
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
        self._on_change.clear()
        self._write(b"".join(self.definitions()))

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
            if abs(self._state.now_us - self._flushed_us) >= 1_000_000:
                self._flushed_us = self._state.now_us
                self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        _log.warning("log in %s: %s; this flight is not logged further", self.folder, error.strerror)
        self._say(Severity.CRITICAL, f"Logging failed: {error.strerror}"[:50])
        self._file, self._failed = None, True

    def close(self) -> None:
        """End the file, if there is one."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)
            self._file = None

    # The messages of a tick

    def _messages(self) -> list[bytes]:
        state, ticks = self._state, self._ticks
        out = [self._imu(sample) for sample in state.new_imu]
        for time_us, altitude in state.new_baro:
            if not 0 <= time_us - self._baro_us < _BARO_PERIOD_US:
                self._baro_us = time_us
                out.append(self._air_data(time_us, altitude))
        if ticks % 8 == 0:
            _, _, _, roll, pitch, yaw = state.flight.angles
            out.append(self._at_now("vehicle_attitude", q=quaternion(roll, pitch, yaw)))
        if ticks % 20 == 0:
            out += [self._position("vehicle_local_position", "est_"), self._position(_TRUTH, "")]
            share = [*state.flight.motor_share, *[float("nan")] * 8]
            out += [self._at_now("actuator_motors", control=share), self._turbulence()]
        if ticks % 200 == 0:
            row, direction = state.flight.row, state.flight.weather.direction_rad
            north, east = row.wind * math.cos(direction), row.wind * math.sin(direction)
            known = {"variance_north": 0.16, "variance_east": 0.16}
            out.append(self._at_now("wind", windspeed_north=north, windspeed_east=east, **known))
        return out + self._status(ticks % 200 == 0)

    def _at_now(self, topic: str, **values: Any) -> bytes:
        now_us = self._state.now_us
        if "timestamp_sample" in topics.FORMATS[topic]:
            values["timestamp_sample"] = now_us
        return self._topics[topic].pack(timestamp=now_us, **values)

    def _imu(self, sample: tuple[int, Any, Any]) -> bytes:
        time_us, accel, gyro = sample
        interval = self._state.flight.plan.sensors.imu_interval_us
        return self._topics["sensor_combined"].pack(
            timestamp=time_us, gyro_rad=gyro.tolist(), gyro_integral_dt=interval, accelerometer_m_s2=accel.tolist(),
            accelerometer_integral_dt=interval,
        )  # fmt: skip

    def _air_data(self, time_us: int, altitude_m: float) -> bytes:
        return self._topics["vehicle_air_data"].pack(
            timestamp=self._state.now_us, timestamp_sample=time_us, baro_device_id=0x4A5342, baro_alt_meter=altitude_m,
            baro_pressure_pa=101325.0 * (1.0 - 2.25577e-5 * altitude_m) ** 5.2559, ambient_temperature=15.0,
            rho=self._state.flight.plan.vehicle.rho_kg_m3,
        )  # fmt: skip

    def _position(self, topic: str, prefix: str) -> bytes:
        row, home = self._state.flight.row, self._state.home
        error = self._state.flight.plan.estimator_m_s
        names = ("x", "y", "z", "vx", "vy", "vz")
        values = {name: getattr(row, prefix + name) for name in names}
        return self._at_now(
            topic, **values, ref_lat=REFERENCE_LAT_DEG, ref_lon=REFERENCE_LON_DEG, ref_alt=home.elevation_m,
            z_deriv=values["vz"], heading=row.yaw, unaided_heading=row.yaw, dist_bottom=row.height, eph=6.0 * error,
            epv=6.0 * error, evh=error, evv=error, vxy_max=_DISTANT, vz_max=_DISTANT, hagl_min=_DISTANT,
            hagl_max_z=_DISTANT, hagl_max_xy=_DISTANT, xy_valid=1, z_valid=1, v_xy_valid=1, v_z_valid=1,
            heading_good_for_control=1, xy_global=1, z_global=1,
        )  # fmt: skip

    def _turbulence(self) -> bytes:
        flight = self._state.flight
        row = flight.row
        sigma, length = intensities(row.w20, row.height), lengths(row.height)
        return self._at_now(
            "turbulence_truth", edr=flight.edr, w20_m_s=row.w20, wind_speed_m_s=row.wind, height_m=row.height,
            sigma_u=sigma[0], sigma_v=sigma[0], sigma_w=sigma[1], length_u=length[0], length_v=length[0],
            length_w=length[1], gust_n=row.gust_n, gust_e=row.gust_e, gust_d=row.gust_d,
        )  # fmt: skip

    def _status(self, due: bool) -> list[bytes]:
        """vehicle_land_detected and vehicle_status: once a second, and when they change."""
        state = self._state
        row, landed, armed = state.flight.row, state.flight.landed, state.flight.armed
        mode = int(self._commander.mode)
        out = []
        if self._changed("landed", landed) or due:
            out.append(
                self._at_now(
                    "vehicle_land_detected", landed=landed, maybe_landed=landed,
                    ground_contact=row.height < 0.02, has_low_throttle=row.thrust_ratio < 0.5,
                    in_descend=row.sp_vz > 0.5, vertical_movement=abs(row.vz) > 0.3, at_rest=not armed,
                    horizontal_movement=math.hypot(row.vx, row.vy) > 0.5, close_to_ground_or_skipped_check=1,
                )
            )  # fmt: skip
        if self._changed("status", armed, mode) or due:
            out.append(
                self._at_now(
                    "vehicle_status", armed_time=state.armed_us, takeoff_time=state.takeoff_us,
                    arming_state=topics.ARMING_STATE_ARMED if armed else topics.ARMING_STATE_DISARMED,
                    nav_state=mode, nav_state_user_intention=mode,
                    vehicle_type=topics.VEHICLE_TYPE_ROTARY_WING, system_type=topics.MAV_TYPE_QUADROTOR,
                    system_id=state.system_id, component_id=1, pre_flight_checks_pass=1, power_input_valid=1,
                )
            )  # fmt: skip
        return out

    def _changed(self, what: str, *now: int) -> bool:
        before = self._on_change.get(what)
        self._on_change[what] = now
        return before != now
