"""Golden vectors: one feed, and every value that the signal path and the model must give for it. Part of the bundle.

Arrays: imu_time_us, imu, baro_time_us, baro_altitude_m, baro_before, for `bands` specs on_ground (the feed);
input int8[W, T·C], output int8[W, L]; decision_<field> for each field of a decision; counts (order:
classifier.COUNTERS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import ParityError
from px4_tinyml.signal.classifier import COUNTERS, Classification, Classifier
from px4_tinyml.signal.golden_arrays import check_arrays, decision_kind, feed_fields
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PipelineSpec


def make_golden(classifier: Classifier, events: Feed) -> dict[str, NDArray[Any]]:
    """Golden vectors of a classifier for a feed."""
    spec, result = classifier.spec, classifier.run(events)
    return {
        **{name: np.asarray(getattr(events, name)) for name in feed_fields(spec)},
        "input": result.inputs,
        "output": result.outputs,
        **{f"decision_{name}": result.decisions[name].copy() for name in decision_kind(spec)[1]},
        "counts": np.array([result.counts[name] for name in COUNTERS], np.int64),
    }


def read_golden(golden: Mapping[str, NDArray[Any]], spec: PipelineSpec) -> tuple[Feed, Classification]:
    """The feed of golden vectors and the classification expected of it. ConversionError for damaged arrays."""
    check_arrays(golden, spec, "golden vectors")
    events = Feed(**{name: golden[name] for name in feed_fields(spec)})
    kind, names = decision_kind(spec)
    decisions = np.zeros(len(golden["decision_start_us"]), kind)
    for name in names:
        decisions[name] = golden[f"decision_{name}"]
    counts = dict(zip(COUNTERS, golden["counts"].tolist(), strict=True))
    return events, Classification(golden["input"], golden["output"], decisions, counts)


def check_golden(golden: Mapping[str, NDArray[Any]], classifier: Classifier) -> int:
    """Recompute golden vectors; returns the number of windows. Raises ParityError when anything differs."""
    events, expected = read_golden(golden, classifier.spec)
    again = make_golden(classifier, events)
    different = [name for name in again if not np.array_equal(again[name], golden[name], equal_nan=True)]
    if different:
        raise ParityError(
            f"golden vector mismatch in {', '.join(different)}; "
            "`px4-tinyml replay` shows where, or train again with this version"
        )
    return len(expected)
