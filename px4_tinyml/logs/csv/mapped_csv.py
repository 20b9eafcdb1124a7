"""Any IMU CSV, described by a column map in TOML (docs/logs.md, examples/crazyflie_wind.toml)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError, SpecError
from px4_tinyml.files import read_toml, reject_unknown
from px4_tinyml.flight_log import F64, BaroSeries, FlightLog, LabelSpan, VehicleClass
from px4_tinyml.logs.checks import baro_series, imu_series, pressure_altitudes_m
from px4_tinyml.logs.csv.csv_table import Table, header_line
from px4_tinyml.units import RAD_PER_DEG, STANDARD_GRAVITY_M_S2, US_PER_S

TIME_UNITS_US = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
ACCEL_UNITS = {"m/s2": 1.0, "g": STANDARD_GRAVITY_M_S2, "mg": STANDARD_GRAVITY_M_S2 / 1000.0}
GYRO_UNITS = {"rad/s": 1.0, "deg/s": RAD_PER_DEG, "mrad/s": 1e-3}
BARO_UNITS = {"m": 1.0, "Pa": 1.0, "hPa": 100.0}
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class ColumnMap:
    """A checked column map. time_column is None where the file has only a rate.

    accel, gyro: column of each FRD axis, and the factor of its sign and unit.
    """

    where: str
    vehicle: str
    vehicle_class: VehicleClass
    delimiter: str
    time_column: str | None
    time_factor_us: float
    accel: tuple[tuple[str, float], ...]
    gyro: tuple[tuple[str, float], ...]
    baro_column: str | None
    baro_unit: str
    label_column: str | None
    label_values: dict[str, str]
    label_value: str | None


def load_column_map(path: Path) -> ColumnMap:
    """Read and check a column map. Raises SpecError with the wrong key and what is expected."""
    data = read_toml(path)
    reject_unknown(data, ("accel", "baro", "delimiter", "gyro", "label", "time", "vehicle", "vehicle_class"), str(path))
    time, baro, label = (_table(data, name, path) for name in ("time", "baro", "label"))
    reject_unknown(time, ("column", "rate_hz", "unit"), f"{path}: [time]")
    reject_unknown(baro, ("column", "unit"), f"{path}: [baro]")
    reject_unknown(label, ("column", "value", "values"), f"{path}: [label]")
    if ("column" in time) == ("rate_hz" in time):
        raise SpecError(f"{path}: [time] needs either column and unit, or rate_hz")
    if "rate_hz" in time:
        rate = time["rate_hz"]
        if not isinstance(rate, int | float) or not 0.1 <= rate <= 100_000:
            raise SpecError(f"{path}: [time] rate_hz = {rate!r}: a number of Hz expected")
        factor = US_PER_S / rate
    else:
        factor = _unit(time, TIME_UNITS_US, f"{path}: [time]")
    if baro:
        _unit(baro, BARO_UNITS, f"{path}: [baro]")
    values = label.get("values", {})
    if not isinstance(values, dict):
        raise SpecError(f'{path}: [label] values: a table expected, such as values = {{ "3" = "turbulence" }}')
    kind, kinds = data.get("vehicle_class", "unknown"), get_args(VehicleClass)
    if kind not in kinds:
        raise SpecError(f"{path}: vehicle_class = {kind!r}; expected one of {', '.join(kinds)}")
    return ColumnMap(
        where=str(path),
        vehicle=_text(data, "vehicle", path, "unknown"),
        vehicle_class=kind,
        delimiter=_text(data, "delimiter", path, ","),
        time_column=time.get("column"),
        time_factor_us=factor,
        accel=_axis_columns(data, "accel", ACCEL_UNITS, path),
        gyro=_axis_columns(data, "gyro", GYRO_UNITS, path),
        baro_column=baro.get("column"),
        baro_unit=baro.get("unit", "m"),
        label_column=label.get("column"),
        label_values={str(k): str(v) for k, v in values.items()},
        label_value=label.get("value"),
    )


def _text(data: dict[str, Any], key: str, path: Path, default: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or not value:
        raise SpecError(f"{path}: {key} = {value!r}: a text expected")
    return value


def _table(data: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise SpecError(f"{path}: {name} = {table!r}: a table [{name}] expected")
    return table


def _unit(table: dict[str, Any], units: dict[str, float], where: str) -> float:
    unit = table.get("unit")
    if unit not in units:
        raise SpecError(f"{where}: unit = {unit!r}; expected one of {', '.join(units)}")
    return units[unit]


def _axis_columns(
    data: dict[str, Any], name: str, units: dict[str, float], path: Path
) -> tuple[tuple[str, float], ...]:
    table = _table(data, name, path)
    reject_unknown(table, ("unit", *AXES), f"{path}: [{name}]")
    factor = _unit(table, units, f"{path}: [{name}]")
    columns = []
    for axis in AXES:
        entry = table.get(axis)
        if not isinstance(entry, dict) or not isinstance(entry.get("column"), str):
            raise SpecError(f'{path}: [{name}] {axis}: expected {{ column = "NAME", sign = 1 or -1 }}')
        reject_unknown(entry, ("column", "sign"), f"{path}: [{name}] {axis}")
        sign = entry.get("sign", 1)
        if sign not in (1, -1):
            raise SpecError(f"{path}: [{name}] {axis}: sign = {sign!r}; expected 1 or -1")
        columns.append((entry["column"], sign * factor))
    return tuple(columns)


def is_csv(head: bytes) -> bool:
    """Whether a file starts with a line of several columns."""
    return any(delimiter in header_line(head) for delimiter in ",;\t")


def reject_unmapped_csv(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """Raises LogError with the columns of a CSV of unknown kind."""
    header = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    raise LogError(
        f"{path}: a CSV of unknown kind; its columns are {header[:200]}. "
        "If they are an IMU's, describe them in a column map and give it by --columns (docs/logs.md)"
    )


def read_mapped_csv(path: Path, data: bytes, sha256: str, columns: ColumnMap) -> list[FlightLog]:
    """The recording of a CSV described by a map. Raises SpecError when a mapped column is not in the file."""
    table = Table.read(data, str(path), columns.delimiter)
    axes = [column for column, _ in (*columns.accel, *columns.gyro)]
    mapped = (*axes, columns.time_column, columns.baro_column, columns.label_column)
    missing = [c for c in mapped if c and c not in table.names]
    if missing:
        raise SpecError(
            f"{columns.where}: column {missing[0]!r} is not in {path}; its columns are {', '.join(table.names)}"
        )
    warnings = list(table.warnings)
    time_us = _times(table, columns, warnings)
    imu, gaps = imu_series(time_us, _axes(table, columns.accel), _axes(table, columns.gyro), warnings)
    return [
        FlightLog(
            source=str(path),
            sha256=sha256,
            kind="csv",
            vehicle=columns.vehicle,
            vehicle_class=columns.vehicle_class,
            imu=imu,
            baro=_baro(table, columns, time_us, warnings),
            labels=_labels(table, columns, time_us),
            gaps=gaps,
            warnings=tuple(warnings),
            info={
                "topics": {"rows": len(table)},
                "imu_source": f"columns by {Path(columns.where).name}",
                "baro_source": columns.baro_column,
            },
        )
    ]


def _times(table: Table, columns: ColumnMap, warnings: list[str]) -> NDArray[np.uint64]:
    if columns.time_column is None:
        count = np.arange(len(table))
        return np.asarray(np.rint(count * columns.time_factor_us), dtype=np.uint64)
    times = table.column(columns.time_column) * columns.time_factor_us
    bad = ~np.isfinite(times) | (times < 0)
    if bad.any():
        warnings.append(f"{int(bad.sum())} times are negative or not numbers: taken as zero")
        times[bad] = 0.0
    return np.asarray(np.rint(np.minimum(times, 2.0**62)), dtype=np.uint64)


def _axes(table: Table, axes: tuple[tuple[str, float], ...]) -> F64:
    return np.stack([table.column(column) * factor for column, factor in axes], axis=1)


def _baro(table: Table, columns: ColumnMap, time_us: NDArray[np.uint64], warnings: list[str]) -> BaroSeries | None:
    if columns.baro_column is None:
        return None
    values = table.column(columns.baro_column) * BARO_UNITS[columns.baro_unit]
    altitude = values if columns.baro_unit == "m" else pressure_altitudes_m(values)
    return baro_series(time_us, altitude, warnings)


def _labels(table: Table, columns: ColumnMap, time_us: NDArray[np.uint64]) -> tuple[LabelSpan, ...]:
    """Runs of equal labels; a span ends where the next begins, the last just after its last sample."""
    if columns.label_value is not None:
        return (LabelSpan(int(time_us[0]), int(time_us[-1]) + 1, columns.label_value, "file"),)
    if columns.label_column is None:
        return ()
    texts = table.texts(columns.label_column)
    starts = [i for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]]
    ends = [*(int(time_us[i]) for i in starts[1:]), int(time_us[-1]) + 1]
    named = [(i, end, columns.label_values.get(texts[i], texts[i])) for i, end in zip(starts, ends, strict=True)]
    return tuple(LabelSpan(int(time_us[i]), end, label, "file") for i, end, label in named if label)
