"""The logs on a vehicle's card: list and download by MAVLink's LOG_* messages, going on where it was interrupted.

Each frame has a checksum, gaps are asked for again, and the size must be right at the end. A download that was cut
short stays as NAME.SIZE.part; the next one goes on there after comparing its last bytes with the vehicle's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from px4_tinyml.collect.sniff import sniff
from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link.appender import make_folder
from px4_tinyml.link.connection import Link
from px4_tinyml.link.frames import Frame
from px4_tinyml.link.vehicle import HeartbeatClock, Vehicle

LOG_ENTRY, LOG_DATA = 118, 120
CHUNK = 90
"""Bytes of a LOG_DATA message."""
BLOCK = 1024 * CHUNK
"""Bytes asked for at once; kept in memory until they are whole."""
OVERLAP = 4 * CHUNK
LIST_IDLE_S, LIST_TRIES = 1.5, 5
IDLE_S, IDLE_TRIES = 0.6, 25


@dataclass(frozen=True)
class LogEntry:
    """A log on the vehicle. time_utc: seconds since 1970 when it ended, 0 if the vehicle did not know."""

    number: int
    time_utc: int
    size: int

    @property
    def stem(self) -> str:
        """A file name without suffix."""
        if self.time_utc < 10**8:
            return f"log_{self.number:03d}"
        return time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(self.time_utc))


class LogClient:
    """Talks to one vehicle's log handler."""

    def __init__(self, link: Link, vehicle: Vehicle) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self._dialect = ardupilotmega
        self._link, self._vehicle = link, vehicle
        self._beat = HeartbeatClock(link)

    def list(self) -> list[LogEntry]:
        """All logs, oldest first. LinkError when the vehicle does not answer or some entries never come."""
        found: dict[int, LogEntry] = {}
        number = -1
        for _ in range(LIST_TRIES):
            self._send("log_request_list", 0, 0xFFFF)
            for frame in self._answers(LOG_ENTRY, LIST_IDLE_S):
                entry = frame.message
                number = int(entry.num_logs)
                if number:
                    found[int(entry.id)] = LogEntry(int(entry.id), int(entry.time_utc), int(entry.size))
                if len(found) >= number:
                    return sorted(found.values(), key=lambda log: (log.time_utc, log.number))
        if number > 0:
            raise LinkError(f"{self._link.address}: {len(found)} of {number} log entries came: is the link this bad?")
        raise LinkError(
            f"{self._link.address}: {self._vehicle} sends no list of logs: it has none yet (or no card), "
            "or it does not do so while armed"
        )

    def download(self, entry: LogEntry, path: Path, progress: Callable[[int], None] = lambda done: None) -> Path:
        """Fetch a log to a path (its suffix is chosen by the content). progress gets the bytes that are there.

        LinkError when the vehicle falls silent (what came is kept), LogError when the file cannot be written.
        """
        if not entry.size:
            raise LinkError(f"{self._link.address}: log {entry.number} is empty (0 bytes)")
        part = path.with_name(f"{path.name}.{entry.size}.part")
        try:
            make_folder(path.parent)
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._fill(descriptor, entry, progress)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            whole = path.with_name(path.name + _suffix(part))
            part.replace(whole)
        except OSError as error:
            raise LogError(f"{part}: {error.strerror}; what has come is kept, run again to go on") from error
        self._send("log_request_end")
        return whole

    def _fill(self, descriptor: int, entry: LogEntry, progress: Callable[[int], None]) -> None:
        done = self._resume(descriptor, entry)
        progress(done)
        synced = time.monotonic()
        while done < entry.size:
            block = self._block(entry, done, min(BLOCK, entry.size - done), partial(_advance, progress, done))
            _write_at(descriptor, block, done)
            done += len(block)
            if time.monotonic() - synced > 1.0:
                os.fdatasync(descriptor)
                synced = time.monotonic()
        if os.fstat(descriptor).st_size != entry.size:
            os.ftruncate(descriptor, entry.size)

    def _resume(self, descriptor: int, entry: LogEntry) -> int:
        """Bytes of an earlier download that are right: its end is fetched again and compared."""
        size = min(os.fstat(descriptor).st_size, entry.size)
        start = max(0, size // CHUNK * CHUNK - OVERLAP)
        if not start:
            return 0
        theirs = self._block(entry, start, min(OVERLAP, entry.size - start), lambda more: None)
        ours = os.pread(descriptor, len(theirs), start)
        return start + len(theirs) if ours == theirs else 0

    def _block(self, entry: LogEntry, start: int, size: int, progress: Callable[[int], None]) -> bytes:
        """Bytes [start, start + size) of a log, however often that takes."""
        data = bytearray(size)
        missing = set(range(0, size, CHUNK))
        fruitless = 0
        while missing:
            first = last = min(missing)
            while last + CHUNK in missing:
                last += CHUNK
            self._send("log_request_data", entry.number, start + first, min(size, last + CHUNK) - first)
            before = len(missing)
            for frame in self._answers(LOG_DATA, IDLE_S):
                chunk = frame.message
                if chunk.id != entry.number:
                    continue
                place = int(chunk.ofs) - start
                count = min(int(chunk.count), size - place)
                if place in missing and count >= min(CHUNK, size - place):
                    data[place : place + count] = bytes(chunk.data[:count])
                    missing.remove(place)
                    progress(size - len(missing) * CHUNK if missing else size)
                if place >= last or not missing:
                    break
            fruitless = 0 if len(missing) < before else fruitless + 1
            if fruitless:
                self._again(entry, fruitless)
        return bytes(data)

    def _again(self, entry: LogEntry, fruitless: int) -> None:
        """Nothing came: a vehicle that rebooted wants to list its logs first; give up when it stays silent."""
        if fruitless >= IDLE_TRIES:
            why = self._link.trouble or f"{self._vehicle} sends nothing of log {entry.number} any more"
            raise LinkError(f"{self._link.address}: {why}. What has come is kept: run again to go on")
        if fruitless % 3 == 0 and self._link.connected:
            there = self.list()
            if entry not in there:
                raise LinkError(
                    f"{self._link.address}: log {entry.number} is no longer what it was in the vehicle's list: "
                    "run again with the number it has now"
                )

    def _answers(self, message_id: int, idle_s: float) -> Iterator[Frame]:
        """This vehicle's messages of a kind, until none has come for a while."""
        deadline = time.monotonic() + idle_s
        while time.monotonic() < deadline:
            self._beat.tick()
            for frame in self._link.receive(deadline - time.monotonic()):
                if frame.message_id == message_id and frame.system == self._vehicle.system:
                    deadline = time.monotonic() + idle_s
                    yield frame

    def _send(self, name: str, *values: Any) -> None:
        kind = getattr(self._dialect, f"MAVLink_{name}_message")
        self._link.send(kind(self._vehicle.system, self._vehicle.component, *values))


def _advance(progress: Callable[[int], None], before: int, more: int) -> None:
    progress(before + more)


def _write_at(descriptor: int, data: bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, place)
        rest, place = rest[written:], place + written


def _suffix(path: Path) -> str:
    """.ulg or .bin by what a file starts with."""
    try:
        return {"ulog": ".ulg", "dataflash": ".bin"}.get(sniff(path), ".log")
    except LogError:
        return ".log"
