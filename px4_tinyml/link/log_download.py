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

from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link.appender import make_folder
from px4_tinyml.link.connection import Link
from px4_tinyml.link.vehicle import HeartbeatClock, Vehicle
from px4_tinyml.logs import sniff
from px4_tinyml.mavlink.framer import Frame

LOG_ENTRY, LOG_DATA = 118, 120
CHUNK = 90
"""Bytes of a LOG_DATA message."""
BLOCK = 1024 * CHUNK
"""Bytes asked for at once; kept in memory until they are whole."""
OVERLAP = 4 * CHUNK
SUFFIXES = (".ulg", ".bin", ".log")
LIST_IDLE_S, LIST_TRIES = 1.5, 5
PATIENCE_S = 60.0
FIRST_ROUND_TRIP_S, SHORTEST_S, LONGEST_S = 0.2, 0.1, 2.0
"""An answer is waited for four times as long as answers took lately, within these limits."""


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

    def __init__(self, link: Link, vehicle: Vehicle, patience_s: float = PATIENCE_S) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self._dialect = ardupilotmega
        self._link, self._vehicle, self._patience_s = link, vehicle, patience_s
        self._beat = HeartbeatClock(link)
        self._round_trip_s = FIRST_ROUND_TRIP_S

    def list(self) -> list[LogEntry]:
        """All logs, oldest first. LinkError when the vehicle does not answer or some entries never come."""
        found: dict[int, LogEntry] = {}
        number = None
        for _ in range(LIST_TRIES):
            number = self._list_once(found, number)
            if number is not None and len(found) >= number:
                return sorted(found.values(), key=lambda log: (log.time_utc, log.number))
        if number:
            raise LinkError(f"{self._link.address}: {len(found)} of {number} log entries came: is the link this bad?")
        raise LinkError(
            f"{self._link.address}: {self._vehicle} sends no list of logs: it has none yet (or no card), "
            "or it does not do so while armed"
        )

    def _list_once(self, found: dict[int, LogEntry], number: int | None) -> int | None:
        """Ask for the list once, adding to what was found. How many there are, None when nothing says so."""
        self._send("log_request_list", 0, 0xFFFF)
        for frame in self._answers(LOG_ENTRY, LIST_IDLE_S):
            entry = frame.message
            number = int(entry.num_logs)
            if number:
                found[int(entry.id)] = LogEntry(int(entry.id), int(entry.time_utc), int(entry.size))
            if len(found) >= number:
                break
        return number

    def download(self, entry: LogEntry, path: Path, progress: Callable[[int], None] = lambda done: None) -> Path:
        """Fetch a log to a path (its suffix is chosen by the content). progress gets the bytes that are there.

        One that is there already is not fetched again; a file that is another log is not touched. LinkError when the
        vehicle falls silent (what came is kept), LogError when the file cannot be written.
        """
        if not entry.size:
            raise LinkError(f"{self._link.address}: log {entry.number} is empty (0 bytes)")
        while any(path.with_name(path.name + suffix).exists() for suffix in SUFFIXES):
            there = self._there(entry, path)
            if there is not None:
                progress(entry.size)
                return there
            path = path.with_name(f"{path.name}_2")
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

    def _there(self, entry: LogEntry, path: Path) -> Path | None:
        """The file that holds this log already: the same size, and the same end as the vehicle's."""
        for suffix in SUFFIXES:
            file = path.with_name(path.name + suffix)
            if file.is_file() and file.stat().st_size == entry.size:
                with file.open("rb") as stream:
                    if self._known(stream.fileno(), entry) == entry.size:
                        return file
        return None

    def _fill(self, descriptor: int, entry: LogEntry, progress: Callable[[int], None]) -> None:
        done = self._known(descriptor, entry)
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

    def _known(self, descriptor: int, entry: LogEntry) -> int:
        """How many first bytes of a log a file holds: the end of them is fetched again and compared."""
        size = min(os.fstat(descriptor).st_size, entry.size)
        start = max(0, size // CHUNK * CHUNK - OVERLAP)
        theirs = self._block(entry, start, min(OVERLAP + CHUNK, entry.size - start), lambda more: None) if size else b""
        ours = os.pread(descriptor, len(theirs), start)
        return start + len(ours) if ours and theirs.startswith(ours) else 0

    def _block(self, entry: LogEntry, start: int, size: int, progress: Callable[[int], None]) -> bytes:
        """Bytes [start, start + size) of a log, however often that takes."""
        data = bytearray(size)
        missing = set(range(0, size, CHUNK))
        fruitless, progressed = 0, time.monotonic()
        while missing:
            first = last = min(missing)
            while last + CHUNK in missing:
                last += CHUNK
            self._send("log_request_data", entry.number, start + first, min(size, last + CHUNK) - first)
            asked, before = time.monotonic(), len(missing)
            wait_s = min(LONGEST_S, max(SHORTEST_S, 4.0 * self._round_trip_s * (1 + min(fruitless, 3))))
            for frame in self._answers(LOG_DATA, wait_s):
                if asked:
                    self._round_trip_s = 0.8 * self._round_trip_s + 0.2 * (time.monotonic() - asked)
                    asked = 0.0
                chunk = frame.message
                if chunk.id != entry.number:
                    continue
                place = int(chunk.ofs) - start
                length = min(CHUNK, size - place)
                if place in missing and length <= chunk.count <= CHUNK:
                    data[place : place + length] = bytes(chunk.data[:length])
                    missing.remove(place)
                    progress(size - len(missing) * CHUNK if missing else size)
                if place >= last or not missing:
                    break
            if len(missing) < before:
                fruitless, progressed = 0, time.monotonic()
                continue
            fruitless += 1
            if time.monotonic() - progressed > self._patience_s:
                why = self._link.trouble or f"{self._vehicle} sends nothing of log {entry.number} any more"
                raise LinkError(f"{self._link.address}: {why}. What has come is kept: run again to go on")
            if fruitless % 3 == 2 and self._link.connected:
                self._list_again(entry)
        return bytes(data)

    def _list_again(self, entry: LogEntry) -> None:
        """A vehicle that rebooted sends no data before it has listed its logs; their numbers may be others then."""
        found: dict[int, LogEntry] = {}
        number = self._list_once(found, None)
        there = found.get(entry.number)
        if (number is not None and len(found) >= number and there is None) or (there is not None and there != entry):
            raise LinkError(
                f"{self._link.address}: log {entry.number} is no longer what it was in the vehicle's list. "
                "What has come is kept: run again with the number it has now"
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
        return {"ulog": ".ulg", "dataflash": ".bin"}.get(sniff(path).kind, ".log")
    except LogError:
        return ".log"
