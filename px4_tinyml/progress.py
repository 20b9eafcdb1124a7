"""Progress bars on stderr, silent where nobody looks (not a terminal)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Go through items, showing how far it is."""
    bar: Iterable[T] = tqdm(items, desc=what, total=total, unit=unit, file=sys.stderr, disable=None, leave=False)
    yield from bar
