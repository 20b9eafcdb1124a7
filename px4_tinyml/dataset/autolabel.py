"""Labels for slots and windows, from references that are not the IMU.

climb and descend come from vertical speed with hysteresis, turbulence from the simulator's true eddy
dissipation rate, and a person's spans go before both. Where a slot cannot be labelled, a reason is kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import DatasetError
from px4_tinyml.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.types import I32, U64, Bool, FlightLog, LabelSpan, ReferenceSeries

CLIMB_ENTER_M_S = 0.5
CLIMB_LEAVE_M_S = 0.3
TURBULENT_EDR = 0.20
CALM_EDR = 0.10
REFERENCE_MAX_AGE_US = 600_000
AGREEMENT = 0.80
EXCLUDE = "exclude"
"""A span with this label takes its time out of the data set."""

BETWEEN = -1
REASONS = ("between", "on_ground", "no_reference", "unlabelled", "excluded")
"""Codes -1, -2, … of a slot without a label; `between`: EDR between calm and turbulent."""
MIXED = "mixed"
SPARSE = "sparse"


@dataclass(frozen=True)
class WindowLabels:
    """y[W]: label index, BETWEEN, or -2 for a dropped window; dropped: how many and why."""

    y: I32
    dropped: Counter[str]


def _code(reason: str) -> int:
    return -1 - REASONS.index(reason)


def label_slots(log: FlightLog, time_us: U64, spec: PipelineSpec, spans: tuple[LabelSpan, ...] = ()) -> I32:
    """Label index of each slot (by its middle, time_us[S]), or the negative code of a reason."""
    labels = np.full(len(time_us), _code("unlabelled"), np.int32)
    if log.reference is not None and len(log.reference):
        labels = _from_reference(log.reference, time_us, spec)
    elif not spans and not log.labels:
        labels[:] = _code("no_reference")
    for span in (*log.labels, *spans):
        inside = (time_us >= span.start_us) & (time_us < span.end_us)
        if span.label == EXCLUDE:
            labels[inside] = _code("excluded")
        elif span.label in spec.labels:
            labels[inside] = spec.labels.index(span.label)
        else:
            raise DatasetError(
                f"{log.source}: label {span.label!r} is not one of the spec's ({', '.join(spec.labels)}); "
                "add it to `labels` in pipeline.toml"
            )
    return labels


def _from_reference(reference: ReferenceSeries, time_us: U64, spec: PipelineSpec) -> I32:
    order = np.argsort(reference.timestamp_us, kind="stable")
    at = np.searchsorted(reference.timestamp_us[order], time_us, side="right") - 1
    row = order[np.maximum(at, 0)]
    age = time_us.astype(np.int64) - reference.timestamp_us[row].astype(np.int64)
    known = (at >= 0) & (age <= REFERENCE_MAX_AGE_US) & np.isfinite(reference.velocity_down_m_s[row])
    flying = (reference.airborne == 1) | ((reference.airborne == -1) & (reference.armed == 1))
    unsure = (reference.airborne == -1) & (reference.armed == -1)

    motion = _vertical_motion(reference.velocity_down_m_s[order])[np.maximum(at, 0)]
    names = ("level", "climb", "descend")
    index = [spec.labels.index(n) if n in spec.labels else _code("unlabelled") for n in names]
    labels = np.array(index, np.int32)[motion]
    edr = reference.edr_m23_s[row]
    with np.errstate(invalid="ignore"):
        if TURBULENCE_LABEL in spec.labels:
            labels[edr >= TURBULENT_EDR] = spec.labels.index(TURBULENCE_LABEL)
            labels[(edr > CALM_EDR) & (edr < TURBULENT_EDR)] = _code("between")
    labels[~known | unsure[row]] = _code("no_reference")
    labels[known & ~flying[row] & ~unsure[row]] = _code("on_ground")
    return labels


def _vertical_motion(velocity_down_m_s: NDArray[np.float32]) -> NDArray[np.intp]:
    """0 level, 1 climb, 2 descend, with hysteresis: entered at ±0.5 m/s, left at ±0.3 m/s."""
    climb = _hysteresis(-velocity_down_m_s, CLIMB_ENTER_M_S, CLIMB_LEAVE_M_S)
    descend = _hysteresis(velocity_down_m_s, CLIMB_ENTER_M_S, CLIMB_LEAVE_M_S)
    return np.where(climb, 1, np.where(descend, 2, 0))


def _hysteresis(value: NDArray[np.float32], enter: float, leave: float) -> Bool:
    """True from where value rises above enter until it falls below leave."""
    change = np.where(value > enter, 1, np.where(value < leave, 0, -1))
    known = np.where(change >= 0, np.arange(len(value)), 0)
    held = change[np.maximum.accumulate(known)] if len(value) else change
    state: Bool = held == 1
    return state


def label_windows(slot_labels: I32, sparse: Bool) -> WindowLabels:
    """Labels of windows from slot_labels[W,T]: at least 80 % must agree.

    Dropped windows get -2 and a reason: sparse, the commonest reason among unlabelled slots when those alone
    break the agreement, otherwise mixed.
    """
    y = np.full(len(slot_labels), -2, np.int32)
    dropped: Counter[str] = Counter()
    need = int(np.ceil(AGREEMENT * slot_labels.shape[1])) if slot_labels.size else 0
    for w, row in enumerate(slot_labels):
        values, counts = np.unique(row, return_counts=True)
        best = int(np.argmax(counts))
        if sparse[w]:
            dropped[SPARSE] += 1
        elif counts[best] >= need and values[best] >= BETWEEN:
            y[w] = values[best]
        elif counts[values < 0].sum() > slot_labels.shape[1] - need:
            worst = values[values < 0][np.argmax(counts[values < 0])]
            dropped[REASONS[-1 - worst]] += 1
        else:
            dropped[MIXED] += 1
    return WindowLabels(y, dropped)
