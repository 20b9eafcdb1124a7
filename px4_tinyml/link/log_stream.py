"""PX4's log streaming: the vehicle's own full-rate .ulg, over the link while it flies.

Header and definitions are acknowledged, data is not. Lost data is cut out at message boundaries and written as a
ULog dropout, so the file stays readable (https://mavlink.io/en/messages/common.html#LOGGING_DATA).
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from pathlib import Path
from typing import Any

from px4_tinyml.errors import LogError
from px4_tinyml.link.appender import Appender, new_file
from px4_tinyml.link.connection import Link
from px4_tinyml.link.vehicle import Vehicle
from px4_tinyml.logs.ulog.ulog_file import HEADER_SIZE, MAGIC
from px4_tinyml.logs.ulog.ulog_writer import dropout_message
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame

log = logging.getLogger(__name__)

NO_MESSAGE_STARTS = 255
RETRY_S, TRIES = 1.0, 5
SILENT_S = 5.0
"""A stream silent for this long has ended on the vehicle: it rebooted, or another client stopped it."""


class UlogAssembler:
    """LOGGING_DATA payloads → a ULog without torn messages."""

    def __init__(self) -> None:
        self.lost = 0
        """LOGGING_DATA messages that were not received."""
        self.dropouts = 0
        self.taken = 0
        self._expected = -1
        self._rest = b""
        self._aligned = True
        self._header_done = False
        self._last_s = 0.0

    def take(self, sequence: int, data: bytes, first_message: int, now_s: float) -> bytes:
        """ULog messages completed by this packet. sequence: 16 bits; first_message: an offset, or 255 without one."""
        step = (sequence - self._expected) & 0xFFFF if self._expected >= 0 else 0
        if step >= 0x8000:
            return b""  # repeated or late: the file is past its place
        self._expected = (sequence + 1) & 0xFFFF
        self.taken += 1
        dropout = b""
        if step:
            self.lost += step
            self._aligned, self._rest = False, b""
        if not self._aligned:
            if first_message == NO_MESSAGE_STARTS:
                return b""
            data = data[first_message:]
            self._aligned = True
            self.dropouts += 1
            silent_ms = min(0xFFFF, max(1, round((now_s - self._last_s) * 1000.0)))
            dropout = dropout_message(silent_ms)
        self._last_s = now_s
        return dropout + self._whole(data)

    def _whole(self, data: bytes) -> bytes:
        """Cut after the last complete message; the rest is kept."""
        data = self._rest + data
        end = 0 if self._header_done or len(data) < HEADER_SIZE else HEADER_SIZE
        self._header_done = self._header_done or end > 0
        while self._header_done and end + 3 <= len(data):
            after = end + 3 + int.from_bytes(data[end : end + 2], "little")
            if after > len(data):
                break
            end = after
        self._rest = data[end:]
        return data[:end]


class UlogStream:
    """Requests a vehicle's log stream and writes it. Give watch() every frame received.

    Each start of the vehicle's logger is a file: STEM.ulg; after a reboot or in a resumed recording STEM_2.ulg and
    so on. When a file cannot be written, one error is logged and the stream ends; nothing is raised.
    """

    def __init__(self, link: Link, vehicle: Vehicle, stem: Path) -> None:
        self._link, self._vehicle, self._stem = link, vehicle, stem
        self.files: list[Path] = []
        self.bytes = 0
        self.trouble = ""
        """Why nothing is streamed, when nothing is."""
        self.failed = False
        """A file could not be written: the stream has ended."""
        self._target = vehicle.system, vehicle.component
        self._data_ids = dialect.MAVLINK_MSG_ID_LOGGING_DATA, dialect.MAVLINK_MSG_ID_LOGGING_DATA_ACKED
        self._assemblers: list[UlogAssembler] = []
        self._file: Appender | None = None
        self._received_s = 0.0
        self._answered = False
        self._tries = 0
        self._asked = 0.0
        self._ask()

    @property
    def lost(self) -> int:
        """LOGGING_DATA messages lost in all files."""
        return sum(assembler.lost for assembler in self._assemblers)

    @property
    def dropouts(self) -> int:
        """Dropouts written for lost messages in all files."""
        return sum(assembler.dropouts for assembler in self._assemblers)

    def watch(self, frames: list[Frame]) -> list[Frame]:
        """Take log data and answers; returns the frames that are not in our file, in order."""
        if self.failed:
            return frames
        try:
            return self._watch(frames)
        except LogError as error:
            self._fail(error)
            return frames

    def close(self) -> None:
        """Stop the stream and close the file."""
        if self.failed:
            return
        self._send_command(dialect.MAV_CMD_LOGGING_STOP)
        try:
            self._end_file()
        except LogError as error:
            self._fail(error)

    def _fail(self, error: LogError) -> None:
        """Stop the stream; the recording of other messages continues."""
        log.error("%s: stopped streaming the log of %s", error, self._vehicle)
        self.failed, self.trouble = True, str(error)
        self._send_command(dialect.MAV_CMD_LOGGING_STOP)
        with contextlib.suppress(LogError):
            self._end_file()

    def _watch(self, frames: list[Frame]) -> list[Frame]:
        left = []
        for frame in frames:
            ours = frame.system == self._vehicle.system
            if ours and frame.message_id in self._data_ids and self._take(frame):
                continue
            left.append(frame)
            if ours and frame.message_id == dialect.MAVLINK_MSG_ID_COMMAND_ACK:
                self._note_ack(frame.fields)
        now = time.monotonic()
        if self._file is not None:
            self._file.write(b"")
            if now - self._received_s > SILENT_S:
                log.warning("%s: log stream silent for %.0f s: restarting it", self._vehicle, SILENT_S)
                self._end_file()
                self._answered, self._tries = False, 0
        if not self._answered and now - self._asked > RETRY_S:
            self._ask()
        return left

    def _ask(self) -> None:
        if self._tries == TRIES and not self.trouble:
            self.trouble = f"{self._vehicle} does not answer MAV_CMD_LOGGING_START"
            log.warning("%s: no log stream yet", self.trouble)
        self._tries += 1
        self._asked = time.monotonic()
        self._send_command(dialect.MAV_CMD_LOGGING_START)

    def _send_command(self, number: int) -> None:
        nan = math.nan
        self._link.send(
            dialect.MAVLink_command_long_message(*self._target, number, 0, 0.0, nan, nan, nan, nan, nan, nan)
        )

    def _note_ack(self, ack: Any) -> None:
        result = ack.result
        start = ack.command == dialect.MAV_CMD_LOGGING_START
        if not start or result == dialect.MAV_RESULT_IN_PROGRESS or self._answered:
            return
        if result == dialect.MAV_RESULT_TEMPORARILY_REJECTED and self._tries <= TRIES:
            # It streams already, without the header we need, most likely for an interrupted recording of ours.
            self._send_command(dialect.MAV_CMD_LOGGING_STOP)
            return
        self._answered = True
        self._received_s = time.monotonic()
        if result != dialect.MAV_RESULT_ACCEPTED:
            self.trouble = f"{self._vehicle} refuses to stream its log (MAV_RESULT {result})"
            log.warning(
                "%s: is its logger on (SDLOG_BACKEND 2 or 3), does another program use the stream?", self.trouble
            )

    def _take(self, frame: Frame) -> bool:
        """Whether it was written to a file."""
        message = frame.fields
        if not _is_sound(message):
            return False  # counted as lost: a dropout, or the vehicle repeats it
        if frame.message_id == dialect.MAVLINK_MSG_ID_LOGGING_DATA_ACKED:
            self._link.send(dialect.MAVLink_logging_ack_message(*self._target, message.sequence))
        data = message.data[: message.length]
        self._received_s = time.monotonic()
        if data.startswith(MAGIC):
            if self._file is not None and self._assemblers[-1].taken == 1:
                return True  # the header is repeated: our acknowledgement was lost
            self._begin_file()
        if self._file is None:
            return False
        whole = self._assemblers[-1].take(message.sequence, data, message.first_message_offset, self._received_s)
        self.bytes += len(whole)
        self._file.write(whole)
        return True

    def _begin_file(self) -> None:
        self._end_file()
        path = new_file(self._stem.with_name(f"{self._stem.name}.ulg"))
        self._file = Appender(path)
        self._file.start()
        self._assemblers.append(UlogAssembler())
        self._answered = True
        self.files.append(path)
        self.trouble = ""

    def _end_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()


def _is_sound(message: Any) -> bool:
    """Whether length and offset of a LOGGING_DATA message are inside its data."""
    length, first = int(message.length), int(message.first_message_offset)
    return length <= len(message.data) and (first == NO_MESSAGE_STARTS or first <= length)
