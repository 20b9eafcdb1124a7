"""Output that keeps no link waiting: a terminal may be paused and a reader stuck, for hours."""

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
from typing import TextIO

WAITING_LINES = 1000
"""Lines kept for a reader that is slow: some minutes of `live --json`."""
END_S = 1.0
"""How long a reader may take over the last of them."""


class Unhurried(io.TextIOBase):
    """A stream whose lines a thread of its own writes. dropped: lines without room. gone: its reader has left."""

    def __init__(self, stream: TextIO) -> None:
        self.dropped = 0
        self.gone = False
        self._fd, self._encoding, self._terminal = stream.fileno(), stream.encoding or "utf-8", stream.isatty()
        self._line = ""
        self._lock = threading.Lock()
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING_LINES)
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="output", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether all of it has been taken."""
        return not self._waiting.unfinished_tasks

    def isatty(self) -> bool:
        return self._terminal

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> int:
        with self._lock:
            self._line += text
        if text.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Hand over what there is; it is not waited for."""
        with self._lock:
            line, self._line = self._line, ""
            if line and not self.gone:
                try:
                    self._waiting.put_nowait(line.encode(self._encoding, "backslashreplace"))
                except queue.Full:
                    self.dropped += 1

    def end(self) -> None:
        """Wait a little until all is read."""
        self.flush()
        self._ending = True
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(b"")  # the thread may be waiting for a line
        self._thread.join(END_S)

    def _work(self) -> None:
        try:
            while not (self._ending and self._waiting.empty()):
                rest = memoryview(self._waiting.get())
                while rest:
                    # Whoever gave us the descriptor may have made it one that does not wait.
                    select.select([], [self._fd], [])
                    with contextlib.suppress(BlockingIOError):
                        rest = rest[os.write(self._fd, rest) :]
                self._waiting.task_done()
        except OSError:
            self.gone = True


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Standard output, standard error and the log are Unhurried meanwhile (where they are files at all)."""
    before = sys.stdout, sys.stderr
    made: list[Unhurried] = []
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        with contextlib.suppress(OSError):  # a stand-in without descriptor
            made.append(Unhurried(stream))
            setattr(sys, name, made[-1])
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is before[1]
    ]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(before[1])
        sys.stdout, sys.stderr = before
        for stream in made:
            stream.end()


def draw(line: str) -> None:
    """The terminal's last line anew, passed over while the terminal does not take what came before."""
    if getattr(sys.stderr, "idle", True):
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
