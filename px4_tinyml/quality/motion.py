"""Level, climb and descend against references of the vertical speed, beside one line of barometer slope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.dataset.autolabel import MIXED, SLOPE_M_S, label_slots, label_windows, reason_code
from px4_tinyml.flight_log import F64, I32, I64, U64, BaroSeries, FlightLog
from px4_tinyml.quality.judged import VERTICAL, Judged
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.training.metrics import confusion_matrix, macro_f1
from px4_tinyml.units import US_PER_S

SPAN_US = 2_560_000
"""The vertical motion of a window is that of its last 2.56 s."""
GRID, LAG_US, MAX_AGE_US = 128, 100_000, 600_000
COLUMNS = ("four_alone", "four_filtered", "vertical", "slope")
"""Four classes by each window alone and after the decision filter; level, climb, descend as reported, and by slope."""


@dataclass(frozen=True, eq=False)
class LogMotion:
    """One recording with a reference. confusion: by COLUMNS, [truth, reported]; the last column is `uncertain`."""

    name: str
    folder: str
    windows: int
    confusion: Mapping[str, I64]


@dataclass(frozen=True)
class MotionRow:
    """Macro-F1 over the classes present, by COLUMNS; windows with a label of the vertical. None without windows."""

    name: str
    windows: int
    macro_f1: dict[str, float | None]


def log_motion(name: str, folder: str, log: FlightLog, windows: Judged, spec: PipelineSpec) -> LogMotion | None:
    """Confusions of one recording; None when no window has a label by a reference."""
    if log.reference is None or not len(windows) or any(label not in spec.labels for label in VERTICAL):
        return None
    four, vertical = reference_labels(log, windows.start_us, windows.end_us, spec)
    if not (vertical >= 0).any():
        return None
    by_slope = slope_class(barometer_slope_m_s(log.baro, windows.end_us))
    confusion = {
        "four_alone": _confusion(four, windows.alone.index, len(spec.labels)),
        "four_filtered": _confusion(four, windows.filtered.index, len(spec.labels)),
        "vertical": _confusion(vertical, windows.vertical, len(VERTICAL)),
        "slope": _confusion(vertical, by_slope, len(VERTICAL)),
    }
    return LogMotion(name, folder, int((vertical >= 0).sum()), confusion)


def reference_labels(log: FlightLog, start_us: U64, end_us: U64, spec: PipelineSpec) -> tuple[I32, I32]:
    """Label index of each window (negative: none): of the spec's labels, and of VERTICAL.

    Turbulence (where its truth is known) is that of the whole window, vertical motion that of its last 2.56 s.
    """
    log = replace(log, labels=())  # references only
    none = np.zeros(len(start_us), np.bool_)
    whole = label_windows(_slot_labels(log, start_us, end_us, spec), none)
    tail = np.maximum(start_us, end_us - np.minimum(end_us, np.uint64(SPAN_US)))
    four = label_windows(_slot_labels(log, tail, end_us, spec), none)
    if TURBULENCE_LABEL in spec.labels:
        turbulence = spec.labels.index(TURBULENCE_LABEL)
        four = np.where(whole == turbulence, turbulence, np.where(four == turbulence, reason_code(MIXED), four))
    vertical = label_windows(
        _slot_labels(log, tail, end_us, replace(spec.unfitted, labels=VERTICAL, output="classes")), none
    )
    return four.astype(np.int32), vertical


def _slot_labels(log: FlightLog, start_us: U64, end_us: U64, spec: PipelineSpec) -> I32:
    """Labels [W,S] of the slots between these times, all windows of one length."""
    slot_us = US_PER_S / spec.rate_hz
    count = round(float(end_us[0] - start_us[0]) / slot_us) if len(start_us) else 0
    middle = np.rint((np.arange(count) + 0.5) * slot_us).astype(np.uint64)
    times = start_us[:, None] + middle
    return label_slots(log, times.reshape(-1), spec).reshape(times.shape)


def barometer_slope_m_s(baro: BaroSeries | None, end_us: U64) -> F64:
    """Least-squares slope over the 2.56 s before each time, up positive; NaN where a sample is older than MAX_AGE_US.

    The barometer is held on a grid of GRID points and read LAG_US late, as the signal path of 50 Hz slots has it.
    """
    if baro is None or not len(baro):
        return np.full(len(end_us), np.nan)
    order = np.argsort(baro.timestamp_us, kind="stable")
    time, altitude = baro.timestamp_us[order].astype(np.int64), baro.altitude_m[order].astype(np.float64)
    offset = (np.arange(GRID) - GRID + 0.5) * (SPAN_US / GRID)
    wanted = end_us.astype(np.int64)[:, None] + np.rint(offset).astype(np.int64) - LAG_US
    row = np.searchsorted(time, wanted, side="right") - 1
    known = (row >= 0) & (wanted - time[np.maximum(row, 0)] <= MAX_AGE_US)
    seconds = (offset - offset.mean()) / US_PER_S
    slope = altitude[np.maximum(row, 0)] @ seconds / (seconds @ seconds)
    return np.where(known.all(axis=1), slope, np.nan)


def slope_class(slope_m_s: F64) -> I32:
    """Index into VERTICAL by SLOPE_M_S; UNCERTAIN where there is no slope."""
    with np.errstate(invalid="ignore"):
        index = np.where(slope_m_s > SLOPE_M_S, 1, np.where(slope_m_s < -SLOPE_M_S, 2, 0))
    return np.where(np.isfinite(slope_m_s), index, UNCERTAIN).astype(np.int32)


def _confusion(truth: I32, reported: NDArray[np.int32], classes: int) -> I64:
    """Counts [truth, reported] of the windows with a label; `uncertain` is a class of its own, never true."""
    known = truth >= 0
    return confusion_matrix(truth[known], np.where(reported < 0, classes, reported)[known], classes + 1)


def motion_rows(logs: Sequence[LogMotion]) -> list[MotionRow]:
    """A row for each log, each folder with several, all in one confusion, and the mean over logs."""
    rows = [_row(log.name, [log]) for log in logs]
    folders = list(dict.fromkeys(log.folder for log in logs))
    sets = [(folder, [log for log in logs if log.folder == folder]) for folder in folders]
    if len(folders) > 1:
        rows += [_row(f"all of {folder}", members) for folder, members in sets if len(members) > 1]
    if len(logs) > 1:
        means = {column: _mean([row.macro_f1[column] for row in rows[: len(logs)]]) for column in COLUMNS}
        rows += [
            _row("all logs, one confusion", logs),
            MotionRow("mean over logs", sum(m.windows for m in logs), means),
        ]
    return rows


def _row(name: str, logs: Sequence[LogMotion]) -> MotionRow:
    matrices = {column: np.sum([log.confusion[column] for log in logs], axis=0) for column in COLUMNS}
    scores = {column: macro_f1(matrix) if matrix.sum() else None for column, matrix in matrices.items()}
    return MotionRow(name, sum(log.windows for log in logs), scores)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
