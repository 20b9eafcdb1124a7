"""A decision in the data of DEBUG_FLOAT_ARRAY: sent by the PX4 module, the sensor node and `live` (docs/live.md)."""

from __future__ import annotations

from px4_tinyml.signal.decision import ONE_Q16
from px4_tinyml.signal.spec import MAX_LABELS, PipelineSpec
from px4_tinyml.signal.streaming import Decided

ARRAY_ID = 77
ARRAY_SIZE = 58
CLASS, CONFIDENCE, FLAGS, SPEC_HASH24, SPENT_US, PROBABILITIES = 0, 1, 2, 3, 4, 8
"""Indices of the values in the array; PROBABILITIES: of the first class."""


def report_array(decided: Decided, spec: PipelineSpec) -> list[float]:
    """Data of DEBUG_FLOAT_ARRAY for a decision; places without a meaning are zero."""
    decision = decided.decision
    data = [0.0] * ARRAY_SIZE
    data[CLASS], data[CONFIDENCE] = float(decision["class_index"]), int(decision["confidence_q16"]) / ONE_Q16
    data[FLAGS], data[SPEC_HASH24] = float(decision["flags"]), float(spec.hash24)
    data[SPENT_US] = float(decided.spent_us)
    data[PROBABILITIES : PROBABILITIES + MAX_LABELS] = [p / 256 for p in decision["probability"].tolist()]
    return data
