"""Long work: progress bars on stderr, where it is a terminal, and requests to stop (SIGINT, SIGTERM)."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

disabled = False
"""No bars at all (--quiet)."""


def progress(items: Iterable[T], what: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Iterate over items with a bar."""
    yield from bar(items, desc=what, total=total, unit=unit)


def bar(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """A tqdm bar on stderr: none where that is not a terminal, removed at its end."""
    return tqdm(items, file=sys.stderr, disable=disabled or None, leave=False, **options)


@contextlib.contextmanager
def progress_of(total: float, what: str, unit: str) -> Iterator[Callable[[float], None]]:
    """A bar with an estimate of the time left; the yielded function is given the completed part of the total."""
    shape = "{desc}: {percentage:3.0f} %|{bar}| {n:.0f} of {total:.0f} {unit}, {elapsed} gone, {remaining} left"
    with bar(total=total, desc=what, unit=unit, bar_format=shape) as shown:
        yield lambda completed: shown.update(min(max(completed, shown.n), total) - shown.n)


@contextlib.contextmanager
def stop_requests(*signals: signal.Signals) -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether one of the signals (default: SIGINT, SIGTERM) was received.

    Open files are closed in order, and no KeyboardInterrupt is lost in a library's native code. A second SIGINT raises
    KeyboardInterrupt at once. In other threads than the main one, signals are left alone.
    """
    received: list[int] = []

    def handler(number: int, _: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, handler) for n in signals or (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
