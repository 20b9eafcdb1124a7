"""Long work: progress bars on stderr (only on a terminal), and Ctrl-C that libraries do not swallow."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Iterate over items with a progress bar."""
    bar: Iterable[T] = tqdm(items, desc=what, total=total, unit=unit, file=sys.stderr, disable=None, leave=False)
    yield from bar


@contextlib.contextmanager
def progress_of(total: float, what: str, unit: str) -> Iterator[Callable[[float], None]]:
    """A bar with an estimate of the time left; the yielded function is given how much of the total is done."""
    shape = "{desc}: {percentage:3.0f} %|{bar}| {n:.0f} of {total:.0f} {unit}, {elapsed} gone, {remaining} left"
    with tqdm(
        total=total, desc=what, unit=unit, file=sys.stderr, disable=None, leave=False, bar_format=shape
    ) as bar:  # fmt: skip

        def show(done: float) -> None:
            bar.update(min(max(done, bar.n), total) - bar.n)

        yield show


@contextlib.contextmanager
def interrupt_between_steps() -> Iterator[Callable[[], None]]:
    """Defer Ctrl-C to the next call of the yielded function; a second Ctrl-C raises at once.

    Native code of a library sometimes swallows a KeyboardInterrupt raised in the middle of it.
    """
    noted = threading.Event()

    def handler(signum: int, frame: object) -> None:
        if noted.is_set():
            raise KeyboardInterrupt
        noted.set()

    def check() -> None:
        if noted.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
