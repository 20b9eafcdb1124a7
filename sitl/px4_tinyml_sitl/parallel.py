"""Flights in parallel processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from px4_tinyml.progress import progress

Request = TypeVar("Request")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Request], Result], requests: Sequence[Request], jobs: int | None, unit: str
) -> Iterator[Result]:
    """Results in the order of the requests. jobs: processes, None for one a core. unit: of the progress bar.

    More than one job spawns processes: call this under `if __name__ == "__main__":` in a script.
    """
    jobs = min(len(requests), jobs or os.cpu_count() or 1)
    # spawn, not fork: the caller may have threads (TensorFlow starts some).
    with contextlib.nullcontext() if jobs == 1 else multiprocessing.get_context("spawn").Pool(jobs) as pool:
        results = map(work, requests) if pool is None else pool.imap(work, requests)
        yield from progress(results, "fly", total=len(requests), unit=unit)
