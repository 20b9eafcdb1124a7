"""The messages a vehicle streams: when, and made of what. Rates are PX4 v1.17's (mavlink_main.cpp,
configure_streams_to_default); contents follow src/modules/mavlink/streams/*.hpp.

A builder returns a message, or None where there is nothing new to tell. It may keep what it sent in `memory`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from px4_tinyml_sitl.flight import body_to_ned
from px4_tinyml_sitl.vehicle.commander import Commander
from px4_tinyml_sitl.vehicle.live_sensors import body_field_gauss
from px4_tinyml_sitl.vehicle.state import VehicleState

LinkMode = Literal["onboard", "gcs"]
UNLIMITED = -1.0
Memory = dict[str, int]
Builder = Callable[[VehicleState, Commander, Memory], Any]

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


def _new(memory: Memory, stamp: int) -> bool:
    """Whether this stamp was not sent yet."""
    if memory.get("stamp") == stamp:
        return False
    memory["stamp"] = stamp
    return True


def heartbeat(v: VehicleState, c: Commander, memory: Memory) -> Any:
    armed = v.flight.armed
    base = mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | mavlink.MAV_MODE_FLAG_AUTO_ENABLED
    base |= mavlink.MAV_MODE_FLAG_STABILIZE_ENABLED | mavlink.MAV_MODE_FLAG_GUIDED_ENABLED
    status = mavlink.MAV_STATE_STANDBY
    if armed:
        base |= mavlink.MAV_MODE_FLAG_SAFETY_ARMED
        status = mavlink.MAV_STATE_ACTIVE
    return mavlink.MAVLink_heartbeat_message(
        mavlink.MAV_TYPE_QUADROTOR, mavlink.MAV_AUTOPILOT_PX4, base, c.custom_mode, status, 3
    )


def sys_status(v: VehicleState, c: Commander, memory: Memory) -> Any:
    broken = sum(_BROKEN_BITS[name] for name in v.broken)
    health = (_SENSORS & ~broken) | (0 if v.broken else mavlink.MAV_SYS_STATUS_PREARM_CHECK)
    left, volts, amperes = v.battery
    return mavlink.MAVLink_sys_status_message(
        _SENSORS, _SENSORS, health, 300, int(volts * 1000), int(amperes * 100), math.ceil(left * 100),
        0, 0, 0, 0, 0, 0,
    )  # fmt: skip


def system_time(v: VehicleState, c: Commander, memory: Memory) -> Any:
    return mavlink.MAVLink_system_time_message(v.unix_us, _ms(v))


def timesync(v: VehicleState, c: Commander, memory: Memory) -> Any:
    return mavlink.MAVLink_timesync_message(0, v.now_us * 1000)


def highres_imu(v: VehicleState, c: Commander, memory: Memory) -> Any:
    """The newest sample, whatever came since the last one: decimated, not filtered."""
    if v.imu is None or not _new(memory, v.imu[0]):
        return None
    time_us, accel, gyro = v.imu
    updated = 0x1FF
    pressure = altitude = 0.0
    if v.baro is not None:
        if memory.get("baro") != v.baro[0]:
            memory["baro"] = v.baro[0]
            updated |= 1 << 9 | 1 << 11 | 1 << 12
        altitude = v.baro[1]
        pressure = _pressure_hpa(altitude)
    _, _, _, roll, pitch, yaw = v.flight.angles
    mag = body_field_gauss(body_to_ned(roll, pitch, yaw))
    return mavlink.MAVLink_highres_imu_message(
        time_us, *accel.tolist(), *gyro.tolist(), *mag, pressure, 0.0, altitude, 15.0, updated
    )


def _pressure_hpa(altitude_m: float) -> float:
    return 1013.25 * math.pow(1.0 - 2.25577e-5 * altitude_m, 5.2559)


def _ms(v: VehicleState) -> int:
    return (v.now_us // 1000) & 0xFFFFFFFF


def attitude(v: VehicleState, c: Commander, memory: Memory) -> Any:
    p, q, r, roll, pitch, yaw = v.flight.angles
    return mavlink.MAVLink_attitude_message(_ms(v), roll, pitch, _wrapped(yaw), p, q, r)


def attitude_quaternion(v: VehicleState, c: Commander, memory: Memory) -> Any:
    p, q, r, roll, pitch, yaw = v.flight.angles
    return mavlink.MAVLink_attitude_quaternion_message(_ms(v), *quaternion(roll, pitch, yaw), p, q, r, [1, 0, 0, 0])


def _wrapped(angle: float) -> float:
    return math.remainder(angle, 2.0 * math.pi)


def quaternion(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Body FRD to NED, [w, x, y, z]."""
    cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return (
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    )  # fmt: skip


def local_position_ned(v: VehicleState, c: Commander, memory: Memory) -> Any:
    row = v.flight.row
    return mavlink.MAVLink_local_position_ned_message(
        _ms(v), row.est_x, row.est_y, row.est_z, row.est_vx, row.est_vy, row.est_vz
    )


def odometry(v: VehicleState, c: Commander, memory: Memory) -> Any:
    row, (p, q, r, roll, pitch, yaw) = v.flight.row, v.flight.angles
    nothing = [math.nan] + [0.0] * 20
    return mavlink.MAVLink_odometry_message(
        v.now_us, mavlink.MAV_FRAME_LOCAL_NED, mavlink.MAV_FRAME_BODY_FRD, row.est_x, row.est_y, row.est_z,
        list(quaternion(roll, pitch, yaw)), *v.flight.state[:3], p, q, r, nothing, nothing, 0,
        mavlink.MAV_ESTIMATOR_TYPE_AUTOPILOT, 100,
    )  # fmt: skip


def global_position_int(v: VehicleState, c: Commander, memory: Memory) -> Any:
    row = v.flight.row
    lat, lon = v.home.globe(row.est_x, row.est_y)
    return mavlink.MAVLink_global_position_int_message(
        _ms(v), round(lat * 1e7), round(lon * 1e7), round((v.home.elevation_m - row.est_z) * 1e3),
        round((v.home.position[2] - row.est_z) * 1e3), round(row.est_vx * 100), round(row.est_vy * 100),
        round(row.est_vz * 100), round(math.degrees(row.yaw) * 100) % 36000,
    )  # fmt: skip


def gps_raw_int(v: VehicleState, c: Commander, memory: Memory) -> Any:
    if v.gps is None or not _new(memory, v.gps[0]):
        return None
    time_us, lat, lon, altitude = v.gps
    row = v.flight.row
    return mavlink.MAVLink_gps_raw_int_message(
        time_us, mavlink.GPS_FIX_TYPE_3D_FIX, round(lat * 1e7), round(lon * 1e7), round(altitude * 1e3), 80, 120,
        round(math.hypot(row.vx, row.vy) * 100), round(math.degrees(math.atan2(row.vy, row.vx)) * 100) % 36000, 14,
        round((altitude + 48.0) * 1e3), 600, 900, 200, 0, 0,
    )  # fmt: skip


def altitude(v: VehicleState, c: Commander, memory: Memory) -> Any:
    row = v.flight.row
    monotonic = math.nan if v.baro is None else v.baro[1]
    return mavlink.MAVLink_altitude_message(
        v.now_us, monotonic, v.home.elevation_m - row.est_z, -row.est_z, v.home.position[2] - row.est_z,
        math.nan, math.nan,
    )  # fmt: skip


def home_position(v: VehicleState, c: Commander, memory: Memory) -> Any:
    x, y, z = v.home.position
    lat, lon = v.home.globe(x, y)
    return mavlink.MAVLink_home_position_message(
        round(lat * 1e7), round(lon * 1e7), round((v.home.elevation_m - z) * 1e3), x, y, z,
        list(quaternion(0.0, 0.0, v.home.yaw)), 0.0, 0.0, 0.0, v.now_us,
    )  # fmt: skip


def gps_global_origin(v: VehicleState, c: Commander, memory: Memory) -> Any:
    lat, lon = v.home.globe(0.0, 0.0)
    return mavlink.MAVLink_gps_global_origin_message(
        round(lat * 1e7), round(lon * 1e7), round(v.home.elevation_m * 1e3), v.now_us
    )


def extended_sys_state(v: VehicleState, c: Commander, memory: Memory) -> Any:
    landed = mavlink.MAV_LANDED_STATE_IN_AIR
    if v.flight.landed:
        landed = mavlink.MAV_LANDED_STATE_ON_GROUND
    elif c.mode.name == "TAKEOFF":
        landed = mavlink.MAV_LANDED_STATE_TAKEOFF
    elif v.flight.landing:
        landed = mavlink.MAV_LANDED_STATE_LANDING
    return mavlink.MAVLink_extended_sys_state_message(mavlink.MAV_VTOL_STATE_UNDEFINED, landed)


def battery_status(v: VehicleState, c: Commander, memory: Memory) -> Any:
    left, volts, amperes = v.battery
    cells = int(v.parameters["BAT1_N_CELLS"])
    voltages = [int(volts / cells * 1000) if i < cells else 0xFFFF for i in range(10)]
    return mavlink.MAVLink_battery_status_message(
        0, mavlink.MAV_BATTERY_FUNCTION_ALL, mavlink.MAV_BATTERY_TYPE_LIPO, 0x7FFF, voltages, int(amperes * 100),
        int(v.battery_used * 5000), -1, round(left * 100), 0, mavlink.MAV_BATTERY_CHARGE_STATE_OK,
    )  # fmt: skip


def vfr_hud(v: VehicleState, c: Commander, memory: Memory) -> Any:
    row = v.flight.row
    return mavlink.MAVLink_vfr_hud_message(
        row.airspeed, math.hypot(row.est_vx, row.est_vy), round(math.degrees(row.yaw)) % 360,
        round(100 * sum(v.flight.motor_share) / 4), v.home.elevation_m - row.est_z, -row.est_vz,
    )  # fmt: skip


def scaled_pressure(v: VehicleState, c: Commander, memory: Memory) -> Any:
    if v.baro is None or not _new(memory, v.baro[0]):
        return None
    return mavlink.MAVLink_scaled_pressure_message(v.baro[0] // 1000 & 0xFFFFFFFF, _pressure_hpa(v.baro[1]), 0.0, 1500)


def servo_output_raw(v: VehicleState, c: Commander, memory: Memory) -> Any:
    pulses = [round(1000 + 1000 * share) for share in v.flight.motor_share]
    return mavlink.MAVLink_servo_output_raw_message(v.now_us & 0xFFFFFFFF, 0, *pulses, 0, 0, 0, 0)


def wind_cov(v: VehicleState, c: Commander, memory: Memory) -> Any:
    """The estimator's mean wind: the gusts are not in it."""
    row, direction = v.flight.row, v.flight.weather.direction_rad
    return mavlink.MAVLink_wind_cov_message(
        v.now_us, row.wind * math.cos(direction), row.wind * math.sin(direction), 0.0, 0.16, 0.0,
        v.home.elevation_m - row.est_z, 0.4, 0.0,
    )  # fmt: skip


def position_target_local_ned(v: VehicleState, c: Commander, memory: Memory) -> Any:
    guide = v.flight.guidance
    if not v.flight.wants_flight:
        return None
    return mavlink.MAVLink_position_target_local_ned_message(
        _ms(v), mavlink.MAV_FRAME_LOCAL_NED, 0b0000_0001_1100_0000 | 1 << 11, *guide.position, *guide.velocity,
        0.0, 0.0, 0.0, _wrapped(guide.yaw), 0.0,
    )  # fmt: skip


def autopilot_version(v: VehicleState, c: Commander, memory: Memory) -> Any:
    has = mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_FLOAT | mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE
    has |= mavlink.MAV_PROTOCOL_CAPABILITY_COMMAND_INT | mavlink.MAV_PROTOCOL_CAPABILITY_MAVLINK2
    has |= mavlink.MAV_PROTOCOL_CAPABILITY_FLIGHT_TERMINATION
    version = 1 << 24 | 17 << 16 | 0 << 8 | 255  # 1.17.0, release
    unknown = [0] * 8
    uid = 0x4A5342_0000 + v.system_id - 1
    uid2 = [*b"px4-tinyml sim".ljust(17, b"\0"), v.system_id]
    return mavlink.MAVLink_autopilot_version_message(
        has, version, version, 0, 0, unknown, unknown, unknown, 0, 0, uid, uid2
    )


def flight_information(v: VehicleState, c: Commander, memory: Memory) -> Any:
    def utc(boot_us: int) -> int:
        return v.unix_us - v.now_us + boot_us if boot_us else 0

    return mavlink.MAVLink_flight_information_message(_ms(v), utc(v.armed_us), utc(v.takeoff_us), v.flight_count)


class MessageStream(NamedTuple):
    """A message with its default rates, Hz (0: on request only; UNLIMITED: whenever there is something new)."""

    id: int
    build: Builder
    onboard_hz: float
    gcs_hz: float

    def default_hz(self, mode: LinkMode) -> float:
        """Rate on a link of a mode."""
        return self.onboard_hz if mode == "onboard" else self.gcs_hz


HEARTBEAT = mavlink.MAVLINK_MSG_ID_HEARTBEAT
# In the order PX4 sends them: first what must not be late.
STREAMS: dict[int, MessageStream] = {
    stream.id: stream
    for stream in (
        MessageStream(HEARTBEAT, heartbeat, 1.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_TIMESYNC, timesync, 10.0, 0.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_HIGHRES_IMU, highres_imu, 50.0, 0.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_LOCAL_POSITION_NED, local_position_ned, 30.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_ATTITUDE, attitude, 100.0, 15.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_ALTITUDE, altitude, 10.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_ODOMETRY, odometry, 30.0, 0.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_ATTITUDE_QUATERNION, attitude_quaternion, 50.0, 10.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_BATTERY_STATUS, battery_status, 0.5, 0.5),
        MessageStream(mavlink.MAVLINK_MSG_ID_EXTENDED_SYS_STATE, extended_sys_state, 5.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT, global_position_int, 50.0, 5.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_GPS_GLOBAL_ORIGIN, gps_global_origin, 1.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_GPS_RAW_INT, gps_raw_int, UNLIMITED, 5.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_HOME_POSITION, home_position, 0.5, 0.5),
        MessageStream(mavlink.MAVLINK_MSG_ID_POSITION_TARGET_LOCAL_NED, position_target_local_ned, 10.0, 1.5),
        MessageStream(mavlink.MAVLINK_MSG_ID_SCALED_PRESSURE, scaled_pressure, 1.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_SERVO_OUTPUT_RAW, servo_output_raw, 10.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_SYS_STATUS, sys_status, 5.0, 1.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_SYSTEM_TIME, system_time, 1.0, 0.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_VFR_HUD, vfr_hud, 10.0, 4.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_WIND_COV, wind_cov, 10.0, 0.5),
        MessageStream(mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION, autopilot_version, 0.0, 0.0),
        MessageStream(mavlink.MAVLINK_MSG_ID_FLIGHT_INFORMATION, flight_information, 0.0, 0.0),
    )
}
ECHOED = (
    mavlink.MAVLINK_MSG_ID_DEBUG, mavlink.MAVLINK_MSG_ID_DEBUG_FLOAT_ARRAY, mavlink.MAVLINK_MSG_ID_DEBUG_VECT,
    mavlink.MAVLINK_MSG_ID_NAMED_VALUE_FLOAT,
)  # fmt: skip
"""What PX4 takes in from anybody and streams on as its own, one message deep."""
ECHO_HZ: dict[LinkMode, float] = {"onboard": 10.0, "gcs": 1.0}
