"""Golden vectors: one feed with everything that must come out of it, kept in the bundle.

Arrays: imu_time_us, imu, baro_time_us, baro_altitude_m, baro_before (the feed); input int8[W, T·C],
output int8[W, L]; decision_<field> for each field of a decision; counts (order: pipeline.COUNTERS).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ParityError
from px4_tinyml.signal.classifier import COUNTERS, Classification, Classifier
from px4_tinyml.signal.decision import DECISION, DECISION_FIELDS
from px4_tinyml.signal.golden_arrays import check_arrays
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import Feed

FEED_FIELDS = tuple(field.name for field in dataclasses.fields(Feed))


def make_golden(spec: PipelineSpec, model: bytes, events: Feed) -> dict[str, NDArray[Any]]:
    """Golden vectors of a fitted spec and its model for a feed."""
    done = Classifier.of(spec, model).run(events)
    return {
        **{name: np.asarray(getattr(events, name)) for name in FEED_FIELDS},
        "input": done.inputs,
        "output": done.outputs,
        **{f"decision_{name}": done.decisions[name].copy() for name in DECISION_FIELDS},
        "counts": np.array([done.counts[name] for name in COUNTERS], np.int64),
    }


def read_golden(bundle: ModelBundle) -> tuple[Feed, Classification]:
    """The feed of a bundle's golden vectors and what must come out of it."""
    golden = bundle.golden
    check_arrays(golden, bundle.spec, "golden vectors")
    events = Feed(**{name: golden[name] for name in FEED_FIELDS})
    decisions = np.zeros(len(golden["decision_start_us"]), DECISION)
    for name in DECISION_FIELDS:
        decisions[name] = golden[f"decision_{name}"]
    counts = dict(zip(COUNTERS, golden["counts"].tolist(), strict=True))
    return events, Classification(golden["input"], golden["output"], decisions, counts)


def check_golden(bundle: ModelBundle) -> int:
    """Compute the golden vectors anew in Python; returns their windows. Raises ParityError when anything differs."""
    events, expected = read_golden(bundle)
    again = make_golden(bundle.spec, bundle.model, events)
    different = [name for name in again if not np.array_equal(again[name], bundle.golden[name], equal_nan=True)]
    if different:
        raise ParityError(
            f"the golden vectors do not come out again: {', '.join(different)} differ; "
            "`px4-tinyml replay` shows where, or train again with this version"
        )
    return len(expected)
