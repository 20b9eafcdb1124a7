"""The Arduino tutorial's captures from a serial port: 119 rows of text each, no MAVLink (docs/node.md)."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.appender import Appender
from px4_tinyml.logs.csv.arduino_csv import HEADER, ROWS

log = logging.getLogger(__name__)

HEADER_LINE = ",".join(HEADER).encode()
POLL_S, MOST_BYTES = 0.2, 4096
"""A read returns after this time, or with this many bytes."""
LONGEST_LINE = 200
REPEAT_S = 2.0
"""Many boards reset when their port is opened, and receive nothing for a while."""
QUIET_S = 1.0
"""Rows of a capture are sent 119 a second: without one for this long, its end was lost."""


class CaptureText:
    """Text in any pieces → complete captures. Rows have no numbers: lost and damaged ones show in their count."""

    def __init__(self) -> None:
        self.captures = self.incomplete = self.damaged_rows = 0
        self.received = False
        """The board sends captures: its header or a row was received."""
        self._line = b""
        self._rows: list[bytes] = []

    def take(self, data: bytes) -> list[bytes]:
        """Captures that ended: each its rows and a blank line."""
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-LONGEST_LINE:]
        return [capture for line in lines if (capture := self._take_line(line.strip()))]

    def end(self) -> bytes:
        """End the current capture: its text when it is complete, else nothing."""
        rows, self._rows = self._rows, []
        if len(rows) != ROWS:
            self.incomplete += bool(rows)
            return b""
        self.captures += 1
        return b"\n".join([*rows, b"", b""])

    def _take_line(self, line: bytes) -> bytes:
        if not line:
            return self.end()
        if line == HEADER_LINE:
            self.received = True
            return self.end()
        if _is_row(line):
            self.received = True
            self._rows.append(line)
        else:
            self.damaged_rows += 1
        return b""


def _is_row(line: bytes) -> bool:
    fields = line.split(b",")
    try:
        return len(fields) == len(HEADER) and all(math.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


def record_captures(
    address: LinkAddress, path: Path, seconds: float | None, stopped: Callable[[], bool]
) -> tuple[bool, dict[str, Any]]:
    """Append captures to a CSV for so many seconds or until stopped(): whether the time was complete, and counts.

    A node starts sending at "csv" and stops at "off"; the tutorial's own sketch always sends. Only complete captures
    are written. LinkError when the port cannot be opened or is lost; LogError when the file holds anything but
    captures, or cannot be written.
    """
    import serial

    if address.kind != "serial":
        raise LinkError(f"{address}: captures need a serial port, such as serial:/dev/ttyACM0")
    text = CaptureText()
    try:
        with serial.Serial(address.device, address.baud, timeout=POLL_S, write_timeout=1, exclusive=True) as port:
            complete = _listen(port, text, path, seconds, stopped)
            with contextlib.suppress(serial.SerialException):
                port.write(b"off\n")
    except serial.SerialException as error:
        raise LinkError(f"{address}: {error}; the captures written to {path} are complete") from error
    counts = {"captures": text.captures, "incomplete": text.incomplete, "damaged_rows": text.damaged_rows}
    return complete, {"csv": str(path), **counts}


def _listen(port: Any, text: CaptureText, path: Path, seconds: float | None, stopped: Callable[[], bool]) -> bool:
    import serial

    begin = received = time.monotonic()
    requested = -REPEAT_S
    with contextlib.closing(Appender(path, _complete_size)) as file:
        file.start()
        if not file.size:
            file.write(HEADER_LINE + b"\n")
        while not stopped():
            now = time.monotonic()
            if not text.received and now - requested >= REPEAT_S:
                requested = now
                with contextlib.suppress(serial.SerialTimeoutException):
                    port.write(b"csv\n")
            data = port.read(MOST_BYTES)
            ended = text.take(data)
            if data:
                received = now
            elif now - received > QUIET_S:
                ended.append(text.end())
            for capture in filter(None, ended):
                file.write(capture)
                log.info("%s: capture %d", path, text.captures)
            if seconds and now - begin >= seconds:
                return True
    return seconds is None


def _complete_size(descriptor: int, path: Path) -> int:
    """End of the last complete capture of a file. LogError for any other file, which must not be truncated."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    if HEADER_LINE.startswith(data):
        return 0
    first, *others = data.split(b"\n")
    refusal = LogError(f"{path}: not a file of captures ({HEADER_LINE.decode()}, then rows): refusing to append")
    if first.strip() != HEADER_LINE:
        raise refusal
    place = end = rows = 0
    for line in (first, *others[:-1]):  # text after the last newline is an incomplete row
        place += len(line) + 1
        text = line.strip()
        rows = 0 if text in (b"", HEADER_LINE) else rows + 1
        if rows and not _is_row(text):
            raise refusal
        if rows in (0, ROWS):
            rows, end = 0, place
    if end < len(data):
        log.warning("%s: truncated %d bytes of an incomplete capture at its end", path, len(data) - end)
    return end
