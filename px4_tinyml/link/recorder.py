"""Frames to disk: a .tlog, which every ground station reads, and beside it a .json of link statistics."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from px4_tinyml.errors import LogError
from px4_tinyml.link.appender import Appender, new_file, write_whole
from px4_tinyml.logs.tlog.tlog_file import TIME_SIZE, TlogFile, record_at, tlog_records
from px4_tinyml.mavlink.dialect import MAGIC_V1, MAGIC_V2
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.samples import UNIX_US
from px4_tinyml.signal.plausibility import MAX_TIME_US

log = logging.getLogger(__name__)

FORMAT = 1
SIDECAR_S = 5.0
MAX_TORN = 4 << 20
"""The most bytes without a record that a power cut can leave at the end of a file."""
_TAIL = 1 << 16
_FIRST_BLOCK = 4096
"""The most a file system may have allocated for a file whose first record was not completely written."""


def new_recording(folder: Path, received_us: int) -> Path:
    """A new .tlog, empty: its name is the time of the first message (UTC)."""
    return new_file(folder / time.strftime("%Y-%m-%d_%H-%M-%S.tlog", time.gmtime(received_us / 1e6)))


class Recorder:
    """Appends frames to a .tlog, to an existing one after its last complete record. A context manager.

    facts: called (by another thread) for this session's part of the sidecar: statistics, vehicle…
    LogError when the file is not a .tlog or cannot be written; from write() when the disk is full: complete records
    are kept. At most half a second is lost when the power fails.
    sidecar: the statistics' file, NAME.tlog.json. resumed: whether the file existed before. frames, bytes: of this
    session.
    """

    def __init__(self, path: Path, facts: Callable[[], dict[str, Any]] = dict) -> None:
        self.path, self.sidecar = path, path.with_name(path.name + ".json")
        self.frames = self.bytes = 0
        self._file = Appender(path, _complete_size, self._keep_sidecar)
        self.resumed = self._file.size > 0
        self._facts, self._started = facts, time.time()
        self._sessions = _sessions(self.sidecar) if self.resumed else []
        self._due = 0.0
        self._warned = False
        self._file.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except LogError:
            if kind is None:
                raise

    def write(self, frames: Sequence[Frame]) -> None:
        """Queue frames; never waits for the disk."""
        records = tlog_records(frames)
        self._file.write(records)
        self.frames += len(frames)
        self.bytes += len(records)

    def close(self) -> None:
        """Write the queued frames and the sidecar."""
        self._file.close()

    def _keep_sidecar(self, ended: bool) -> None:
        """Replace the sidecar when it is due; called by the writing thread."""
        if not ended and time.monotonic() < self._due:
            return
        try:
            session = {
                "started": _iso(self._started),
                "ended": _iso(time.time()) if ended else None,
                "frames": self.frames,
                "bytes": self.bytes,
                "error": self._file.explanation() or None,
                **self._facts(),
            }
            document = {"format": FORMAT, "file": self.path.name, "sessions": [*self._sessions, session]}
            text = json.dumps(document, indent=1, ensure_ascii=False)
            write_whole(self.sidecar, text.encode("utf-8", "backslashreplace"))
        except Exception as error:  # its facts are of other threads: no error in it may stop the recording
            if not self._warned:
                self._warned = True
                log.warning("%s cannot be written (%s); recording continues", self.sidecar, error)
        self._due = time.monotonic() + SIDECAR_S


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _sessions(sidecar: Path) -> list[Any]:
    """Earlier sessions of a resumed recording; empty without a readable sidecar."""
    try:
        sessions = json.loads(sidecar.read_text(encoding="utf-8"))["sessions"]
        return list(sessions)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s cannot be read: statistics of earlier sessions are lost", sidecar)
        return []


def _complete_size(descriptor: int, path: Path) -> int:
    """End of the last complete record of a .tlog. LogError for any other file, which must not be truncated."""
    size = os.fstat(descriptor).st_size
    if not size:
        return 0
    head = os.pread(descriptor, _TAIL, 0)
    is_tlog = len(head) > TIME_SIZE and head[TIME_SIZE] in (MAGIC_V1, MAGIC_V2) and len(TlogFile.read(head).frames)
    if is_tlog:
        for length in (min(size, _TAIL), min(size, MAX_TORN)):
            tail = os.pread(descriptor, length, size - length)
            ends = TlogFile.read(tail).frames.end
            if len(ends):
                end = _after_unknown(tail, int(ends[-1]))
                if end < length:
                    log.warning("%s: truncated %d bytes of an incomplete record at its end", path, length - end)
                return size - length + end
    elif _is_torn_first(head, size):
        log.warning("%s: truncated first record: file restarted", path)
        return 0
    raise LogError(f"{path}: not a .tlog file, or not at its end ({size} bytes): refusing to append")


def _is_torn_first(head: bytes, size: int) -> bool:
    """Whether a power cut may have left this of a file's first record: a time, a frame's beginning, perhaps zeros."""
    time_us = int.from_bytes(head[:TIME_SIZE].ljust(TIME_SIZE, b"\0"), "big")
    begins = head[TIME_SIZE : TIME_SIZE + 1] in (b"", bytes((MAGIC_V1,)), bytes((MAGIC_V2,)))
    return size <= _FIRST_BLOCK and UNIX_US <= time_us < MAX_TIME_US and begins


def _after_unknown(data: bytes, place: int) -> int:
    """End of the complete records of unknown messages from place on; a known one here has a wrong checksum: torn."""
    while (header := record_at(data, place)) and header.extra is None:
        place = header.end
    return place
