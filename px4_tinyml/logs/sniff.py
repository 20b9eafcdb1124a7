"""What kind of log a file is: by its content first, then by its name."""

from __future__ import annotations

import re
from pathlib import Path

from px4_tinyml.errors import LogError
from px4_tinyml.logs.csv import arduino_csv
from px4_tinyml.logs.dataflash import dataflash_file
from px4_tinyml.logs.ulog import ulog_file

HEAD_SIZE = 65536
KNOWN = "ULog (.ulg), ArduPilot dataflash (.bin), MAVLink telemetry (.tlog), ulog2csv or Arduino CSV"
BY_SUFFIX = {".ulg": "ulog", ".ulog": "ulog", ".bin": "dataflash", ".tlog": "tlog"}
"""Kinds by name, lower case: for files whose first bytes are damaged."""
_IMU_COLUMN = re.compile(r"acc|gyr|\b[ag][_.]?[xyz]\b", re.IGNORECASE)


def read_head(path: Path, size: int = HEAD_SIZE) -> bytes:
    """First bytes of a file; LogError when there is nothing to read."""
    if path.is_dir():
        raise LogError(f"{path}: a folder, a log file expected; give the folder to a command that takes several logs")
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


def sniff(path: Path) -> str:
    """ "ulog", "dataflash", "tlog", "px4_csv", "arduino_csv" or "csv"; LogError says what a foreign file is."""
    return sniff_bytes(path, read_head(path))


def sniff_bytes(path: Path, head: bytes) -> str:
    """The same from the first HEAD_SIZE bytes of the file."""
    if head.startswith(ulog_file.MAGIC):
        return "ulog"
    if head.startswith(dataflash_file.HEAD):
        return "dataflash"
    _refuse_known_strangers(path, head)
    if len(head) > 16 and head[8] in (0xFE, 0xFD) and b"\0" in head:
        return "tlog"
    kind = BY_SUFFIX.get(path.suffix.lower())
    if kind is not None:
        return kind
    return _text_kind(path, head)


def _refuse_known_strangers(path: Path, head: bytes) -> None:
    if head.startswith(b"version https://git-lfs"):
        size = re.search(rb"size (\d+)", head)
        real = f" of {int(size[1])} bytes" if size else ""
        raise LogError(f"{path}: a Git LFS pointer, not the log{real} itself; run `git lfs pull` where it came from")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        build = " (an MSBuild tracking log?)" if path.suffix.lower() == ".tlog" else ""
        raise LogError(f"{path}: UTF-16 text{build}, not a flight log; {KNOWN} expected")
    if head[:2] == b"\x1f\x8b" or head[:4] == b"PK\x03\x04":
        raise LogError(f"{path}: compressed; unpack it first")
    if head.lstrip()[:1] == b"<":
        raise LogError(f"{path}: a web page or XML, not a flight log; download the log itself")
    if head.startswith(b"FMT, 128"):
        raise LogError(f"{path}: a dataflash log as text; give the .bin it was made from")


def _text_kind(path: Path, head: bytes) -> str:
    line = head.split(b"\n", 1)[0]
    try:
        header = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        header = ""
    if not header or any(c < " " and c != "\t" for c in header):
        raise LogError(f"{path}: not a log this program knows (first bytes {head[:8].hex(' ')}); {KNOWN} expected")
    if header.replace(" ", "").split(",") == arduino_csv.HEADER:
        return "arduino_csv"
    if header.startswith("timestamp,") and "gyro_rad[0]" in header:
        return "px4_csv"
    if any(d in header for d in ",;\t"):
        return "csv"
    raise LogError(f"{path}: text that is not a table ({header[:40]!r}…); {KNOWN} expected")


def looks_like_imu(head: bytes) -> bool:
    """Whether the header line of a CSV names an accelerometer or gyroscope."""
    return bool(_IMU_COLUMN.search(head.split(b"\n", 1)[0].decode("utf-8", "replace")))
