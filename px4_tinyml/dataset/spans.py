"""Label spans from a CSV file: `file,start_s,end_s,label`, one row a span.

file: the log's name, its path, or a glob on either (a part of a log as "name#part"); start_s and end_s count
from the log's first IMU sample, empty means from the start or to the end; label: one of the spec's, or
"exclude".
"""

from __future__ import annotations

import csv
import io
import logging
import math
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any

from px4_tinyml.errors import DatasetError
from px4_tinyml.files import read_file
from px4_tinyml.flight_log import FlightLog, LabelSpan
from px4_tinyml.units import US_PER_S

log = logging.getLogger(__name__)

COLUMNS = ("file", "start_s", "end_s", "label")
FOREVER_US = 2**63 - 1
LONGEST_S = 1e9
MAX_BYTES = 1 << 24


@dataclass(frozen=True)
class SpanRow:
    """One row of a spans file. line: its number, for messages."""

    line: int
    pattern: str
    start_s: float | None
    end_s: float | None
    label: str


def read_spans(path: Path) -> list[SpanRow]:
    """Read and check a spans file."""
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(reader.fieldnames or ()) != COLUMNS:
            found = ",".join(reader.fieldnames or ()) or "nothing"
            raise DatasetError(f"{path}: header {found} found, {','.join(COLUMNS)} expected")
        return [_row(path, reader.line_num, row) for row in reader]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV text file: {error}") from error


def _row(path: Path, line: int, row: dict[str | Any, str | None]) -> SpanRow:
    if None in row:
        raise DatasetError(f"{path}:{line}: more than {len(COLUMNS)} columns found")
    start, end = (_seconds(path, line, name, (row.get(name) or "").strip()) for name in ("start_s", "end_s"))
    pattern, label = (row.get("file") or "").strip(), (row.get("label") or "").strip()
    if not pattern or not label:
        raise DatasetError(f"{path}:{line}: file {pattern!r} and label {label!r} found: both expected")
    if start is not None and end is not None and end <= start:
        raise DatasetError(f"{path}:{line}: end_s {end} is not after start_s {start}")
    return SpanRow(line, pattern, start, end, label)


def _seconds(path: Path, line: int, name: str, text: str) -> float | None:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise DatasetError(f"{path}:{line}: {name} = {text!r}: {error}") from error


def parse_seconds(text: str) -> float | None:
    """Seconds of a span from its text, None for an empty one. ValueError with what is expected."""
    try:
        value = float(text.replace("_", "?")) if text else None  # float() accepts 2_0
    except ValueError:
        value = math.nan
    if value is not None and not 0.0 <= value <= LONGEST_S:
        raise ValueError("seconds from the log's first IMU sample expected")
    return value


def file_and_part(source: str) -> tuple[str, str]:
    """("path", "#part") of a log's source; the second is empty where a file is one recording."""
    folder, slash, name = source.rpartition("/")
    file, mark, part = name.rpartition("#")
    return (folder + slash + file, mark + part) if mark else (source, "")


def rows_for(source: str, rows: list[SpanRow]) -> list[SpanRow]:
    """The rows that name a log."""
    file, part = file_and_part(source)
    name = PurePath(file).name
    names = {source, file, name, name + part}
    return [row for row in rows if row.pattern in names or any(fnmatch(n, row.pattern) for n in names)]


def spans_for(flight: FlightLog, rows: list[SpanRow]) -> tuple[LabelSpan, ...]:
    """The spans of the rows that name this log."""
    if not len(flight.imu):
        return ()
    first, last = int(flight.imu.timestamp_us.min()), int(flight.imu.timestamp_us.max())

    def absolute(seconds: float | None, without: int) -> int:
        return without if seconds is None else first + round(seconds * US_PER_S)

    spans = tuple(LabelSpan(absolute(r.start_s, 0), absolute(r.end_s, FOREVER_US), r.label, "person") for r in rows)
    for span, row in zip(spans, rows, strict=True):
        if span.start_us > last:
            log.warning(
                "labels: line %d starts at %g s, but %s ends at %.1f s", row.line, row.start_s, flight.source,
                (last - first) / US_PER_S,
            )  # fmt: skip
    return spans
