"""Decisions of one log or link in figures, added one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np

from px4_tinyml.signal.decision import UNCERTAIN, class_name
from px4_tinyml.signal.decision_values import edr_of, reason_words
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.windows import MAKES_UNCERTAIN


class Tally:
    """windows: by class and "uncertain". edr_m23_s: the largest EDR of turbulence, m^⅔/s; None without."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec = spec
        self._reasons: Counter[str] = Counter()
        self.windows: Counter[str] = Counter()
        self.edr_m23_s: float | None = None

    def add(self, decision: np.void) -> None:
        """Add a decision."""
        name = class_name(decision, self._spec)
        self.windows[name] += 1
        if self._spec.input == "samples":
            return
        if decision["class_index"] == UNCERTAIN:
            self._reasons.update(reason_words(int(decision["reasons"]) & MAKES_UNCERTAIN))
        edr = edr_of(decision)
        if name == TURBULENCE_LABEL and edr is not None:
            self.edr_m23_s = max(edr, self.edr_m23_s or 0.0)

    @property
    def seconds(self) -> dict[str, float]:
        """By class and "uncertain", each window as one hop; classes that did not occur are left out."""
        return self._in_seconds(self.windows)

    @property
    def uncertain_seconds(self) -> dict[str, float]:
        """By reason, the most frequent first; a window may have several. Empty for a `samples` spec."""
        return self._in_seconds(dict(self._reasons.most_common()))

    def _in_seconds(self, windows: dict[str, int]) -> dict[str, float]:
        hop_s = self._spec.hop / self._spec.rate_hz
        return {name: round(count * hop_s, 3) for name, count in windows.items()}
