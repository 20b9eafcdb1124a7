"""Output that never blocks a live link: a terminal may be paused (Ctrl-S), a pipe full, for hours."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import queue
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any

MAX_LINES = 1000
"""Lines held for a slow reader: some minutes of `live --json`."""
END_S = 1.0
"""Time that a reader has for the last of them."""
_LONGEST_LINE = 1 << 20


class NonBlockingStream(io.RawIOBase):
    """Writes to a descriptor in a thread of its own. When the queue is full, new lines are dropped and counted."""

    def __init__(self, descriptor: int) -> None:
        self.dropped = 0
        self.reader_closed = False
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(MAX_LINES)
        self._thread = threading.Thread(target=self._write_lines, name="output", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether all lines are written."""
        return not self._lines.unfinished_tasks

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Queue a line; never waits."""
        if not self.reader_closed:
            try:
                self._lines.put_nowait(bytes(data))
            except queue.Full:
                self.dropped += 1
        return len(data)

    def finish(self) -> None:
        """Wait until all lines are written, at most END_S."""
        with contextlib.suppress(queue.Full):
            self._lines.put(b"", timeout=END_S)
        self._thread.join(END_S)

    def _write_lines(self) -> None:
        try:
            while rest := memoryview(self._lines.get()):
                while rest:
                    # Another process may have made the descriptor non-blocking.
                    select.select([], [self._descriptor], [])
                    with contextlib.suppress(BlockingIOError):
                        rest = rest[os.write(self._descriptor, rest) :]
                self._lines.task_done()
        except OSError:
            self.reader_closed = True


@contextlib.contextmanager
def non_blocking_output() -> Iterator[NonBlockingStream | None]:
    """sys.stdout, sys.stderr and the log become non-blocking. Yields standard output, None if it is no file."""
    before = sys.stdout, sys.stderr
    streams: dict[str, NonBlockingStream] = {}
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        with contextlib.suppress(OSError):  # a replacement without descriptor
            streams[name] = NonBlockingStream(stream.fileno())
            # A buffer that is larger than a line: the queue holds whole lines.
            buffer = io.BufferedWriter(streams[name], _LONGEST_LINE)
            setattr(sys, name, io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=True))
    handlers = [h for h in logging.getLogger().handlers if getattr(h, "stream", None) is before[1]]
    for handler in handlers:
        handler.setStream(sys.stderr)  # type: ignore[attr-defined]
    try:
        yield streams.get("stdout")
    finally:
        for handler in handlers:
            handler.setStream(before[1])  # type: ignore[attr-defined]
        for text in (sys.stdout, sys.stderr):
            text.flush()
        sys.stdout, sys.stderr = before
        for output in streams.values():
            output.finish()


class StatusLine:
    """The last line of a terminal, on standard error; nothing elsewhere and with --quiet.

    Create it within non_blocking_output(), if that is used. Lines of the log replace it.
    """

    def __init__(self, quiet: bool) -> None:
        self.shown = sys.stderr.isatty() and not quiet
        if self.shown:
            for handler in logging.getLogger().handlers:
                handler.addFilter(self._clear_before)

    def draw(self, line: str) -> None:
        """Replace the line; skipped while the terminal does not accept what was written before."""
        raw = getattr(getattr(sys.stderr, "buffer", None), "raw", None)
        if self.shown and getattr(raw, "idle", True):
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line."""
        self.draw("")

    def _clear_before(self, record: logging.LogRecord) -> bool:
        self.clear()
        return True
