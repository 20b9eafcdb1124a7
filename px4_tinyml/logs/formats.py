"""The log formats: one entry of FORMATS each. A file's content decides its format first, then its suffix.

To add a format, write its reader and add an entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs.csv.arduino_csv import is_arduino_csv, read_arduino_csv
from px4_tinyml.logs.csv.csv_table import header_line
from px4_tinyml.logs.csv.mapped_csv import is_csv, reject_unmapped_csv
from px4_tinyml.logs.csv.px4_csv import is_px4_csv, read_px4_csv
from px4_tinyml.logs.dataflash.read_dataflash import is_dataflash, read_dataflash
from px4_tinyml.logs.tlog.read_tlog import is_tlog, read_tlog
from px4_tinyml.logs.ulog.read_ulog import is_ulog, read_ulog

HEAD_SIZE = 65536


@dataclass(frozen=True)
class LogFormat:
    """A log format.

    kind: FlightLog.kind. name: for people. suffixes: lower case, for files whose first bytes are damaged.
    sniff: whether the first HEAD_SIZE bytes of a file are of this format.
    read: the recordings of a file, from its path, its content and its SHA-256. Raises LogError.
    """

    kind: str
    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    read: Callable[[Path, bytes, str], list[FlightLog]]


FORMATS = (
    LogFormat("ulog", "ULog", (".ulg", ".ulog"), is_ulog, read_ulog),
    LogFormat("dataflash", "ArduPilot dataflash", (".bin",), is_dataflash, read_dataflash),
    LogFormat("tlog", "MAVLink telemetry log", (".tlog",), is_tlog, read_tlog),
    LogFormat("arduino_csv", "Arduino captures", (), is_arduino_csv, read_arduino_csv),
    LogFormat("px4_csv", "ulog2csv set", (), is_px4_csv, read_px4_csv),
    LogFormat("csv", "CSV", (), is_csv, reject_unmapped_csv),
)
"""In the order in which they are tried."""
KNOWN = ", ".join(f"{f.name} ({f.suffixes[0]})" if f.suffixes else f.name for f in FORMATS[:-1]) + " or other CSV"


def read_head(path: Path, size: int = HEAD_SIZE) -> bytes:
    """First bytes of a file (size -1: all). Raises LogError when there is nothing to read."""
    if path.is_dir():
        raise LogError(f"{path}: a folder, expected a log file; find_logs lists the logs of a folder")
    try:
        with path.open("rb") as file:
            head = file.read(size)
    except FileNotFoundError as error:
        raise LogError(f"{path}: no such file") from error
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise LogError(f"{path}: empty file (0 bytes); a log expected: copy it again")
    return head


def by_suffix(path: Path) -> LogFormat | None:
    """The format that a file's suffix names."""
    return next((f for f in FORMATS if path.suffix.lower() in f.suffixes), None)


def sniff(path: Path, head: bytes | None = None) -> LogFormat:
    """The format of a file. head: its first bytes, if they were read already.

    Raises LogError, which names foreign files.
    """
    head = read_head(path) if head is None else head[:HEAD_SIZE]
    _reject_foreign(path, head)
    found = next((f for f in FORMATS if f.sniff(head)), None)
    if found is None or not found.suffixes:  # a damaged binary log can look like text
        found = by_suffix(path) or found
    if found is not None:
        return found
    header = header_line(head)
    if not header:
        raise LogError(f"{path}: not a log this program knows (first bytes {head[:8].hex(' ')}); {KNOWN} expected")
    raise LogError(f"{path}: text that is not a table ({header[:40]!r}…); {KNOWN} expected")


def _reject_foreign(path: Path, head: bytes) -> None:
    if head.startswith(b"version https://git-lfs"):
        size = re.search(rb"size (\d+)", head)
        real = f" of {int(size[1])} bytes" if size else ""
        raise LogError(f"{path}: a Git LFS pointer, not the log{real} itself; run `git lfs pull` where it is from")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        build = " (an MSBuild tracking log?)" if path.suffix.lower() == ".tlog" else ""
        raise LogError(f"{path}: UTF-16 text{build}, not a flight log; {KNOWN} expected")
    if head[:2] == b"\x1f\x8b" or head[:4] == b"PK\x03\x04":
        raise LogError(f"{path}: compressed; unpack it first")
    if head.lstrip()[:1] == b"<":
        raise LogError(f"{path}: a web page or XML, not a flight log; download the log itself")
    if head.startswith(b"FMT, 128"):
        raise LogError(f"{path}: a dataflash log as text; use the original .bin file")
