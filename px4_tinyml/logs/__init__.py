"""Bytes in, FlightLogs out: ULog, ArduPilot dataflash, .tlog, ulog2csv, Arduino and other IMU CSV."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs.find import find_logs
from px4_tinyml.logs.sniff import HEAD_SIZE, read_head, sniff, sniff_bytes

__all__ = ["find_logs", "read_log", "sniff"]


def read_log(path: Path, column_map: Path | None = None) -> list[FlightLog]:
    """All recordings in one file, in SI units and FRD.

    column_map: TOML that describes the columns of a CSV of unknown kind (mapped_csv.py).
    Raises LogError when nothing in the file can be used, SpecError when the column map is wrong.
    """
    data = read_head(path, size=-1)
    kind = sniff_bytes(path, data[:HEAD_SIZE])
    try:
        return _read(kind, path, data, hashlib.sha256(data).hexdigest(), column_map)
    except (ArithmeticError, LookupError, ValueError, struct.error, MemoryError) as error:
        # Damage of a kind that no check foresaw: still one clear line, and --debug shows where.
        raise LogError(f"{path}: damaged in a way this reader does not know ({error!r}); please report it") from error


def _read(kind: str, path: Path, data: bytes, sha256: str, column_map: Path | None) -> list[FlightLog]:
    """Dispatch to the reader of one kind (imported here: pymavlink's dialect is only needed for .tlog)."""
    if kind == "ulog":
        from px4_tinyml.logs.ulog.read_ulog import read_ulog

        return read_ulog(path, data, sha256)
    if kind == "dataflash":
        from px4_tinyml.logs.dataflash.read_dataflash import read_dataflash

        return read_dataflash(path, data, sha256)
    if kind == "tlog":
        from px4_tinyml.logs.tlog.read_tlog import read_tlog

        return read_tlog(path, data, sha256)
    if kind == "px4_csv":
        from px4_tinyml.logs.csv.px4_csv import read_px4_csv

        return read_px4_csv(path, data, sha256)
    if kind == "arduino_csv":
        from px4_tinyml.logs.csv.arduino_csv import read_arduino_csv

        return read_arduino_csv(path, data, sha256)
    from px4_tinyml.logs.csv.mapped_csv import load_column_map, read_mapped_csv

    if column_map is None:
        header = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        raise LogError(
            f"{path}: a CSV of unknown kind; its columns are {header[:200]}. "
            "If they are an IMU's, describe them in a column map and give it by --columns (docs/logs.md)"
        )
    return read_mapped_csv(path, data, sha256, load_column_map(column_map))
