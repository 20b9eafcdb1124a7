"""Confusion, macro-F1 and accuracy, by class and by flight, with intervals over flights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import FlightScore, Score

I64 = NDArray[np.int64]
BOOTSTRAP_DRAWS = 1000


def confusion_matrix(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> I64:
    """Counts [truth, predicted]."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def f1_by_class(matrix: I64) -> NDArray[np.float64]:
    """F1 of each class; NaN for a class that is neither true nor predicted."""
    hit = np.diagonal(matrix, axis1=-2, axis2=-1).astype(np.float64)
    total = (matrix.sum(axis=-1) + matrix.sum(axis=-2)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(2.0 * hit / np.where(total > 0, total, np.nan))


def macro_f1(matrix: I64) -> float:
    """Mean F1 over the classes that occur in the truth (a class without truth cannot be scored)."""
    present = matrix.sum(axis=1) > 0
    return float(f1_by_class(matrix)[present].mean()) if present.any() else 0.0


def summarize(
    truth: NDArray[Any], predicted: NDArray[Any], log_id: NDArray[Any], labels: Sequence[str], sources: Sequence[str]
) -> Score:
    """Score of one model. truth[W], predicted[W]: label indices; log_id[W]: index into sources.

    The interval is the 2.5…97.5 % range of macro-F1 when flights (not windows) are drawn with replacement.
    """
    flights = np.unique(log_id)
    each = np.array([confusion_matrix(truth[log_id == f], predicted[log_id == f], len(labels)) for f in flights])
    matrix = each.sum(axis=0)
    draws = np.random.default_rng(0).integers(0, len(flights), (BOOTSTRAP_DRAWS, len(flights)))
    low, high = np.percentile([macro_f1(each[draw].sum(axis=0)) for draw in draws], [2.5, 97.5]).tolist()
    present = matrix.sum(axis=1) > 0
    by_class = dict(zip(labels, f1_by_class(matrix).tolist(), strict=True))
    return Score(
        *_score(matrix),
        macro_f1_interval=(low, high),
        f1={name: by_class[name] if ok else None for name, ok in zip(labels, present, strict=True)},
        by_flight={sources[f]: FlightScore(*_score(m)) for f, m in zip(flights.tolist(), each, strict=True)},
    )


def _score(matrix: I64) -> tuple[int, float, float, list[list[int]]]:
    return int(matrix.sum()), float(np.trace(matrix) / matrix.sum()), macro_f1(matrix), matrix.tolist()
