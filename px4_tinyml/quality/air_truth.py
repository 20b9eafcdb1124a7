"""Which stretches of which recording are calm, turbulent, or hard manoeuvring in still air: a truth.csv.

`file,columns,vehicle,start_s,end_s,air`, one row a stretch. file: relative to the folder of recordings; columns: a
column map (TOML) relative to it, for IMU CSV files; start_s and end_s count from the log's first IMU sample, empty
means from the start or to the end; air: one of AIR.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from px4_tinyml.dataset.spans import parse_seconds
from px4_tinyml.errors import DatasetError
from px4_tinyml.files import read_file
from px4_tinyml.flight_log import I32, I64, U64
from px4_tinyml.units import US_PER_S

COLUMNS = ("file", "columns", "vehicle", "start_s", "end_s", "air")
AIR = ("calm", "turbulent", "manoeuvre")
CALM, TURBULENT, MANOEUVRE = range(3)
LEFT_OUT = -1
"""Of a window that has too little of one kind."""
TURBULENT_US = 400_000
"""A window with this much of a turbulent stretch is turbulent."""
SHARE = (4, 5)
"""A calm window lies at least this much in calm stretches, and not at all in turbulent ones; a manoeuvre the same."""
FOREVER_US = 2**62
MAX_BYTES = 1 << 24


@dataclass(frozen=True)
class Stretch:
    """One row. line: its number in the file; columns: empty without a column map; air: index into AIR."""

    line: int
    file: str
    columns: str
    vehicle: str
    start_s: float | None
    end_s: float | None
    air: int

    def span_us(self, first_us: int) -> tuple[int, int]:
        """Start and end in the log's time. first_us: time of its first IMU sample."""
        start = 0 if self.start_s is None else first_us + round(self.start_s * US_PER_S)
        end = FOREVER_US if self.end_s is None else first_us + round(self.end_s * US_PER_S)
        return start, end


def read_truth(path: Path, folder: Path) -> list[Stretch]:
    """Read and check a truth file. folder: of the recordings.

    Raises DatasetError with the line, what was found and what was expected.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(reader.fieldnames or ()) != COLUMNS:
            found = ",".join(reader.fieldnames or ()) or "nothing"
            raise DatasetError(f"{path}:1: header {found} found, {','.join(COLUMNS)} expected")
        rows = [_row(f"{path}:{reader.line_num}", reader.line_num, row, folder) for row in reader]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV text file: {error}") from error
    first: dict[str, Stretch] = {}
    for row in rows:
        other = first.setdefault(row.file, row)
        for name in ("columns", "vehicle"):
            if getattr(row, name) != getattr(other, name):
                raise DatasetError(
                    f"{path}:{row.line}: {name} {getattr(row, name)!r} found, {getattr(other, name)!r} expected, "
                    f"as in line {other.line} of the same file"
                )
    if not rows:
        raise DatasetError(f"{path}:1: a header and no rows found, one row a stretch expected")
    return rows


def _row(where: str, line: int, row: dict[str | Any, str | None], folder: Path) -> Stretch:
    if None in row or None in row.values():
        found = sum(value is not None for value in row.values()) + len(row.get(None) or ()) - (None in row)
        raise DatasetError(f"{where}: {found} columns found, {len(COLUMNS)} expected")
    cells = {name: (row[name] or "").strip() for name in COLUMNS}
    if not cells["vehicle"]:
        raise DatasetError(f"{where}: vehicle is empty, a name expected")
    if cells["air"] not in AIR:
        raise DatasetError(f"{where}: air {cells['air']!r} found, one of {', '.join(AIR)} expected")
    for name in ("file", "columns"):
        if name == "file" or cells[name]:
            _check_file(where, name, cells[name], folder)
    start, end = (_seconds(where, name, cells[name]) for name in ("start_s", "end_s"))
    if end is not None and end <= (start or 0.0):
        raise DatasetError(f"{where}: end_s {end:g} found, a time after start_s {start or 0.0:g} expected")
    air = AIR.index(cells["air"])
    return Stretch(line, cells["file"], cells["columns"], cells["vehicle"], start, end, air)


def _check_file(where: str, name: str, text: str, folder: Path) -> None:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or not (folder / text).is_file():
        raise DatasetError(f"{where}: {name} {text!r} found, the path of a file in {folder} expected")


def _seconds(where: str, name: str, text: str) -> float | None:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise DatasetError(f"{where}: {name} {text!r} found, {error}") from error


def air_of_windows(start_us: U64, end_us: U64, stretches: Sequence[Stretch], first_us: int) -> I32:
    """Index into AIR of each window, or LEFT_OUT. first_us: time of the log's first IMU sample."""
    calm, turbulent, manoeuvre = (
        sum(
            (overlap_us(start_us, end_us, *span) for span in _union([s for s in stretches if s.air == air], first_us)),
            np.zeros(len(start_us), np.int64),
        )
        for air in (CALM, TURBULENT, MANOEUVRE)
    )
    need, of = SHARE
    length = end_us.astype(np.int64) - start_us.astype(np.int64)
    kind = np.full(len(start_us), LEFT_OUT, np.int32)
    for air, inside in ((CALM, calm), (MANOEUVRE, manoeuvre)):
        kind[(turbulent == 0) & (of * inside >= need * length)] = air
    kind[turbulent >= TURBULENT_US] = TURBULENT
    return kind


def overlap_us(start_us: U64, end_us: U64, low_us: int, high_us: int) -> I64:
    """How much of each window lies in [low, high)."""
    start, end = start_us.astype(np.int64), end_us.astype(np.int64)
    inside: I64 = np.maximum(np.minimum(end, high_us) - np.maximum(start, low_us), 0)
    return inside


def _union(stretches: Sequence[Stretch], first_us: int) -> list[tuple[int, int]]:
    """Spans of stretches, those that overlap merged."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(stretch.span_us(first_us) for stretch in stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
