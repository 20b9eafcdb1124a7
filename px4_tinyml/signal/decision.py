"""Step 5 of the signal path: window probabilities become decisions, in integers (docs/signal_path.md).

core/DecisionFilter.hpp is the same in C++.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import I8, U64, Bool
from px4_tinyml.signal.spec import MAX_LABELS, PipelineSpec

UNCERTAIN = -1
ONE_Q16 = 65536

DECISION = np.dtype(
    [
        ("start_us", "<u8"),
        ("end_us", "<u8"),
        ("confidence_q16", "<u4"),
        ("class_index", "i1"),
        ("flags", "u1"),
        ("label_count", "u1"),
        ("probability", "u1", (MAX_LABELS,)),
        ("padding", "V1"),
    ]
)
"""One decision, as core/Decision.hpp lays it out in memory. probability: smoothed, in 1/256."""

DECISION_FIELDS = tuple(name for name in DECISION.names or () if name != "padding")


class Flag(IntFlag):
    """Bits of a decision's flags."""

    BARO_STALE = 1
    UNCERTAIN = 2
    FIRST = 4


@dataclass(frozen=True)
class Verdict:
    """One decision without its times; smoothed has 65536 for 1."""

    class_index: int
    confidence_q16: int
    flags: Flag
    smoothed: tuple[int, ...]


class DecisionFilter:
    """Smoothing, thresholds with hysteresis and a minimum hold; one window at a time."""

    def __init__(self, spec: PipelineSpec) -> None:
        decision = spec.decision
        self._alpha_q8 = decision.smoothing_q8
        self._enter = decision.threshold_q16(decision.enter)
        self._leave = decision.threshold_q16(decision.leave)
        self._hold = decision.hold_windows
        self.reset()

    def reset(self) -> None:
        """Start anew: the next decision is a first one."""
        self._smoothed: list[int] = []
        self._class = UNCERTAIN
        self._age = 0

    def update(self, output: Sequence[int], baro_stale: bool) -> Verdict:
        """Take the model's int8 output (scale 1/256, zero point −128)."""
        first = not self._smoothed
        fresh = [(int(value) + 128) * 256 for value in output]
        if first:
            self._smoothed = fresh
        else:
            # >> rounds down, also for negative numbers, as the contract says.
            old = self._smoothed
            self._smoothed = [s + ((p - s) * self._alpha_q8 >> 8) for s, p in zip(old, fresh, strict=True)]
        best = max(range(len(fresh)), key=self._smoothed.__getitem__)
        self._step(best)
        told = best if self._class == UNCERTAIN else self._class
        flags = Flag(0)
        if baro_stale:
            flags |= Flag.BARO_STALE
        if self._class == UNCERTAIN:
            flags |= Flag.UNCERTAIN
        if first:
            flags |= Flag.FIRST
        return Verdict(self._class, self._smoothed[told], flags, tuple(self._smoothed))

    def _step(self, best: int) -> None:
        if self._class == UNCERTAIN:
            if self._smoothed[best] >= self._enter:
                self._class, self._age = best, 0
            return
        self._age += 1
        if self._age < self._hold:
            return
        if best != self._class and self._smoothed[best] >= self._enter:
            self._class, self._age = best, 0
        elif self._smoothed[self._class] < self._leave:
            self._class = UNCERTAIN


def decide(
    output: I8, baro_stale: Bool, segment: NDArray[np.int64], start_us: U64, end_us: U64, spec: PipelineSpec
) -> NDArray[np.void]:
    """Decisions (dtype DECISION) for windows in order; the filter starts anew where `segment` changes."""
    decisions = np.zeros(len(output), DECISION)
    decisions["start_us"], decisions["end_us"], decisions["label_count"] = start_us, end_us, len(spec.labels)
    decision_filter = DecisionFilter(spec)
    for i, row in enumerate(output.tolist()):
        if i and segment[i] != segment[i - 1]:
            decision_filter.reset()
        verdict = decision_filter.update(row, bool(baro_stale[i]))
        decisions["class_index"][i] = verdict.class_index
        decisions["confidence_q16"][i] = verdict.confidence_q16
        decisions["flags"][i] = int(verdict.flags)
        decisions["probability"][i, : len(row)] = np.array(verdict.smoothed) >> 8
    return decisions
