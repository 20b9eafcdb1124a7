"""How benchmarks of readers measure time."""

from __future__ import annotations

import time
from collections.abc import Callable


def fastest_s(work: Callable[[], object], repeat: int) -> float:
    """Least CPU time of some runs."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)
