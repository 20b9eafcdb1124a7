"""Log files of every format in FORMATS to FlightLogs."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs.csv.mapped_csv import load_column_map, read_mapped_csv
from px4_tinyml.logs.find import find_logs
from px4_tinyml.logs.formats import read_head, sniff

__all__ = ["find_logs", "read_log", "sniff"]


def read_log(path: Path, column_map: Path | None = None) -> list[FlightLog]:
    """All recordings of one file, in SI units and FRD.

    column_map: TOML that describes the columns of a CSV of unknown kind (mapped_csv.py).
    Raises LogError when no recording can be used, SpecError when the column map is wrong.
    """
    data = read_head(path, size=-1)
    log_format = sniff(path, data)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        if log_format.kind == "csv" and column_map is not None:
            return read_mapped_csv(path, data, sha256, load_column_map(column_map))
        return log_format.read(path, data, sha256)
    except (ArithmeticError, LookupError, ValueError, struct.error, MemoryError) as error:
        # Damage that no check foresaw: one clear line all the same; --debug shows where.
        raise LogError(f"{path}: damaged in a way this reader does not know ({error!r}); please report it") from error
