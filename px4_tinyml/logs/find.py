"""The logs in files, folders and globs that a user names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from px4_tinyml.errors import LogError
from px4_tinyml.logs.csv.csv_table import header_line
from px4_tinyml.logs.csv.px4_csv import IMU_SUFFIX
from px4_tinyml.logs.formats import by_suffix, read_head, sniff

_IMU_COLUMN = re.compile(r"acc|gyr|\b[ag][_.]?[xyz]\b", re.IGNORECASE)


def find_logs(paths: Iterable[Path | str]) -> list[Path]:
    """Files as given; from folders (recursive) and globs all visible files that are logs by content or suffix.

    A ulog2csv set is one log, named by its sensor_combined file. Each log is listed once, in order.
    Raises LogError when a path gives no log.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            # An interrupted `fly --px4` leaves folders that begin with a dot.
            visible = (p for p in path.rglob("*") if not any(n.startswith(".") for n in p.relative_to(path).parts))
            logs = [p for p in sorted(visible) if _is_log(p)]
            if not logs:
                raise LogError(f"{path}: no flight log in this folder")
        elif not path.exists() and any(c in str(given) for c in "*?["):
            root = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else str(path)
            logs = [p for p in sorted(root.glob(pattern)) if not p.name.startswith(".") and _is_log(p)]
            if not logs:
                raise LogError(f"{path}: nothing that matches is a flight log")
        else:
            logs = [path]
        for log in logs:
            recording = recording_of(log)
            found.setdefault(recording.absolute(), recording)
    return list(found.values())


def recording_of(path: Path) -> Path:
    """The sensor_combined file of the ulog2csv set a file belongs to; any other file itself."""
    if path.suffix != ".csv" or path.name.endswith(IMU_SUFFIX):
        return path
    parts = path.name.split("_")
    for cut in range(len(parts) - 1, 0, -1):
        recording = path.with_name("_".join([*parts[:cut], IMU_SUFFIX]))
        if recording.is_file():
            return recording
    return path


def _is_log(path: Path) -> bool:
    """Whether a file in a folder is a log, or a damaged log by its suffix (its reader reports the damage)."""
    if not path.is_file():
        return False
    if by_suffix(path) is not None:
        return True
    try:
        head = read_head(path)
        kind = sniff(path, head).kind
    except LogError:
        return False
    return kind != "csv" or recording_of(path) != path or bool(_IMU_COLUMN.search(header_line(head)))
