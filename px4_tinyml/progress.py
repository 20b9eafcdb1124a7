"""Progress bars on stderr, only on a terminal."""

from __future__ import annotations

import contextlib
import sys
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
    """A bar with an estimate of the time left; call the yielded function with how much of the total is done."""
    shape = "{desc}: {percentage:3.0f} %|{bar}| {n:.0f} of {total:.0f} {unit}, {elapsed} gone, {remaining} left"
    with tqdm(
        total=total, desc=what, unit=unit, file=sys.stderr, disable=None, leave=False, bar_format=shape
    ) as bar:  # fmt: skip

        def show(done: float) -> None:
            bar.update(min(max(done, bar.n), total) - bar.n)

        yield show
