"""What the numbers say: verdict, paired comparison with the baseline, commonest error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Metrics, Score
from px4_tinyml.training.metrics import BOOTSTRAP_DRAWS, macro_f1

I64 = NDArray[np.int64]

ENOUGH_FLIGHTS = 6
"""With fewer, winning on every one happens by chance more often than in 2.5 % of the cases (sign test: 2⁻⁵ = 3.1 %)."""


@dataclass(frozen=True)
class Gain:
    """Macro-F1 of int8 minus that of the baseline, with its 95 % interval over the same flights."""

    value: float
    low: float
    high: float
    flights: int

    @property
    def proven(self) -> bool:
        """The interval lies above zero, and there are flights enough for it to mean something."""
        return self.flights >= ENOUGH_FLIGHTS and self.low > 0


def gain_over_baseline(metrics: Metrics) -> Gain:
    """Both models on the same draws of flights, so that a hard flight weighs on both."""
    flights = list(metrics.int8.by_flight)
    network, physics = (
        np.array([score.by_flight[f].confusion for f in flights], np.int64)
        for score in (metrics.int8, metrics.baseline)
    )
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(flights), (BOOTSTRAP_DRAWS, len(flights)))
    gains = [macro_f1(network[d].sum(axis=0)) - macro_f1(physics[d].sum(axis=0)) for d in draws]
    low, high = np.percentile(gains, [2.5, 97.5]).tolist()
    value = metrics.int8.macro_f1 - metrics.baseline.macro_f1
    return Gain(value, low, high, len(flights))


@dataclass(frozen=True)
class Error:
    """count windows of label `truth` (a share of them all) that a model calls `called`."""

    truth: str
    called: str
    count: int
    share: float


def commonest_error(summary: Score, labels: Sequence[str]) -> Error | None:
    """The wrong cell with the largest share of its row; None when nothing is wrong."""
    matrix = np.array(summary.confusion, np.int64)
    wrong = row_shares(matrix) * ~np.eye(len(matrix), dtype=np.bool_)
    t, c = divmod(int(np.argmax(wrong)), len(matrix))
    if matrix[t, c] == 0 or t == c:
        return None
    return Error(labels[t], labels[c], int(matrix[t, c]), float(wrong[t, c]))


def row_shares(matrix: I64) -> NDArray[np.float64]:
    """Counts [truth, called] as shares of each row; zero for a row without windows."""
    return np.asarray(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
