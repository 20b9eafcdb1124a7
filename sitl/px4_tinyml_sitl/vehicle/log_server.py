"""Logs over MAVLink: the list and download protocol, and log streaming.

LOG_REQUEST_… as in PX4 v1.17's mavlink_log_handler.cpp (but an empty list is answered with an empty LOG_ENTRY),
LOGGING_DATA and LOGGING_DATA_ACKED as in mavlink_ulog.cpp and log_writer_mavlink.cpp.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml_sitl.vehicle.onboard_log import OnboardLog

if TYPE_CHECKING:
    from px4_tinyml_sitl.vehicle.channel import MavlinkChannel

LOG_DATA_SIZE = 90
LOGGING_DATA_SIZE = 249
NO_MESSAGE_STARTS = 255
"""first_message_offset of a packet in which no ULog message starts."""
ACK_TIMEOUT_S, ACK_MAX_TRIES = 0.05, 50
_ENTRIES_PER_TICK = 5
_PACKETS_PER_TICK = 6
_ALL = 0xFFFF


class LogServer:
    """Answers LOG_… requests on one link, a few packets at a time."""

    def __init__(self, log: OnboardLog, send: Callable[[Any], Any], busy: Callable[[], bool]) -> None:
        self._log, self._send, self._busy = log, send, busy
        self._listed: list[tuple[Path, int, int]] = []
        """Path, size and time (s since 1970) of the logs in the list last sent."""
        self._entries: deque[int] = deque()
        self._sending: tuple[int, int, int] | None = None

    def handle(self, message: Any) -> None:
        """LOG_REQUEST_LIST, LOG_REQUEST_DATA, LOG_REQUEST_END or LOG_ERASE."""
        name = message.get_type()
        if name == "LOG_REQUEST_LIST":
            stats = [(path, path.stat()) for path in self._log.paths()]
            self._listed = [(path, stat.st_size, int(stat.st_mtime)) for path, stat in stats]
            last = len(self._listed) - 1 if message.end == _ALL else min(message.end, len(self._listed) - 1)
            self._entries = deque(range(message.start, last + 1))
            if not self._listed:
                self._send(mavlink.MAVLink_log_entry_message(0, 0, 0, 0, 0))
            return
        self._sending = None
        if name == "LOG_REQUEST_DATA":
            if message.id < len(self._listed) and message.ofs < self._listed[message.id][1]:
                end = min(message.ofs + message.count, self._listed[message.id][1])
                self._sending = (message.id, message.ofs, end)
        elif name == "LOG_ERASE":
            for path in self._log.paths():
                if path != self._log.open_path:
                    path.unlink(missing_ok=True)
            self._listed = []
            self._entries.clear()

    def update(self) -> None:
        """One tick: send some of the requested packets."""
        if self._busy():
            return
        for _ in range(min(_ENTRIES_PER_TICK, len(self._entries))):
            number = self._entries.popleft()
            _, size, when = self._listed[number]
            count = len(self._listed)
            self._send(mavlink.MAVLink_log_entry_message(number, count, count - 1, when, size))
        if self._sending is not None:
            self._send_data(*self._sending)

    def _send_data(self, number: int, offset: int, end: int) -> None:
        size = min(_PACKETS_PER_TICK * LOG_DATA_SIZE, end - offset)
        try:
            with self._listed[number][0].open("rb") as file:
                file.seek(offset)
                block = file.read(size)
        except OSError:
            self._sending = None
            return
        for at in range(0, len(block), LOG_DATA_SIZE):
            part = block[at : at + LOG_DATA_SIZE]
            data = list(part.ljust(LOG_DATA_SIZE, b"\0"))
            self._send(mavlink.MAVLink_log_data_message(number, offset + at, len(part), data))
            if self._busy():
                block = block[: at + len(part)]
                break
        offset += len(block)
        self._sending = (number, offset, end) if block and offset < end else None


class LogStream:
    """Streams a log to one component: the definitions acknowledged packet by packet, then the data unacknowledged."""

    def __init__(self, log: OnboardLog, channel: MavlinkChannel, system: int, component: int) -> None:
        self.channel = channel
        self.lost = False
        """Stopped for lack of acknowledgements."""
        self._log, self._target = log, (system, component)
        self._sequence = 0
        self._buffer = bytearray()
        self._first = 0
        self._reliable: deque[tuple[bytes, int]] = deque()
        self._queue: deque[tuple[bytes, int]] = self._reliable
        for message in log.definitions():
            self._put(message)
        self._flush()
        self._queue = deque()
        self._sent_s, self._tries = 0.0, 0
        log.listeners.append(self._listen)

    def _put(self, message: bytes) -> None:
        if self._first == NO_MESSAGE_STARTS:
            self._first = len(self._buffer)
        while message:
            room = LOGGING_DATA_SIZE - len(self._buffer)
            self._buffer += message[:room]
            message = message[room:]
            if len(self._buffer) == LOGGING_DATA_SIZE:
                self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._queue.append((bytes(self._buffer), self._first))
        self._buffer.clear()
        self._first = NO_MESSAGE_STARTS

    def _listen(self, data: bytes) -> None:
        """Data messages of a tick; dropped until all definitions are acknowledged, as in PX4."""
        if self._reliable:
            return
        at = 0
        while at < len(data):
            size = 3 + int.from_bytes(data[at : at + 2], "little")
            self._put(data[at : at + size])
            at += size

    def update(self) -> None:
        """Send the queue, or repeat the packet that is not acknowledged."""
        if self._reliable:
            if time.monotonic() - self._sent_s < ACK_TIMEOUT_S:
                return
            self._tries += 1
            if self._tries > ACK_MAX_TRIES:
                self.stop()
                self.lost = True
                return
            self._sent_s = time.monotonic()
            self._send(mavlink.MAVLink_logging_data_acked_message, *self._reliable[0])
            return
        while self._queue:
            self._send(mavlink.MAVLink_logging_data_message, *self._queue.popleft())
            self._sequence = (self._sequence + 1) & 0xFFFF

    def _send(self, kind: Any, data: bytes, first: int) -> None:
        padded = list(data.ljust(LOGGING_DATA_SIZE, b"\0"))
        self.channel.send(kind(*self._target, self._sequence, len(data), first, padded))

    def acknowledge(self, sequence: int) -> None:
        """LOGGING_ACK: send the next packet."""
        if self._reliable and sequence == self._sequence:
            self._reliable.popleft()
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._sent_s, self._tries = 0.0, 0
            self.update()

    def stop(self) -> None:
        if self._listen in self._log.listeners:
            self._log.listeners.remove(self._listen)
