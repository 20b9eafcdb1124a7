"""Step 5 of the signal path: window probabilities become decisions, in integers (docs/signal_path.md).

core/DecisionFilter.hpp is the same in C++.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import I8, U64, Bool
from px4_tinyml.signal.spec import MAX_LABELS, PipelineSpec

UNCERTAIN = -1
UNCERTAIN_NAME = "uncertain"
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


def class_name(decision: np.void, spec: PipelineSpec) -> str:
    """Label of a decision's class, or "uncertain"."""
    index = int(decision["class_index"])
    return UNCERTAIN_NAME if index == UNCERTAIN else spec.labels[index]


def probabilities(decision: np.void, spec: PipelineSpec) -> dict[str, float]:
    """Smoothed probability by label, 0…1."""
    return {label: int(p) / 256 for label, p in zip(spec.labels, decision["probability"], strict=False)}


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
        """Forget all: the next decision is a first one."""
        self.smoothed: list[int] = []
        """Smoothed probabilities, 65536 for 1."""
        self._class = UNCERTAIN
        self._age = 0

    def update(self, output: Sequence[int], baro_stale: bool, start_us: int = 0, end_us: int = 0) -> np.void:
        """Decision (dtype DECISION) for the model's int8 output (scale 1/256, zero point −128) of a window."""
        flags = (Flag.BARO_STALE if baro_stale else Flag(0)) | (Flag(0) if self.smoothed else Flag.FIRST)
        fresh = [(int(value) + 128) * 256 for value in output]
        # >> rounds down, also for negative numbers, as the contract requires.
        old = self.smoothed or fresh
        self.smoothed = [s + ((p - s) * self._alpha_q8 >> 8) for s, p in zip(old, fresh, strict=True)]
        best = max(range(len(fresh)), key=self.smoothed.__getitem__)
        self._step(best)
        reported = best if self._class == UNCERTAIN else self._class
        flags |= Flag.UNCERTAIN if self._class == UNCERTAIN else Flag(0)
        decision = np.zeros(1, DECISION)
        decision["start_us"], decision["end_us"], decision["label_count"] = start_us, end_us, len(fresh)
        decision["class_index"], decision["confidence_q16"] = self._class, self.smoothed[reported]
        decision["flags"] = int(flags)
        decision["probability"][0, : len(fresh)] = np.array(self.smoothed) >> 8
        row: np.void = decision[0]
        return row

    def _step(self, best: int) -> None:
        if self._class == UNCERTAIN:
            if self.smoothed[best] >= self._enter:
                self._class, self._age = best, 0
            return
        self._age += 1
        if self._age < self._hold:
            return
        if best != self._class and self.smoothed[best] >= self._enter:
            self._class, self._age = best, 0
        elif self.smoothed[self._class] < self._leave:
            self._class = UNCERTAIN


def decide(
    output: I8, baro_stale: Bool, segment: NDArray[np.int64], start_us: U64, end_us: U64, spec: PipelineSpec
) -> NDArray[np.void]:
    """Decisions (dtype DECISION) for windows in order; the filter is reset where `segment` changes."""
    decisions = np.zeros(len(output), DECISION)
    decision_filter = DecisionFilter(spec)
    for i, row in enumerate(output.tolist()):
        if i and segment[i] != segment[i - 1]:
            decision_filter.reset()
        decisions[i] = decision_filter.update(row, bool(baro_stale[i]), int(start_us[i]), int(end_us[i]))
    return decisions
