"""Labels for slots and windows, from references that are not the IMU.

climb and descend are derived from vertical speed with hysteresis, turbulence from the simulator's true eddy
dissipation rate; label spans override both. A slot or window without a label has the negative code of its
reason instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import DatasetError, SpecError
from px4_tinyml.flight_log import F32, I32, U64, Bool, FlightLog, LabelSpan, ReferenceSeries
from px4_tinyml.signal.slots import SlotStream
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec

CLIMB_ENTER_M_S = 0.5
CLIMB_LEAVE_M_S = 0.3
SLOPE_M_S = 0.6
"""A slope of the barometer over 2.56 s beyond this is climb or descend: what every bundle is compared with."""
TURBULENT_EDR = 0.20
CALM_EDR = 0.10
MODERATE_EDR, STRONG_EDR = (0.2, 0.3), (0.3, 0.9)
"""Ranges in which the share of turbulence found is reported, m^⅔/s."""
FACTOR_FROM_EDR = 0.15
"""m^⅔/s: below, the error of an EDR matters little."""
REFERENCE_MAX_AGE_US = 600_000
AGREEMENT = 0.80
EXCLUDE = "exclude"
"""A span with this label excludes its time from the data set."""

VERTICAL_LABELS = ("level", "climb", "descend")
BETWEEN_NAME = "between"
MIXED = "mixed"
SPARSE = "sparse"
MANOEUVRING = "manoeuvring"
REASONS = (BETWEEN_NAME, "on_ground", "no_reference", "unlabelled", "excluded", MIXED, SPARSE, MANOEUVRING)
"""Why a slot (the first five) or a window has no label, codes -1, -2, …; `between`: EDR between calm and turbulent.

manoeuvring: of a `bands` spec, flown too hard for the air to be judged."""


def reason_code(reason: str) -> int:
    """The negative number that is stored instead of a label index."""
    return -1 - REASONS.index(reason)


BETWEEN = reason_code(BETWEEN_NAME)


def check_labels(spec: PipelineSpec) -> None:
    """SpecError when a label of the spec is a reserved word."""
    taken = set(spec.labels) & {*REASONS, EXCLUDE, "uncertain"}
    if taken:
        raise SpecError(f"label {min(taken)!r} is reserved; choose another name")


def label_counts(y: I32, spec: PipelineSpec) -> Mapping[str, int]:
    """Number of windows with each label and each reason, zeros included."""
    names = {**dict(enumerate(spec.labels)), **{reason_code(reason): reason for reason in REASONS}}
    return {name: int((y == code).sum()) for code, name in names.items()}


def label_slots(log: FlightLog, time_us: U64, spec: PipelineSpec, spans: tuple[LabelSpan, ...] = ()) -> I32:
    """Label index of each slot (by its middle, time_us[S]), or the code of a reason.

    A label of the log file that is not in the spec leaves its time unlabelled; one of a spans file is an error.
    """
    labels = np.full(len(time_us), reason_code("unlabelled"), np.int32)
    if log.reference is not None and len(log.reference):
        labels = _from_reference(log.reference, time_us, spec)
    elif not spans and not log.labels:
        labels[:] = reason_code("no_reference")
    for span in (*log.labels, *spans):
        inside = (time_us >= span.start_us) & (time_us < span.end_us)
        if span.label == EXCLUDE:
            labels[inside] = reason_code("excluded")
        elif span.label in spec.labels:
            labels[inside] = spec.labels.index(span.label)
        elif span.by == "file":
            labels[inside] = reason_code("unlabelled")
        else:
            raise DatasetError(
                f"{log.source}: label {span.label!r} is not one of the spec's ({', '.join(spec.labels)}); "
                "add it to `labels` in pipeline.toml"
            )
    return labels


def reference_rows(reference: ReferenceSeries, time_us: U64) -> tuple[NDArray[np.intp], Bool]:
    """Row of the reference that is valid at each time, and False where it is missing or too old."""
    order = np.argsort(reference.timestamp_us, kind="stable")
    at = np.searchsorted(reference.timestamp_us[order], time_us, side="right") - 1
    row = order[np.maximum(at, 0)]
    age_us = time_us.astype(np.int64) - reference.timestamp_us[row].astype(np.int64)
    return row, (at >= 0) & (age_us <= REFERENCE_MAX_AGE_US)


def reference_at(log: FlightLog, name: str, time_us: U64) -> F32:
    """Value of a reference field at given times; NaN where the reference is missing or too old."""
    if log.reference is None or not len(log.reference):
        return np.full(len(time_us), np.nan, np.float32)
    row, fresh = reference_rows(log.reference, time_us)
    return np.where(fresh, getattr(log.reference, name)[row], np.float32(np.nan))


def slot_middles(stream: SlotStream, spec: PipelineSpec) -> U64:
    """Time of the middle of each slot, µs."""
    start = np.array([spec.slot_start_us(k) for k in stream.index.tolist()], np.uint64)
    return start + np.uint64(500_000 // spec.rate_hz)


def _from_reference(reference: ReferenceSeries, time_us: U64, spec: PipelineSpec) -> I32:
    order = np.argsort(reference.timestamp_us, kind="stable")
    row, fresh = reference_rows(reference, time_us)
    known = fresh & np.isfinite(reference.velocity_down_m_s[row])
    flying = (reference.airborne == 1) | ((reference.airborne == -1) & (reference.armed == 1))
    unsure = (reference.airborne == -1) & (reference.armed == -1)

    motion = np.empty(len(order), np.intp)
    motion[order] = _vertical_motion(reference.velocity_down_m_s[order])
    index = [spec.labels.index(n) if n in spec.labels else reason_code("unlabelled") for n in VERTICAL_LABELS]
    labels = np.array(index, np.int32)[motion[row]]
    edr = reference.edr_m23_s[row]
    with np.errstate(invalid="ignore"):
        if TURBULENCE_LABEL in spec.labels:
            labels[edr >= TURBULENT_EDR] = spec.labels.index(TURBULENCE_LABEL)
            labels[(edr > CALM_EDR) & (edr < TURBULENT_EDR)] = BETWEEN
    labels[~known | unsure[row]] = reason_code("no_reference")
    labels[known & ~flying[row] & ~unsure[row]] = reason_code("on_ground")
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


def label_bands(slot_labels: I32, sparse: Bool, spec: PipelineSpec) -> I32:
    """Labels of windows of a `bands` spec: climb, descend and level by the slots of the reported vertical speed.

    That is the last `vertical.mean_slots` slots of a window, all of whose slots are level, climb or descend, or at
    least 80 % are the same one of them. Every other label, and between, is of the whole window.
    """
    y = label_windows(slot_labels, sparse)
    motion = [spec.labels.index(name) for name in VERTICAL_LABELS if name in spec.labels]
    recent = np.isin(y, motion) | ((y == reason_code(MIXED)) & np.isin(slot_labels, motion).all(axis=1))
    y[recent] = label_windows(slot_labels[recent][:, -spec.vertical.mean_slots :], sparse[recent])
    return y


def label_windows(slot_labels: I32, sparse: Bool) -> I32:
    """Label index of each window from slot_labels[W,T], of which at least 80 % must agree, or the code of a reason.

    The reason is `sparse`; or the most common one of the unlabelled slots, when they alone break the agreement;
    otherwise `mixed`.
    """
    y = np.full(len(slot_labels), reason_code(MIXED), np.int32)
    need = int(np.ceil(AGREEMENT * slot_labels.shape[1])) if slot_labels.size else 0
    for w, row in enumerate(slot_labels):
        values, counts = np.unique(row, return_counts=True)
        best, unlabelled = int(np.argmax(counts)), values < BETWEEN
        if sparse[w]:
            y[w] = reason_code(SPARSE)
        elif counts[best] >= need:
            y[w] = values[best]
        elif counts[unlabelled].sum() > slot_labels.shape[1] - need:
            y[w] = values[unlabelled][np.argmax(counts[unlabelled])]
    return y
