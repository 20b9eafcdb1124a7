"""Appends bytes to a file in a thread: a slow card never blocks a link, a power cut loses half a second."""

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
"""Queued bytes are written and synchronised at this interval."""
MAX_WAITING = 64 << 20
"""Most bytes queued for a stalled disk; more is an error."""


class Appender:
    """Appends to a file; creates it and its folder.

    complete_size(descriptor, path): the size at which an existing file is resumed (it is truncated to it); by default
    its end. each_round(last): called by the writing thread after each write. LogError when the file cannot be opened,
    or another program writes it; later from write() and close(), when the disk is full or broken: the data of complete
    write() calls is kept.
    """

    def __init__(
        self,
        path: Path,
        complete_size: Callable[[int, Path], int] = lambda descriptor, path: os.fstat(descriptor).st_size,
        each_round: Callable[[bool], None] = lambda last: None,
    ) -> None:
        self.path, self._each_round = path, each_round
        self.failed: Exception | None = None
        self._queue: list[bytes] = []
        self._queued_size = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        make_folder(path.parent)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise LogError(f"{path}: {_reason(error)}") from error
        try:
            _lock(self._descriptor)
            self.size = complete_size(self._descriptor, path)
            os.ftruncate(self._descriptor, self.size)
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
            _sync_folder(path.parent)
        except (OSError, LogError) as error:
            os.close(self._descriptor)
            raise error if isinstance(error, LogError) else LogError(f"{path}: {_reason(error)}") from error
        self._thread = threading.Thread(target=self._work, name=f"write {path.name}", daemon=True)

    def start(self) -> None:
        """Start the writing thread."""
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Queue bytes; never waits for the disk."""
        if self.failed is not None:
            raise self.error()
        if not data:
            return
        with self._lock:
            if self._queued_size + len(data) > MAX_WAITING:
                raise LogError(f"{self.path}: disk stalled: {self._queued_size} bytes buffered, recording stopped")
            self._queue.append(data)
            self._queued_size += len(data)

    def close(self) -> None:
        """Write the queued bytes and close the file."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._descriptor)
        if self.failed is not None:
            raise self.error()

    def error(self) -> LogError:
        """The failure, with the file's name."""
        return LogError(f"{self.path}: {self.explanation()}")

    def explanation(self) -> str:
        """Why writing failed, and what is kept; empty without a failure."""
        if self.failed is None:
            return ""
        kept = f"writing stopped, the {self.size} bytes written are kept"
        number = self.failed.errno if isinstance(self.failed, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk is full: {kept}. Make room and start again"
        if number == errno.EFBIG:
            return f"the file has reached its largest size (4 GB on a FAT card): {kept}. Start another"
        return f"{_reason(self.failed)}: {kept}"

    def _work(self) -> None:
        """The writing thread: until closed, or until writing fails."""
        try:
            last = False
            while not last:
                last = self._closing
                self._write_queue()
                self._each_round(last)
                if not last:
                    self._wake.wait(SYNC_S)
        except Exception as error:  # any error: write() must report that nothing is written any more
            self.failed = error
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)  # no incomplete record at the end
                os.fsync(self._descriptor)
            with contextlib.suppress(OSError):
                self._each_round(True)

    def _write_queue(self) -> None:
        with self._lock:
            parts, self._queue, self._queued_size = self._queue, [], 0
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self.size += len(part)
        if parts:
            os.fdatasync(self._descriptor)


def _lock(descriptor: int) -> None:
    """Lock the file until it is closed: two writers would overwrite each other."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks: recording is better than refusing


def make_folder(folder: Path) -> None:
    """Create a folder and its parents. LogError when that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise LogError(f"{folder}: is a file, expected a folder") from error
    except OSError as error:
        raise LogError(f"{folder}: {error.strerror}") from error


def new_file(path: Path) -> Path:
    """Create an empty file, which reserves its name: NAME, or NAME_2, NAME_3… when it exists."""
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


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either complete or unchanged, also after a power cut. OSError when that fails."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, BlockingIOError):
        return "another program is writing it"
    return error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"


def _sync_folder(folder: Path) -> None:
    """Make the new file's name survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
