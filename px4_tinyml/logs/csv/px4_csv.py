"""Output of ulog2csv: NAME_sensor_combined_0.csv and its siblings are one recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError, UnusableLogError
from px4_tinyml.flight_log import BaroSeries, FlightLog
from px4_tinyml.logs.checks import baro_series, imu_series
from px4_tinyml.logs.csv.csv_table import Table, header_line
from px4_tinyml.logs.reference import Signal, Velocity, reference_series
from px4_tinyml.logs.ulog.read_ulog import ARMING_STATE_ARMED, GPS_FIELDS, STATUS_CLASS, fresh_baro, gps_signal
from px4_tinyml.logs.vehicle_names import mav_type_name, px4_vehicle_class

IMU_SUFFIX = "sensor_combined_0.csv"
ACCEL = [f"accelerometer_m_s2[{i}]" for i in range(3)]
GYRO = [f"gyro_rad[{i}]" for i in range(3)]
TOPICS = (
    "vehicle_local_position",
    "vehicle_air_data",
    "vehicle_land_detected",
    "vehicle_status",
    "vehicle_gps_position",
)


def is_px4_csv(head: bytes) -> bool:
    """Whether a file starts like ulog2csv's sensor_combined."""
    header = header_line(head)
    return header.startswith("timestamp,") and "gyro_rad[0]" in header


def sibling(path: Path, topic: str) -> Path:
    """The file of another topic of the same recording."""
    return path.with_name(path.name.removesuffix(IMU_SUFFIX) + f"{topic}_0.csv")


def read_px4_csv(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """The recording of a ulog2csv set, given its sensor_combined file (already SI and FRD)."""
    sensors = Table.read(data, str(path))
    warnings = list(sensors.warnings)
    missing = [c for c in ("timestamp", *ACCEL, *GYRO) if c not in sensors.names]
    if missing:
        raise UnusableLogError(
            str(path), "px4_csv", f"no column {missing[0]}; it has {', '.join(sensors.names[:8])}", {}, warnings
        )
    others = {t: Table.read(_bytes(p), str(p)) for t in TOPICS if (p := sibling(path, t)).is_file()}
    for topic, table in others.items():
        warnings += [f"{topic}: {w}" for w in table.warnings]
    time_us = sensors.column("timestamp", np.uint64)
    imu, gaps = imu_series(time_us, _columns(sensors, ACCEL), _columns(sensors, GYRO), warnings)
    baro, baro_source = _baro(sensors, others, warnings)
    velocity = _velocity(others, warnings)
    reference = reference_series(velocity, Signal(time_us, time_us), baro, _held(others), warnings)
    status = others.get("vehicle_status")
    newest = {n: int(status.column(n)[-1]) for n in STATUS_CLASS if n in status.names} if status else {}
    mav_type = int(status.column("system_type")[0]) if status and "system_type" in status.names else None
    return [
        FlightLog(
            source=str(path),
            sha256=sha256,
            kind="px4_csv",
            vehicle=f"{mav_type_name(mav_type)} ulog2csv",
            vehicle_class=px4_vehicle_class(newest, None),
            imu=imu,
            baro=baro,
            reference=reference,
            gaps=gaps,
            warnings=tuple(warnings),
            info={
                "firmware": "PX4, version unknown (ulog2csv export)",
                "topics": {"sensor_combined": len(sensors), **{t: len(table) for t, table in others.items()}},
                "imu_source": "sensor_combined",
                "baro_source": baro_source if baro else None,
                "velocity_source": velocity.source if velocity else None,
            },
        )
    ]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror}); the rest of its recording needs it") from error


def _columns(table: Table, names: list[str]) -> NDArray[Any]:
    return np.stack([table.column(name) for name in names], axis=1)


def _baro(sensors: Table, others: dict[str, Table], warnings: list[str]) -> tuple[BaroSeries | None, str | None]:
    air = others.get("vehicle_air_data")
    if air is not None and "baro_alt_meter" in air.names:
        time_us = air.column("timestamp", np.uint64)
        return baro_series(time_us, air.column("baro_alt_meter"), warnings), "vehicle_air_data"
    if "baro_alt_meter" not in sensors.names or "baro_timestamp_relative" not in sensors.names:
        return None, None
    relative = sensors.column("baro_timestamp_relative", np.int64)
    time_us, altitude = fresh_baro(sensors.column("timestamp", np.uint64), relative, sensors.column("baro_alt_meter"))
    return baro_series(time_us, altitude, warnings), "sensor_combined"


def _velocity(others: dict[str, Table], warnings: list[str]) -> Velocity | None:
    position = others.get("vehicle_local_position")
    if position is None:
        warnings.append("vehicle_local_position is not beside it: no vertical speed")
        return None
    missing = [c for c in ("timestamp", "vz", "v_z_valid") if c not in position.names]
    if missing:
        warnings.append(f"vehicle_local_position has no column {missing[0]}: no vertical speed")
        return None
    time_us = position.column("timestamp", np.uint64)
    down = np.where(position.column("v_z_valid") == 1, position.column("vz"), np.nan)
    return Velocity("vehicle_local_position", time_us, down, time_us, gps=_gps(others))


def _gps(others: dict[str, Table]) -> Signal | None:
    gps = others.get("vehicle_gps_position")
    if gps is None or any(field not in gps.names for field in GPS_FIELDS):
        return None
    names = [n for n in (*GPS_FIELDS, "s_variance_m_s") if n in gps.names]
    return gps_signal({n: gps.column(n, np.uint64) if n == "timestamp" else gps.column(n) for n in names})


def _held(others: dict[str, Table]) -> dict[str, Signal]:
    """States by time: the files have no common order."""
    held = {}
    landed = others.get("vehicle_land_detected")
    if landed is not None and "landed" in landed.names:
        time_us = landed.column("timestamp", np.uint64)
        held["airborne"] = Signal(time_us, (landed.column("landed") == 0).astype(np.int8))
    status = others.get("vehicle_status")
    if status is not None and "arming_state" in status.names:
        armed = (status.column("arming_state") == ARMING_STATE_ARMED).astype(np.int8)
        held["armed"] = Signal(status.column("timestamp", np.uint64), armed)
    return held
