"""ULog → FlightLog: the topics and fields of ten years of PX4."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import UnusableLogError
from px4_tinyml.flight_log import BaroSeries, Bool, FlightLog, Gap, VehicleClass
from px4_tinyml.logs.checks import baro_series, count, imu_series, last_of, one_letter_off, pressure_altitudes_m
from px4_tinyml.logs.reference import (
    RESET_AFTER_S,
    RESET_BEFORE_S,
    RESET_HEIGHT_M,
    RESET_SPEED_M_S,
    Signal,
    Velocity,
    reference_series,
)
from px4_tinyml.logs.ulog.ulog_file import MAGIC, Topic, UlogFile
from px4_tinyml.logs.vehicle_names import mav_type_name, px4_vehicle_class, px4_version
from px4_tinyml.signal.plausibility import BARO_PAUSE_US
from px4_tinyml.units import US_PER_S

INVALID_RELATIVE_TIME = 0x7FFFFFFF
"""PX4's RELATIVE_TIMESTAMP_INVALID: that part of sensor_combined has no sample."""
ARMING_STATE_ARMED = 2
GPS_FIELDS = ("timestamp", "vel_d_m_s", "vel_ned_valid", "fix_type")
FIX_3D = 3
MAX_GPS_ERROR_M_S = 0.5
"""EKF2_REQ_SACC: a velocity with a larger standard deviation (s_variance_m_s) is not used."""
BARO_IDENTITY = ("baro_device_id", "calibration_count")
"""Fields of vehicle_air_data: when one changes, the altitude may jump."""
STATUS_CLASS = ("is_vtol", "system_type", "vehicle_type", "is_rotary_wing")
"""Fields of vehicle_status that give the vehicle's class, in one PX4 version or another."""
OPTIONAL_FIELDS = ("timestamp_sample", "accelerometer_timestamp_relative", "baro_timestamp_relative", "baro_alt_meter")
"""Fields that only some PX4 versions have: a missing one is not damage, but a misspelt one is."""


def is_ulog(head: bytes) -> bool:
    """Whether a file starts like a ULog."""
    return head.startswith(MAGIC)


def read_ulog(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """The recording of a ULog. Raises LogError when it has no usable IMU topic."""
    return [flight_log(UlogFile.read(data, str(path)), str(path), sha256)]


def flight_log(log: UlogFile, source: str, sha256: str) -> FlightLog:
    """Turn a walked ULog into SI units and FRD. sensor_combined is both already."""
    warnings: list[str] = []
    facts: dict[str, Any] = {
        "firmware": px4_version(log.info),
        "hardware": log.info.get("ver_hw"),
        "simulated": "sim_airframe" in log.info or log.info.get("ver_hw") == "PX4_SITL",
        "topics": log.counts(),
    }
    sensors = _topic(log, "sensor_combined", ("timestamp", "gyro_rad", "accelerometer_m_s2"), warnings)
    if sensors is None:
        advice = "log with PX4's default profile (SDLOG_PROFILE bit 0)"
        why = f"no IMU topic (sensor_combined) in this ULog{last_of(warnings)}: {advice}"
        raise UnusableLogError(source, "ulog", why, facts, [*log.damage, *warnings])
    keep = np.ones(len(sensors), dtype=np.bool_)
    if sensors.has("accelerometer_timestamp_relative"):
        keep = sensors["accelerometer_timestamp_relative"] != INVALID_RELATIVE_TIME
    imu, gaps = imu_series(
        sensors["timestamp"][keep], sensors["accelerometer_m_s2"][keep], sensors["gyro_rad"][keep], warnings
    )
    if not len(imu):
        raise UnusableLogError(source, "ulog", "sensor_combined has no valid sample", facts, [*log.damage, *warnings])
    baro, baro_source = _baro(log, sensors, warnings)
    facts["baro_source"] = baro_source if baro else None
    velocity = _velocity(log, warnings)
    facts["velocity_source"] = velocity.source if velocity else None
    base = Signal(sensors.offset[::20], sensors["timestamp"][::20])
    reference = reference_series(velocity, base, baro, _held(log, warnings), warnings)
    lost = [
        gap
        for gap in _dropouts(log, sensors, warnings)
        if not any(gap.start_us < g.end_us and g.start_us < gap.end_us for g in gaps)
    ]
    return FlightLog(
        source=source,
        sha256=sha256,
        kind="ulog",
        vehicle=_vehicle(log),
        vehicle_class=_vehicle_class(log),
        imu=imu,
        baro=baro,
        reference=reference,
        gaps=(*gaps, *lost),
        warnings=(*log.damage, *warnings),
        info={**facts, "imu_source": "sensor_combined"},
    )


def _topic(log: UlogFile, name: str, fields: tuple[str, ...], warnings: list[str]) -> Topic | None:
    """A topic that has these fields. Warns about one without them: it is damaged, or of another PX4."""
    topic = log.topic(name)
    if topic is None:
        return None
    missing = [f for f in fields if not topic.has(f)]
    if missing:
        warnings.append(f"topic {name} has no field {missing[0]}: not used")
        return None
    for field in OPTIONAL_FIELDS:
        damaged = None if topic.has(field) else one_letter_off(field, topic.rows.dtype.names or ())
        if damaged is not None:
            warnings.append(f"field {damaged} of topic {name} looks like a damaged {field}: not read")
    if name == "sensor_combined" and any(topic[f].shape[1:] != (3,) for f in fields[1:]):
        warnings.append(f"fields {', '.join(fields[1:])} of {name} are not vectors of three: not used")
        return None
    return topic


def _sample_time_us(topic: Topic) -> NDArray[Any]:
    """timestamp_sample where there is one, else timestamp."""
    published = topic["timestamp"]
    return sample_time_us(published, topic["timestamp_sample"]) if topic.has("timestamp_sample") else published


def sample_time_us(published: NDArray[Any], sample: NDArray[Any]) -> NDArray[Any]:
    """timestamp_sample where it is set and fits the publication time, else that. The PX4 module does the same."""
    fits = (sample > 0) & (sample <= published) & (published - np.minimum(sample, published) < US_PER_S)
    return np.where(fits, sample, published)


def _vehicle(log: UlogFile) -> str:
    if "sim_airframe" in log.info:
        return f"sim {log.info['sim_airframe']}"
    status = log.topic("vehicle_status")
    mav_type = log.parameters.get("MAV_TYPE")
    if mav_type is None and status is not None and status.has("system_type"):
        mav_type = int(status["system_type"][0])
    airframe = log.parameters.get("SYS_AUTOSTART")
    hardware = log.info.get("ver_hw", "unknown hardware")
    kind = mav_type_name(None if mav_type is None else int(mav_type))
    return f"{kind} {'?' if airframe is None else int(airframe)} {hardware}"


def _vehicle_class(log: UlogFile) -> VehicleClass:
    status, parameter = log.topic("vehicle_status"), log.parameters.get("MAV_TYPE")
    names = () if status is None else (name for name in STATUS_CLASS if status.has(name))
    newest = {name: int(status[name][-1]) for name in names} if status is not None and len(status) else {}
    return px4_vehicle_class(newest, None if parameter is None else int(parameter))


def _baro(log: UlogFile, sensors: Topic, warnings: list[str]) -> tuple[BaroSeries | None, str | None]:
    """Barometric altitude: vehicle_air_data, the sensor_combined of 2016, or the sensor itself."""
    air = _topic(log, "vehicle_air_data", ("timestamp", "baro_alt_meter"), warnings)
    if air is not None:
        time_us = _sample_time_us(air)
        keep = ~baro_paused(time_us, {name: air[name] for name in BARO_IDENTITY if air.has(name)}, warnings)
        return baro_series(time_us[keep], air["baro_alt_meter"][keep], warnings), "vehicle_air_data"
    if sensors.has("baro_alt_meter") and sensors.has("baro_timestamp_relative"):
        relative = sensors["baro_timestamp_relative"].astype(np.int64)
        time_us, altitude = fresh_baro(sensors["timestamp"], relative, sensors["baro_alt_meter"])
        return baro_series(time_us, altitude, warnings), "sensor_combined"
    sensor = _topic(log, "sensor_baro", ("timestamp",), warnings)
    if sensor is None:
        return None, None
    if sensor.has("altitude"):
        return baro_series(_sample_time_us(sensor), sensor["altitude"], warnings), "sensor_baro"
    if not sensor.has("pressure"):
        warnings.append("topic sensor_baro has neither altitude nor pressure: not used")
        return None, None
    pressure = sensor["pressure"].astype(np.float64)
    if np.nanmedian(pressure) < 2000.0:  # hPa until PX4 v1.13, Pa since
        pressure = pressure * 100.0
    return baro_series(_sample_time_us(sensor), pressure_altitudes_m(pressure), warnings), "sensor_baro"


def baro_paused(time_us: NDArray[Any], fields: Mapping[str, NDArray[Any]], warnings: list[str]) -> Bool:
    """Messages within BARO_PAUSE_US after a change of barometer or calibration, where the altitude jumps.

    fields: those of vehicle_air_data that the log has. The PX4 module drops the same messages.
    """
    changed = np.zeros(len(time_us), np.bool_)
    for name in BARO_IDENTITY:
        if name in fields:
            changed[1:] |= fields[name][1:] != fields[name][:-1]
    if not changed.any():
        return changed
    times = count(int(changed.sum()), "time")
    warnings.append(f"the barometer was changed or recalibrated {times}: its samples are dropped for a second each")
    last = np.maximum.accumulate(np.where(changed, np.arange(len(time_us)), -1))
    since_us = time_us.astype(np.int64) - time_us[np.maximum(last, 0)].astype(np.int64)
    return (last >= 0) & (since_us >= 0) & (since_us < BARO_PAUSE_US)


def fresh_baro(
    time_us: NDArray[Any], relative_us: NDArray[np.int64], altitude_m: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Barometer samples of a sensor_combined of 2016, which repeats the last one in every row."""
    valid = relative_us != INVALID_RELATIVE_TIME
    times = np.minimum(time_us[valid], np.uint64(2**62)).astype(np.int64) + relative_us[valid]
    altitude = altitude_m[valid]
    fresh = np.ones(len(times), dtype=np.bool_)
    fresh[1:] = times[1:] != times[:-1]
    return np.maximum(times[fresh], 0).astype(np.uint64), altitude[fresh]


def _velocity(log: UlogFile, warnings: list[str]) -> Velocity | None:
    """Vertical speed: simulation's truth where there is one, else the estimator's with its validity flag."""
    truth = _topic(log, "vehicle_local_position_groundtruth", ("timestamp", "vz"), warnings)
    if truth is not None:
        down = truth["vz"].astype(np.float64)
        return Velocity("vehicle_local_position_groundtruth", _sample_time_us(truth), down, truth.offset, truth=True)
    position = _topic(log, "vehicle_local_position", ("timestamp", "vz", "v_z_valid"), warnings)
    if position is None:
        return None
    down = np.where(position["v_z_valid"] == 1, position["vz"], np.nan).astype(np.float64)
    resets = _resets(position, warnings)
    return Velocity(position.name, _sample_time_us(position), down, position.offset, resets, _gps(log, warnings))


def _gps(log: UlogFile, warnings: list[str]) -> Signal | None:
    """Vertical speed of the GPS receiver where it has a 3D fix and a valid velocity, as accurate as EKF2 demands."""
    for name in ("vehicle_gps_position", "sensor_gps"):
        gps = _topic(log, name, GPS_FIELDS, warnings)
        if gps is not None:
            return gps_signal({field: gps[field] for field in (*GPS_FIELDS, "s_variance_m_s") if gps.has(field)})
    return None


def gps_signal(fields: Mapping[str, NDArray[Any]]) -> Signal:
    """The same from the fields of a topic."""
    accuracy = fields.get("s_variance_m_s", np.zeros(len(fields["timestamp"])))
    with np.errstate(invalid="ignore"):
        valid = (fields["vel_ned_valid"] == 1) & (fields["fix_type"] >= FIX_3D) & (accuracy <= MAX_GPS_ERROR_M_S)
    return Signal(fields["timestamp"][valid], fields["vel_d_m_s"][valid])


def _resets(position: Topic, warnings: list[str]) -> list[tuple[float, float]]:
    """Spans (µs) around large resets of the vertical estimate."""
    spans: list[tuple[float, float]] = []
    time_us = _sample_time_us(position).astype(np.float64)
    for counter, step, limit in (
        ("vz_reset_counter", "delta_vz", RESET_SPEED_M_S),
        ("z_reset_counter", "delta_z", RESET_HEIGHT_M),
    ):
        if position.has(counter) != position.has(step):
            missing = step if position.has(counter) else counter
            warnings.append(f"topic {position.name} has no field {missing}: its resets are not detected")
        if not (position.has(counter) and position.has(step)):
            continue
        at = np.flatnonzero(np.diff(position[counter].astype(np.int64))) + 1
        spans += [
            (time_us[i] - RESET_BEFORE_S * US_PER_S, time_us[i] + RESET_AFTER_S * US_PER_S)
            for i in at
            if not abs(position[step][i]) <= limit
        ]
    return spans


def _held(log: UlogFile, warnings: list[str]) -> dict[str, Signal]:
    """Land detector, arming state, true turbulence, wind: each holds until its next message."""
    held = {}
    landed = _topic(log, "vehicle_land_detected", ("landed",), warnings)
    if landed is not None:
        held["airborne"] = _flag(landed, "landed", {0: 1, 1: 0}, warnings)
    status = _topic(log, "vehicle_status", ("arming_state",), warnings)
    if status is not None:
        armed = {s: int(s == ARMING_STATE_ARMED) for s in range(8)}
        held["armed"] = _flag(status, "arming_state", armed, warnings)
    truth = _topic(log, "turbulence_truth", ("edr", "wind_speed_m_s"), warnings)
    if truth is not None:
        held["edr_m23_s"] = Signal(truth.offset, truth["edr"])
        held["wind_speed_m_s"] = Signal(truth.offset, truth["wind_speed_m_s"])
        return held
    for name in ("wind", "wind_estimate"):
        wind = _topic(log, name, ("windspeed_north", "windspeed_east"), warnings)
        if wind is not None:
            held["wind_speed_m_s"] = Signal(wind.offset, np.hypot(wind["windspeed_north"], wind["windspeed_east"]))
            break
    return held


def _flag(topic: Topic, name: str, meaning: dict[int, int], warnings: list[str]) -> Signal:
    """A state as 1 or 0, or -1 for impossible values."""
    raw = topic[name].astype(np.int64)
    values = np.full(len(raw), -1, dtype=np.int8)
    for state, value in meaning.items():
        values[raw == state] = value
    if (values < 0).any():
        warnings.append(
            f"{topic.name}.{name} is {int(raw[values < 0][0])} {count(int((values < 0).sum()), 'time')}: unknown state"
        )
    return Signal(topic.offset, values)


def _dropouts(log: UlogFile, sensors: Topic, warnings: list[str]) -> tuple[Gap, ...]:
    """The logger's dropouts (the card was too slow), each after the IMU sample before it."""
    if not log.dropouts:
        return ()
    total = sum(duration for _, duration in log.dropouts)
    warnings.append(f"{count(len(log.dropouts), 'dropout')} of the logger, {total} ms in all")
    gaps = []
    for offset, duration_ms in log.dropouts:
        before = int(np.searchsorted(sensors.offset, offset)) - 1
        if before >= 0:
            start = int(sensors["timestamp"][before])
            gaps.append(Gap(start, start + duration_ms * 1000, "logger dropout"))
    return tuple(gaps)
