"""Messages a vehicle streams: default rates as in PX4 v1.17 (mavlink_main.cpp, configure_streams_to_default), contents
as in src/modules/mavlink/streams/*.hpp.

A function named as its message returns the message's fields in the order of the XML definition, or None when there is
nothing new to send. It may keep what it sent in `memory`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml_sitl.attitude import body_to_ned, quaternion, wrapped
from px4_tinyml_sitl.logged_topics import pressure_pa
from px4_tinyml_sitl.vehicle.live_sensors import body_field_gauss
from px4_tinyml_sitl.vehicle.state import Mode, VehicleState

LinkMode = Literal["onboard", "gcs"]
UNLIMITED = -1.0
HEARTBEAT = mavlink.MAVLINK_MSG_ID_HEARTBEAT
Memory = dict[str, int]
Fields = tuple[Any, ...] | None

_SENSORS = (
    mavlink.MAV_SYS_STATUS_SENSOR_3D_GYRO | mavlink.MAV_SYS_STATUS_SENSOR_3D_ACCEL
    | mavlink.MAV_SYS_STATUS_SENSOR_3D_MAG | mavlink.MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE
    | mavlink.MAV_SYS_STATUS_SENSOR_GPS | mavlink.MAV_SYS_STATUS_AHRS | mavlink.MAV_SYS_STATUS_SENSOR_BATTERY
    | mavlink.MAV_SYS_STATUS_SENSOR_ATTITUDE_STABILIZATION | mavlink.MAV_SYS_STATUS_SENSOR_XY_POSITION_CONTROL
    | mavlink.MAV_SYS_STATUS_LOGGING | mavlink.MAV_SYS_STATUS_SENSOR_MOTOR_OUTPUTS
)  # fmt: skip
_BROKEN_BITS = {
    "imu": mavlink.MAV_SYS_STATUS_SENSOR_3D_GYRO | mavlink.MAV_SYS_STATUS_SENSOR_3D_ACCEL,
    "baro": mavlink.MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE, "gps": mavlink.MAV_SYS_STATUS_SENSOR_GPS,
}  # fmt: skip
_IMU_UPDATED = (1 << 9) - 1
_BARO_UPDATED = (
    mavlink.HIGHRES_IMU_UPDATED_ABS_PRESSURE | mavlink.HIGHRES_IMU_UPDATED_PRESSURE_ALT
    | mavlink.HIGHRES_IMU_UPDATED_TEMPERATURE
)  # fmt: skip


class MessageStream(NamedTuple):
    """A message with its default rates, Hz (0: on request only; UNLIMITED: whenever there is something new)."""

    id: int
    fields: Callable[[VehicleState, Memory], Fields]
    onboard_hz: float
    gcs_hz: float

    def build(self, state: VehicleState, memory: Memory) -> Any:
        """The message, or None when there is nothing new to send."""
        fields = self.fields(state, memory)
        return None if fields is None else mavlink.mavlink_map[self.id](*fields)


STREAMS: dict[int, MessageStream] = {}
"""By message id, in the order PX4 sends them: the most urgent first."""
ECHOED = (
    mavlink.MAVLINK_MSG_ID_DEBUG, mavlink.MAVLINK_MSG_ID_DEBUG_FLOAT_ARRAY, mavlink.MAVLINK_MSG_ID_DEBUG_VECT,
    mavlink.MAVLINK_MSG_ID_NAMED_VALUE_FLOAT,
)  # fmt: skip
"""Messages PX4 publishes when it receives them and streams as its own, with a queue of one."""
ECHO_HZ: dict[LinkMode, float] = {"onboard": 10.0, "gcs": 1.0}


def _stream(onboard_hz: float, gcs_hz: float) -> Callable[[Callable[..., Fields]], Callable[..., Fields]]:
    def register(fields: Callable[..., Fields]) -> Callable[..., Fields]:
        number: int = getattr(mavlink, f"MAVLINK_MSG_ID_{fields.__name__.upper()}")
        STREAMS[number] = MessageStream(number, fields, onboard_hz, gcs_hz)
        return fields

    return register


def _is_new(memory: Memory, stamp: int) -> bool:
    if memory.get("stamp") == stamp:
        return False
    memory["stamp"] = stamp
    return True


def _ms(v: VehicleState) -> int:
    return (v.now_us // 1000) & 0xFFFFFFFF


def _e7(degrees: tuple[float, float]) -> tuple[int, int]:
    return round(degrees[0] * 1e7), round(degrees[1] * 1e7)


@_stream(1.0, 1.0)
def heartbeat(v: VehicleState, memory: Memory) -> Fields:
    base = mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | mavlink.MAV_MODE_FLAG_AUTO_ENABLED
    base |= mavlink.MAV_MODE_FLAG_STABILIZE_ENABLED | mavlink.MAV_MODE_FLAG_GUIDED_ENABLED
    status = mavlink.MAV_STATE_STANDBY
    if v.flight.armed:
        base |= mavlink.MAV_MODE_FLAG_SAFETY_ARMED
        status = mavlink.MAV_STATE_ACTIVE
    main, sub = v.mode.px4_mode
    return mavlink.MAV_TYPE_QUADROTOR, mavlink.MAV_AUTOPILOT_PX4, base, main << 16 | sub << 24, status, 3


@_stream(10.0, 0.0)
def timesync(v: VehicleState, memory: Memory) -> Fields:
    return 0, v.now_us * 1000


@_stream(50.0, 0.0)
def highres_imu(v: VehicleState, memory: Memory) -> Fields:
    """The newest sample: decimated, not filtered."""
    if v.imu is None or not _is_new(memory, v.imu[0]):
        return None
    time_us, accel, gyro = v.imu
    updated = _IMU_UPDATED
    pressure = altitude = 0.0
    if v.baro is not None:
        if memory.get("baro") != v.baro[0]:
            memory["baro"] = v.baro[0]
            updated |= _BARO_UPDATED
        altitude = v.baro[1]
        pressure = 0.01 * pressure_pa(altitude)
    mag = body_field_gauss(body_to_ned(*v.flight.angles[3:]))
    return time_us, *accel.tolist(), *gyro.tolist(), *mag, pressure, 0.0, altitude, 15.0, updated


@_stream(30.0, 1.0)
def local_position_ned(v: VehicleState, memory: Memory) -> Fields:
    row = v.flight.row
    return _ms(v), row.est_x, row.est_y, row.est_z, row.est_vx, row.est_vy, row.est_vz


@_stream(100.0, 15.0)
def attitude(v: VehicleState, memory: Memory) -> Fields:
    p, q, r, roll, pitch, yaw = v.flight.angles
    return _ms(v), roll, pitch, wrapped(yaw), p, q, r


@_stream(10.0, 1.0)
def altitude(v: VehicleState, memory: Memory) -> Fields:
    row, home = v.flight.row, v.home
    monotonic = math.nan if v.baro is None else v.baro[1]
    above_home = home.position[2] - row.est_z
    return v.now_us, monotonic, home.elevation_m - row.est_z, -row.est_z, above_home, math.nan, math.nan


@_stream(30.0, 0.0)
def odometry(v: VehicleState, memory: Memory) -> Fields:
    row, (p, q, r, roll, pitch, yaw) = v.flight.row, v.flight.angles
    unknown = [math.nan] + [0.0] * 20
    return (
        v.now_us, mavlink.MAV_FRAME_LOCAL_NED, mavlink.MAV_FRAME_BODY_FRD, row.est_x, row.est_y, row.est_z,
        list(quaternion(roll, pitch, yaw)), *v.flight.state[:3], p, q, r, unknown, unknown, 0,
        mavlink.MAV_ESTIMATOR_TYPE_AUTOPILOT, 100,
    )  # fmt: skip


@_stream(50.0, 10.0)
def attitude_quaternion(v: VehicleState, memory: Memory) -> Fields:
    p, q, r, roll, pitch, yaw = v.flight.angles
    return _ms(v), *quaternion(roll, pitch, yaw), p, q, r, [1, 0, 0, 0]


@_stream(0.5, 0.5)
def battery_status(v: VehicleState, memory: Memory) -> Fields:
    left, volts, amperes = v.battery
    cells = int(v.parameters["BAT1_N_CELLS"])
    voltages = [int(volts / cells * 1000) if i < cells else 0xFFFF for i in range(10)]
    return (
        0, mavlink.MAV_BATTERY_FUNCTION_ALL, mavlink.MAV_BATTERY_TYPE_LIPO, 0x7FFF, voltages, int(amperes * 100),
        int(v.battery_used * 5000), -1, round(left * 100), 0, mavlink.MAV_BATTERY_CHARGE_STATE_OK,
    )  # fmt: skip


@_stream(5.0, 1.0)
def extended_sys_state(v: VehicleState, memory: Memory) -> Fields:
    landed = mavlink.MAV_LANDED_STATE_IN_AIR
    if v.flight.landed:
        landed = mavlink.MAV_LANDED_STATE_ON_GROUND
    elif v.mode is Mode.TAKEOFF:
        landed = mavlink.MAV_LANDED_STATE_TAKEOFF
    elif v.flight.guidance.landing:
        landed = mavlink.MAV_LANDED_STATE_LANDING
    return mavlink.MAV_VTOL_STATE_UNDEFINED, landed


@_stream(50.0, 5.0)
def global_position_int(v: VehicleState, memory: Memory) -> Fields:
    row, home = v.flight.row, v.home
    return (
        _ms(v), *_e7(home.globe(row.est_x, row.est_y)), round((home.elevation_m - row.est_z) * 1e3),
        round((home.position[2] - row.est_z) * 1e3), round(row.est_vx * 100), round(row.est_vy * 100),
        round(row.est_vz * 100), round(math.degrees(row.yaw) * 100) % 36000,
    )  # fmt: skip


@_stream(1.0, 1.0)
def gps_global_origin(v: VehicleState, memory: Memory) -> Fields:
    return *_e7(v.home.globe(0.0, 0.0)), round(v.home.elevation_m * 1e3), v.now_us


@_stream(UNLIMITED, 5.0)
def gps_raw_int(v: VehicleState, memory: Memory) -> Fields:
    if v.gps is None or not _is_new(memory, v.gps[0]):
        return None
    time_us, lat, lon, altitude_m = v.gps
    row = v.flight.row
    return (
        time_us, mavlink.GPS_FIX_TYPE_3D_FIX, *_e7((lat, lon)), round(altitude_m * 1e3), 80, 120,
        round(math.hypot(row.vx, row.vy) * 100), round(math.degrees(math.atan2(row.vy, row.vx)) * 100) % 36000, 14,
        round((altitude_m + 48.0) * 1e3), 600, 900, 200, 0, 0,
    )  # fmt: skip


@_stream(0.5, 0.5)
def home_position(v: VehicleState, memory: Memory) -> Fields:
    x, y, z = v.home.position
    return (
        *_e7(v.home.globe(x, y)), round((v.home.elevation_m - z) * 1e3), x, y, z,
        list(quaternion(0.0, 0.0, v.home.yaw)), 0.0, 0.0, 0.0, v.now_us,
    )  # fmt: skip


@_stream(10.0, 1.5)
def position_target_local_ned(v: VehicleState, memory: Memory) -> Fields:
    guide = v.flight.guidance
    if not v.flight.wants_flight:
        return None
    ignored = (
        mavlink.POSITION_TARGET_TYPEMASK_AX_IGNORE | mavlink.POSITION_TARGET_TYPEMASK_AY_IGNORE
        | mavlink.POSITION_TARGET_TYPEMASK_AZ_IGNORE | mavlink.POSITION_TARGET_TYPEMASK_YAW_RATE_IGNORE
    )  # fmt: skip
    setpoint = (*guide.position, *guide.velocity, 0.0, 0.0, 0.0, wrapped(guide.yaw), 0.0)
    return _ms(v), mavlink.MAV_FRAME_LOCAL_NED, ignored, *setpoint


@_stream(1.0, 1.0)
def scaled_pressure(v: VehicleState, memory: Memory) -> Fields:
    if v.baro is None or not _is_new(memory, v.baro[0]):
        return None
    return v.baro[0] // 1000 & 0xFFFFFFFF, 0.01 * pressure_pa(v.baro[1]), 0.0, 1500


@_stream(10.0, 1.0)
def servo_output_raw(v: VehicleState, memory: Memory) -> Fields:
    return v.now_us & 0xFFFFFFFF, 0, *(round(1000 + 1000 * share) for share in v.flight.motor_share), 0, 0, 0, 0


@_stream(5.0, 1.0)
def sys_status(v: VehicleState, memory: Memory) -> Fields:
    broken = sum(_BROKEN_BITS[name] for name in v.broken)
    health = (_SENSORS & ~broken) | (0 if v.broken else mavlink.MAV_SYS_STATUS_PREARM_CHECK)
    left, volts, amperes = v.battery
    battery = (int(volts * 1000), int(amperes * 100), math.ceil(left * 100))
    return _SENSORS, _SENSORS, health, 300, *battery, 0, 0, 0, 0, 0, 0


@_stream(1.0, 0.0)
def system_time(v: VehicleState, memory: Memory) -> Fields:
    return v.unix_us, _ms(v)


@_stream(10.0, 4.0)
def vfr_hud(v: VehicleState, memory: Memory) -> Fields:
    row = v.flight.row
    return (
        row.airspeed, math.hypot(row.est_vx, row.est_vy), round(math.degrees(row.yaw)) % 360,
        round(100 * sum(v.flight.motor_share) / 4), v.home.elevation_m - row.est_z, -row.est_vz,
    )  # fmt: skip


@_stream(10.0, 0.5)
def wind_cov(v: VehicleState, memory: Memory) -> Fields:
    """The estimated mean wind, without gusts."""
    return v.now_us, *v.flight.mean_wind, 0.0, 0.16, 0.0, v.home.elevation_m - v.flight.row.est_z, 0.4, 0.0


@_stream(0.0, 0.0)
def autopilot_version(v: VehicleState, memory: Memory) -> Fields:
    capabilities = mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_FLOAT | mavlink.MAV_PROTOCOL_CAPABILITY_COMMAND_INT
    capabilities |= mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE | mavlink.MAV_PROTOCOL_CAPABILITY_MAVLINK2
    capabilities |= mavlink.MAV_PROTOCOL_CAPABILITY_FLIGHT_TERMINATION
    version = 1 << 24 | 17 << 16 | 0 << 8 | mavlink.FIRMWARE_VERSION_TYPE_OFFICIAL
    unknown = [0] * 8
    uid = 0x4A5342_0000 + v.system_id - 1
    uid2 = [*b"px4-tinyml sim".ljust(17, b"\0"), v.system_id]
    return capabilities, version, version, 0, 0, unknown, unknown, unknown, 0, 0, uid, uid2


@_stream(0.0, 0.0)
def flight_information(v: VehicleState, memory: Memory) -> Fields:
    def utc(boot_us: int) -> int:
        return v.unix_us - v.now_us + boot_us if boot_us else 0

    return _ms(v), utc(v.armed_us), utc(v.takeoff_us), v.flight_count
