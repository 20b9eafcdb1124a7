"""Label spans from a CSV file: `file,start_s,end_s,label`, one row a span.

file: the log's name, its path, or a glob on either (a part of a log as "name#part"); start_s and end_s count
from the log's first IMU sample, empty means from the start or to the end; label: one of the spec's, or
"exclude".
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from px4_tinyml.errors import DatasetError
from px4_tinyml.types import FlightLog, LabelSpan
from px4_tinyml.units import US_PER_S

COLUMNS = ("file", "start_s", "end_s", "label")
FOREVER_US = 2**63 - 1


@dataclass(frozen=True)
class SpanRow:
    """One row of a spans file; line is for messages."""

    line: int
    pattern: str
    start_s: float | None
    end_s: float | None
    label: str


def read_spans(path: Path) -> list[SpanRow]:
    """Read and check a spans file."""
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise DatasetError(f"{path}: header {reader.fieldnames} found, {','.join(COLUMNS)} expected")
            for row in reader:
                rows.append(_row(path, reader.line_num, row))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV text file: {error}") from error
    return rows


def _row(path: Path, line: int, row: dict[str, str | None]) -> SpanRow:
    start, end = (_seconds(path, line, name, (row.get(name) or "").strip()) for name in ("start_s", "end_s"))
    pattern, label = (row.get("file") or "").strip(), (row.get("label") or "").strip()
    if not pattern or not label:
        raise DatasetError(f"{path}:{line}: a file and a label expected, {row} found")
    if start is not None and end is not None and end <= start:
        raise DatasetError(f"{path}:{line}: end_s {end} is not after start_s {start}")
    return SpanRow(line, pattern, start, end, label)


def _seconds(path: Path, line: int, name: str, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise DatasetError(f"{path}:{line}: {name} = {text!r}: a number of seconds expected") from None


def spans_for(log: FlightLog, rows: list[SpanRow]) -> tuple[tuple[LabelSpan, ...], list[SpanRow]]:
    """The spans that name this log, and the rows they came from."""
    whole, _, part = log.source.partition("#")
    names = {log.source, whole, PurePath(whole).name}
    if part:
        names.add(f"{PurePath(whole).name}#{part}")
    used = [row for row in rows if any(fnmatch(name, row.pattern) for name in names)]
    first = int(log.imu.timestamp_us.min()) if len(log.imu) else 0
    spans = tuple(
        LabelSpan(
            first + round((row.start_s or 0.0) * US_PER_S) if row.start_s is not None else 0,
            first + round(row.end_s * US_PER_S) if row.end_s is not None else FOREVER_US,
            row.label,
            "person",
        )
        for row in used
    )
    return spans, used
