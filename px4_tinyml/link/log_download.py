"""The logs on a vehicle's card: list and download by MAVLink's LOG_* messages; interrupted downloads are resumed.

Each frame has a checksum, gaps are requested again, and the size must be right at the end. An interrupted download
stays as NAME.SIZE.part; the next one resumes it after comparing its last bytes with the vehicle's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link.appender import make_folder
from px4_tinyml.link.connection import Link
from px4_tinyml.link.vehicle import HeartbeatSender, Vehicle
from px4_tinyml.logs import sniff
from px4_tinyml.mavlink import dialect

CHUNK = 90
"""Bytes of a LOG_DATA message."""
BLOCK = 1024 * CHUNK
"""Bytes requested at once; kept in memory until they are complete."""
OVERLAP = 4 * CHUNK
SUFFIXES = (".ulg", ".bin", ".log")
LIST_IDLE_S, LIST_TRIES = 1.5, 5
PATIENCE_S = 60.0
FIRST_ROUND_TRIP_S, SHORTEST_S, LONGEST_S = 0.2, 0.1, 2.0
"""The timeout of an answer: four times the recent round trip, within these limits."""


@dataclass(frozen=True)
class LogEntry:
    """A log on the vehicle. time_utc: seconds since 1970 when it ended, 0 if the vehicle had no time."""

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
    """Client of one vehicle's log handler."""

    def __init__(self, link: Link, vehicle: Vehicle, patience_s: float = PATIENCE_S) -> None:
        self._link, self._vehicle, self._patience_s = link, vehicle, patience_s
        self._heartbeat = HeartbeatSender(link)
        self._round_trip_s = FIRST_ROUND_TRIP_S

    def list(self) -> list[LogEntry]:
        """All logs, oldest first. LinkError when the vehicle does not answer or entries are missing."""
        entries: dict[int, LogEntry] = {}
        count = None
        for _ in range(LIST_TRIES):
            count = self._list_once(entries, count)
            if count is not None and len(entries) >= count:
                return sorted(entries.values(), key=lambda log: (log.time_utc, log.number))
        if count:
            raise LinkError(f"{self._link.address}: received {len(entries)} of {count} log entries; check link quality")
        raise LinkError(
            f"{self._link.address}: {self._vehicle} sends no list of logs: it has none yet (or no card), "
            "or it does not do so while armed"
        )

    def _list_once(self, entries: dict[int, LogEntry], count: int | None) -> int | None:
        """Request the list once and add to entries. The number of logs; `count` without an answer."""
        self._send("log_request_list", 0, 0xFFFF)
        for entry in self._answers("LOG_ENTRY", LIST_IDLE_S):
            count = int(entry.num_logs)
            if count:
                entries[entry.id] = LogEntry(entry.id, entry.time_utc, entry.size)
            if len(entries) >= count:
                break
        return count

    def download(self, entry: LogEntry, path: Path, progress: Callable[[int], None] = lambda _: None) -> Path:
        """Download a log to a path (its suffix is chosen by the content). progress: called with the bytes complete.

        A complete file is not downloaded again; a file of another log is not changed. LinkError when the vehicle stops
        answering (received bytes are kept), LogError when the file cannot be written.
        """
        if not entry.size:
            raise LinkError(f"{self._link.address}: log {entry.number} is empty (0 bytes)")
        while any(path.with_name(path.name + suffix).exists() for suffix in SUFFIXES):
            complete = self._complete_file(entry, path)
            if complete is not None:
                progress(entry.size)
                return complete
            path = path.with_name(f"{path.name}_2")
        part = path.with_name(f"{path.name}.{entry.size}.part")
        try:
            make_folder(path.parent)
            part.touch()
            with part.open("r+b") as file:
                self._fill(file, entry, progress)
            whole = path.with_name(path.name + _suffix(part))
            part.replace(whole)
        except OSError as error:
            raise LogError(f"{part}: {error.strerror}; received bytes are kept, run again to resume") from error
        self._send("log_request_end")
        return whole

    def _complete_file(self, entry: LogEntry, path: Path) -> Path | None:
        """The file that is this log already: the same size and the same end as the vehicle's."""
        for suffix in SUFFIXES:
            file = path.with_name(path.name + suffix)
            if file.is_file() and file.stat().st_size == entry.size:
                with file.open("rb") as stream:
                    if self._verified(stream, entry) == entry.size:
                        return file
        return None

    def _fill(self, file: BinaryIO, entry: LogEntry, progress: Callable[[int], None]) -> None:
        """Download the bytes a file lacks."""
        complete = file.seek(self._verified(file, entry))
        progress(complete)
        synced = time.monotonic()
        while complete < entry.size:
            size = min(BLOCK, entry.size - complete)
            complete += file.write(self._block(entry, complete, size, progress))
            file.flush()
            if time.monotonic() - synced > 1.0:
                os.fdatasync(file.fileno())
                synced = time.monotonic()
        file.truncate(entry.size)
        os.fsync(file.fileno())

    def _verified(self, file: BinaryIO, entry: LogEntry) -> int:
        """How many first bytes of a log a file holds: their end is downloaded again and compared."""
        size = min(os.fstat(file.fileno()).st_size, entry.size)
        start = max(0, size // CHUNK * CHUNK - OVERLAP)
        theirs = self._block(entry, start, min(OVERLAP + CHUNK, entry.size - start), lambda _: None) if size else b""
        ours = os.pread(file.fileno(), len(theirs), start)
        return start + len(ours) if ours and theirs.startswith(ours) else 0

    def _block(self, entry: LogEntry, start: int, size: int, progress: Callable[[int], None]) -> bytes:
        """Bytes [start, start + size) of a log: missing ones are requested until they are complete.

        progress: called with the bytes of the log that are complete then.
        """
        data = bytearray(size)
        missing = set(range(0, size, CHUNK))
        fruitless, progressed = 0, time.monotonic()
        while missing:
            before = len(missing)
            self._request_first_gap(entry, start, data, missing, progress, fruitless)
            if len(missing) < before:
                fruitless, progressed = 0, time.monotonic()
                continue
            fruitless += 1
            if time.monotonic() - progressed > self._patience_s:
                why = self._link.trouble or f"{self._vehicle} stopped sending log {entry.number}"
                raise LinkError(f"{self._link.address}: {why}. Received bytes are kept: run again to resume")
            if fruitless % 3 == 2 and self._link.connected:
                self._list_again(entry)
        return bytes(data)

    def _request_first_gap(
        self,
        entry: LogEntry,
        start: int,
        data: bytearray,
        missing: set[int],
        progress: Callable[[int], None],
        tries: int,
    ) -> None:
        """Request the first missing bytes once; move what is received from `missing` into data."""
        size = len(data)
        first = last = min(missing)
        while last + CHUNK in missing:
            last += CHUNK
        self._send("log_request_data", entry.number, start + first, min(size, last + CHUNK) - first)
        requested = time.monotonic()
        wait_s = min(LONGEST_S, max(SHORTEST_S, 4.0 * self._round_trip_s * (1 + min(tries, 3))))
        for chunk in self._answers("LOG_DATA", wait_s):
            if requested:
                self._round_trip_s = 0.8 * self._round_trip_s + 0.2 * (time.monotonic() - requested)
                requested = 0.0
            if chunk.id != entry.number:
                continue
            place = chunk.ofs - start
            length = min(CHUNK, size - place)
            if place in missing and length <= chunk.count <= CHUNK:
                data[place : place + length] = chunk.data[:length]
                missing.remove(place)
                progress(start + size - len(missing) * CHUNK if missing else start + size)
            if place >= last or not missing:
                break

    def _list_again(self, entry: LogEntry) -> None:
        """A vehicle that rebooted sends no data before it has listed its logs; their numbers may have changed."""
        entries: dict[int, LogEntry] = {}
        count = self._list_once(entries, None)
        listed = entries.get(entry.number)
        if listed is None and (count is None or len(entries) < count):
            return
        if listed != entry:
            raise LinkError(
                f"{self._link.address}: log {entry.number} has changed in the vehicle's list. "
                "Received bytes are kept: run again with its new number"
            )

    def _answers(self, name: str, idle_s: float) -> Iterator[Any]:
        """Fields of this vehicle's messages of a kind, until none was received for a while."""
        number = dialect.message_id(name)
        deadline = time.monotonic() + idle_s
        while time.monotonic() < deadline:
            self._heartbeat.tick()
            for frame in self._link.receive(deadline - time.monotonic()):
                if frame.message_id == number and frame.system == self._vehicle.system:
                    deadline = time.monotonic() + idle_s
                    yield frame.fields

    def _send(self, name: str, *values: Any) -> None:
        message = getattr(dialect, f"MAVLink_{name}_message")
        self._link.send(message(self._vehicle.system, self._vehicle.component, *values))


def _suffix(path: Path) -> str:
    """.ulg or .bin by the first bytes of a file."""
    try:
        return {"ulog": ".ulg", "dataflash": ".bin"}.get(sniff(path).kind, ".log")
    except LogError:
        return ".log"
