"""Bytes to a file by a thread of its own: a slow card never keeps a link waiting, a power cut costs half a second."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from px4_tinyml.errors import LogError

SYNC_S = 0.5
"""Bytes wait this long at most before they are written and synchronised."""
MAX_WAITING = 64 << 20
"""Bytes kept in memory for a disk that does not take them; more is an error."""


class Appender:
    """Appends to a file, made with its folder when it is not there.

    sound_size(descriptor): where to go on in a file that is there (what lies behind is cut off); without it at its
    end. LogError when it cannot be opened, or another program writes it; later from write() and close(), when the
    disk is full or broken: whatever was written before by whole write() calls is kept.
    """

    def __init__(self, path: Path, sound_size: Callable[[int], int] | None = None) -> None:
        self.path = path
        self.failed: Exception | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = self._closed = False
        make_folder(path.parent)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise LogError(f"{path}: {_reason(error)}") from error
        try:
            _lock(self._descriptor)
            self.size = sound_size(self._descriptor) if sound_size else os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, self.size)
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
            _sync_folder(path.parent)
        except (OSError, LogError) as error:
            os.close(self._descriptor)
            raise error if isinstance(error, LogError) else LogError(f"{path}: {_reason(error)}") from error
        self._thread = threading.Thread(target=self._work, name=f"write {path.name}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Take bytes; never waits for the disk."""
        if self.failed is not None:
            raise self.refusal()
        if not data:
            return
        with self._lock:
            if self._waiting_size + len(data) > MAX_WAITING:
                raise LogError(f"{self.path}: the disk has taken nothing for too long; {self._waiting_size} bytes wait")
            self._waiting.append(data)
            self._waiting_size += len(data)

    def close(self) -> None:
        """Write what is left."""
        if self._closed:
            return
        self._closing = self._closed = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._descriptor)
        if self.failed is not None:
            raise self.refusal()

    def refusal(self) -> LogError:
        """What went wrong, with the file's name."""
        return LogError(f"{self.path}: {self.explanation()}")

    def explanation(self) -> str:
        """What went wrong, and what is kept."""
        if self.failed is None:
            return ""
        kept = f"writing stopped, the {self.size} bytes written are kept"
        number = self.failed.errno if isinstance(self.failed, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk is full: {kept}. Make room and start again"
        if number == errno.EFBIG:
            return f"the file can grow no further (4 GB on a FAT card): {kept}. Start another"
        return f"{_reason(self.failed)}: {kept}"

    def each_round(self, last: bool) -> None:
        """Called by the thread after it has written (a recording brings its sidecar up to date)."""

    def _work(self) -> None:
        """The writing thread: until closed, or until the disk refuses."""
        try:
            last = False
            while not last:
                last = self._closing
                self._write_waiting()
                self.each_round(last)
                if not last:
                    self._wake.wait(SYNC_S)
        except Exception as error:  # whatever it is, write() must say that nothing is written any more
            self.failed = error
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)  # no half record at the end
                os.fsync(self._descriptor)
            with contextlib.suppress(OSError):
                self.each_round(True)

    def _write_waiting(self) -> None:
        with self._lock:
            parts, self._waiting, self._waiting_size = self._waiting, [], 0
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self.size += len(part)
        if parts:
            os.fdatasync(self._descriptor)


def _lock(descriptor: int) -> None:
    """Until it is closed nobody else may write here: what two write lies on top of each other."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks: better recorded than refused


def make_folder(folder: Path) -> None:
    """Make it, with those above it. LogError when that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise LogError(f"{folder}: a file, a folder expected") from error
    except OSError as error:
        raise LogError(f"{folder}: {error.strerror}") from error


def new_file(path: Path) -> Path:
    """An empty file, made now, so that the name is nobody else's: NAME, or NAME_2, NAME_3… when it is taken."""
    make_folder(path.parent)
    free, number = path, 1
    while True:
        try:
            os.close(os.open(free, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            return free
        except FileExistsError:
            number += 1
            free = path.with_name(f"{path.stem}_{number}{path.suffix}")
        except OSError as error:
            raise LogError(f"{free}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, BlockingIOError):
        return "another program writes it"
    return error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"


def _sync_folder(folder: Path) -> None:
    """Make sure that the new file's name survives a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
