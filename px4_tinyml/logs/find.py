"""Which logs a user means: files, folders and globs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from px4_tinyml.errors import LogError
from px4_tinyml.logs.csv.px4_csv import IMU_SUFFIX
from px4_tinyml.logs.sniff import BY_SUFFIX, looks_like_imu, read_head, sniff_bytes


def find_logs(paths: Iterable[Path | str]) -> list[Path]:
    """Files as given; of folders (recursively) and globs whatever is, or is named like, a log, and is not hidden.

    A ulog2csv set is one log, stood for by its sensor_combined file. Each log comes once, in order.
    LogError when a path gives no log at all.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            logs = [p for p in sorted(path.rglob("*")) if not _is_hidden(p.relative_to(path)) and _is_log(p)]
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
            whole = recording_of(log)
            found.setdefault(whole.absolute(), whole)
    return list(found.values())


def recording_of(path: Path) -> Path:
    """The sensor_combined file of the ulog2csv set a file belongs to; any other file itself."""
    if path.suffix != ".csv" or path.name.endswith(IMU_SUFFIX):
        return path
    parts = path.name.split("_")
    for cut in range(len(parts) - 1, 0, -1):
        whole = path.with_name("_".join([*parts[:cut], IMU_SUFFIX]))
        if whole.is_file():
            return whole
    return path


def _is_hidden(path: Path) -> bool:
    """Whether it, or a folder it is in, begins with a dot: what an interrupted `fly --px4` left, for example."""
    return any(part.startswith(".") for part in path.parts)


def _is_log(path: Path) -> bool:
    """Whether a file met in a folder is meant as a log (a damaged one too: its reader explains it)."""
    if not path.is_file():
        return False
    if path.suffix.lower() in BY_SUFFIX:
        return True
    try:
        head = read_head(path)
        kind = sniff_bytes(path, head)
    except LogError:
        return False
    return kind != "csv" or recording_of(path) != path or looks_like_imu(head)
