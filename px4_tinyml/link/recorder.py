"""Frames to disk: a .tlog, which every ground station reads, and beside it a .json of what was lost."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from px4_tinyml.errors import LogError
from px4_tinyml.link.appender import Appender, new_file
from px4_tinyml.logs.checks import MAX_TIME_US
from px4_tinyml.logs.tlog.tlog_file import (
    MAGIC_V1,
    MAGIC_V2,
    TIME_SIZE,
    TlogFile,
    definitions,
    frame_size,
    message_number,
)
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.samples import UNIX_US

log = logging.getLogger(__name__)

FORMAT = 1
SIDECAR_S = 5.0
MAX_TORN = 4 << 20
"""A power cut can leave so many bytes without a record at the end of a file, not more."""
_TAIL = 1 << 16
_FIRST_BLOCK = 4096
"""What a file system may have given a file whose first record was not all written."""


def new_recording(folder: Path, received_us: int) -> Path:
    """A new .tlog, empty: its name is the time of the first message (UTC)."""
    return new_file(folder / time.strftime("%Y-%m-%d_%H-%M-%S.tlog", time.gmtime(received_us / 1e6)))


class Recorder:
    """Appends frames to a .tlog; one that is there goes on behind its last whole record. A context manager.

    facts: called (by another thread) for what the sidecar says of this session: statistics, vehicle…
    LogError when the file is no .tlog or cannot be written; from write(), when the disk is full: what is there is
    kept and sound. At most half a second is lost when the power fails.
    """

    def __init__(self, path: Path, facts: Callable[[], dict[str, Any]] = dict) -> None:
        self.path = path
        self.frames = 0
        self.bytes = 0
        """Of this session."""
        self._file = _TlogAppender(self, facts)
        self._file.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except LogError:
            if kind is None:
                raise

    @property
    def sidecar(self) -> Path:
        """The statistics' file: NAME.tlog.json."""
        return self._file.sidecar

    @property
    def resumed(self) -> bool:
        """Whether the file was there before."""
        return self._file.resumed

    def write(self, frames: Sequence[Frame]) -> None:
        """Take frames; never waits for the disk."""
        records = b"".join([frame.received_us.to_bytes(TIME_SIZE, "big") + frame.data for frame in frames])
        self._file.write(records)
        self.frames += len(frames)
        self.bytes += len(records)

    def close(self) -> None:
        """Write what is left and the sidecar."""
        self._file.close()


class _TlogAppender(Appender):
    """The .tlog and its sidecar."""

    def __init__(self, recorder: Recorder, facts: Callable[[], dict[str, Any]]) -> None:
        path = recorder.path
        super().__init__(path, lambda descriptor: _sound_size(descriptor, path))
        self.sidecar = path.with_name(path.name + ".json")
        self.resumed = self.size > 0
        self._recorder, self._facts = recorder, facts
        self._started = time.time()
        self._sessions = _sessions(self.sidecar) if self.resumed else []
        self._due = 0.0
        self._told = False

    def each_round(self, last: bool) -> None:
        if last or time.monotonic() >= self._due:
            try:
                self._write_sidecar(last)
            except Exception as error:  # the facts in it are other threads': whatever happens, the .tlog is worth more
                if not self._told:
                    self._told = True
                    log.warning("%s cannot be written (%s); the recording goes on", self.sidecar, error)
            self._due = time.monotonic() + SIDECAR_S

    def _write_sidecar(self, ended: bool) -> None:
        """Replace the sidecar in one step: whole before, whole after."""
        session = {
            "started": _iso(self._started),
            "ended": _iso(time.time()) if ended else None,
            "frames": self._recorder.frames,
            "bytes": self._recorder.bytes,
            "error": self.explanation() or None,
            **self._facts(),
        }
        document = {"format": FORMAT, "file": self.path.name, "sessions": [*self._sessions, session]}
        temporary = self.sidecar.with_name(f".{self.sidecar.name}.new")
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            json.dump(document, stream, indent=1, ensure_ascii=False)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.sidecar)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _sessions(sidecar: Path) -> list[Any]:
    """Earlier sessions of a recording that goes on; none when the sidecar is not there or not readable."""
    try:
        sessions = json.loads(sidecar.read_text(encoding="utf-8"))["sessions"]
        return list(sessions)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s cannot be read: what it said of earlier sessions is not kept", sidecar)
        return []


def _sound_size(descriptor: int, path: Path) -> int:
    """Where the last whole record of a .tlog ends. LogError for a file that is none: it must not be cut."""
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
                end = _whole_records(tail, int(ends[-1]))
                if end < length:
                    log.warning("%s: %d bytes of a record torn at its end are cut off", path, length - end)
                return size - length + end
    elif _is_torn_first(head, size):
        log.warning("%s: its first record was torn: begun anew", path)
        return 0
    raise LogError(f"{path}: {size} bytes that are no .tlog, or not at the end: nothing is appended to it")


def _is_torn_first(head: bytes, size: int) -> bool:
    """Whether this is what a power cut left of a file's first record: a time, a frame's beginning, perhaps zeros."""
    time_us = int.from_bytes(head[:TIME_SIZE].ljust(TIME_SIZE, b"\0"), "big")
    begins = head[TIME_SIZE : TIME_SIZE + 1] in (b"", bytes((MAGIC_V1,)), bytes((MAGIC_V2,)))
    return size <= _FIRST_BLOCK and UNIX_US <= time_us < MAX_TIME_US and begins


def _whole_records(data: bytes, place: int) -> int:
    """The end of the whole records from place on (messages nobody knows, which have no checksum to tell)."""
    raw = np.frombuffer(data, np.uint8)
    while size := frame_size(raw, place + TIME_SIZE):
        if message_number(raw, place + TIME_SIZE) in definitions():
            break  # its checksum was wrong: torn, with zeros behind
        place += TIME_SIZE + size
    return place
