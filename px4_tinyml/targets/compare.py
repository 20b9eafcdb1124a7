"""Compares two classifications of one feed value by value, and explains the first difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import I8, U64, Bool
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decision import DECISION, DECISION_FIELDS, ONE_Q16
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import US_PER_S


@dataclass(frozen=True)
class Comparison:
    """Differences of two targets on one feed.

    windows: of the target with more of them. mismatches: windows with any difference or that only one target has; 1
    where only the counts (sparse windows, resets) differ. input_values, output_values: int8 values that differ.
    decisions: decisions with a differing field. first: explains the first difference, "" without one.
    """

    windows: int
    mismatches: int
    input_values: int
    output_values: int
    decisions: int
    first: str


def reported_decisions(end_us: U64, values: Mapping[str, NDArray[Any]], spec: PipelineSpec) -> NDArray[np.void]:
    """Decisions (dtype DECISION) as a target reported them.

    values: class_index[N], flags[N], confidence[N] and probabilities[N, MAX_LABELS], the last two as floats. Exact:
    they are multiples of powers of two.
    """
    decisions = np.zeros(len(end_us), DECISION)
    end_slots = [spec.slot_of(int(end)) for end in end_us]
    decisions["start_us"] = [spec.slot_start_us(slot - spec.window) for slot in end_slots]
    decisions["end_us"] = end_us
    decisions["class_index"], decisions["flags"] = values["class_index"], values["flags"]
    decisions["confidence_q16"] = values["confidence"] * ONE_Q16
    decisions["probability"] = values["probabilities"] * 256
    decisions["label_count"] = len(spec.labels)
    return decisions


def compare(names: tuple[str, str], a: Classification, b: Classification, spec: PipelineSpec) -> Comparison:
    """Compare window by window, in order. names: of the two, for the explanation."""
    both = min(len(a), len(b))
    inputs, outputs = _unequal(a.inputs, b.inputs, both), _unequal(a.outputs, b.outputs, both)
    fields = {name: _differs(a.decisions[name][:both], b.decisions[name][:both]) for name in DECISION_FIELDS}
    decisions = np.logical_or.reduce(list(fields.values()))
    differs = inputs.any(axis=1) | outputs.any(axis=1) | decisions
    windows = max(len(a), len(b))
    mismatches = int(differs.sum()) + windows - both
    if mismatches == 0 and _counts_differ(a, b):
        mismatches = 1
    return Comparison(
        windows=windows,
        mismatches=mismatches,
        input_values=int(inputs.sum()),
        output_values=int(outputs.sum()),
        decisions=int(decisions.sum()),
        first=_explain(names, a, b, spec, differs) if mismatches else "",
    )


def _unequal(a: I8, b: I8, both: int) -> Bool:
    """bool[both, size]: int8 values that differ; size is 0 for a target that reports decisions only (arduino, px4)."""
    if a.shape[1] == 0 or b.shape[1] == 0:
        return np.zeros((both, 0), np.bool_)
    return np.asarray(a[:both] != b[:both], np.bool_)


def _counts_differ(a: Classification, b: Classification) -> list[str]:
    return [key for key in a.counts if key in b.counts and a.counts[key] != b.counts[key]]


def _differs(a: NDArray[np.generic], b: NDArray[np.generic]) -> Bool:
    different = a != b
    return np.asarray(different.any(axis=tuple(range(1, different.ndim))), np.bool_)


def _explain(names: tuple[str, str], a: Classification, b: Classification, spec: PipelineSpec, differs: Bool) -> str:
    first, second = names
    if not differs.any():
        counts = [f"{key} {a.counts[key]} in {first}, {b.counts[key]} in {second}" for key in _counts_differ(a, b)]
        return "the windows of both are the same, the counts are not: " + "; ".join(counts)
    w = int(np.argmax(differs))
    start_us = [int(side.decisions["start_us"][w]) for side in (a, b)]
    where = f"window {w} ({start_us[0] / US_PER_S:.6f} s)"
    if start_us[0] != start_us[1]:
        return f"{where}: starts at {start_us[0]} µs in {first}, {start_us[1]} µs in {second}"
    if _unequal(a.inputs, b.inputs, w + 1)[w].any():
        return f"{where}: {_input(names, a, b, spec, w)}"
    if _unequal(a.outputs, b.outputs, w + 1)[w].any():
        pairs = f"{first} {a.outputs[w].tolist()}, {second} {b.outputs[w].tolist()}"
        return f"{where}: the inputs are the same, the int8 outputs ({', '.join(spec.labels)}) are not: {pairs}"
    fields = [
        f"{name} {a.decisions[name][w].tolist()} in {first}, {b.decisions[name][w].tolist()} in {second}"
        for name in DECISION_FIELDS
        if (a.decisions[name][w] != b.decisions[name][w]).any()
    ]
    return f"{where}: inputs and outputs are the same, the decision is not: {'; '.join(fields)}"


def _input(names: tuple[str, str], a: Classification, b: Classification, spec: PipelineSpec, w: int) -> str:
    at = np.flatnonzero(a.inputs[w] != b.inputs[w])
    slot, channel = divmod(int(at[0]), len(spec.channels))
    slot_us = spec.slot_start_us(spec.slot_of(int(a.decisions["start_us"][w])) + slot)
    return (
        f"{len(at)} of {a.inputs.shape[1]} int8 inputs differ, first in slot {slot} ({slot_us} µs), "
        f"channel {spec.channels[channel]}: {names[0]} {a.inputs[w, at[0]]}, {names[1]} {b.inputs[w, at[0]]}"
    )
