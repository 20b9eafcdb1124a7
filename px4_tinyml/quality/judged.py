"""One form for the decisions of every kind of bundle, so that all are judged alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml.flight_log import F32, F64, I32, U64, Bool
from px4_tinyml.signal.air_decision import EDR_UNIT, window_threshold_e4
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.decision_values import reason_words
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.windows import MAKES_UNCERTAIN, NOT_JUDGED

VERTICAL = ("level", "climb", "descend")
LEVEL_M_S = 0.5
"""A reported vertical speed of at most this is level."""
STAGES = ("alone", "filtered")
"""Each window by itself, and after the decision filter."""


@dataclass(frozen=True, eq=False)
class Stage:
    """What is reported of each window at one stage.

    index[W]: index into the spec's labels, or UNCERTAIN. score[W]: the higher, the more turbulent; NaN where the window
    was not judged. reasons: for each reason, the uncertain windows that have it.
    """

    index: I32
    score: F64
    reasons: Mapping[str, Bool]


@dataclass(frozen=True, eq=False)
class Judged:
    """Every window of one recording that was classified. vertical[W]: index into VERTICAL, or UNCERTAIN.

    vertical_speed_m_s[W]: up positive; edr_m23_s[W]: of the window alone; both NaN where not reported.
    """

    start_us: U64
    end_us: U64
    alone: Stage
    filtered: Stage
    vertical: I32
    vertical_speed_m_s: F64
    edr_m23_s: F64

    def __len__(self) -> int:
        return len(self.start_us)

    def stage(self, name: str) -> Stage:
        """By a name of STAGES."""
        return self.alone if name == "alone" else self.filtered


def turbulence_index(spec: PipelineSpec) -> int:
    """Index of the label turbulence. Raises SpecError for a spec without it."""
    if TURBULENCE_LABEL not in spec.labels:
        raise SpecError(f"labels {', '.join(spec.labels)} found, a bundle with the label {TURBULENCE_LABEL} expected")
    return spec.labels.index(TURBULENCE_LABEL)


def judged(result: Classification, spec: PipelineSpec) -> Judged:
    """Every decision of a bundle, in one form. Raises SpecError for a spec without the label turbulence."""
    turbulence = turbulence_index(spec)
    if spec.output == "edr":
        alone, filtered = _edr_stages(result, spec, turbulence)
    else:
        alone, filtered = _class_stages(result, spec, turbulence)
    speed = result.vertical_speed_m_s.astype(np.float64)
    return Judged(
        start_us=result.decisions["start_us"].astype(np.uint64),
        end_us=result.decisions["end_us"].astype(np.uint64),
        alone=alone,
        filtered=filtered,
        vertical=_likeliest_vertical(result, spec) if spec.input == "samples" else vertical_class(speed),
        vertical_speed_m_s=speed,
        edr_m23_s=result.window_edr_m23_s.astype(np.float64),
    )


def _class_stages(result: Classification, spec: PipelineSpec, turbulence: int) -> tuple[Stage, Stage]:
    """Of a softmax over labels: the score is the probability of turbulence."""
    judged = (result.reasons & NOT_JUDGED) == 0
    alone = np.where(judged, result.outputs.argmax(axis=1), UNCERTAIN).astype(np.int32)
    decided = result.decisions["class_index"].astype(np.int32)
    return (
        Stage(
            alone,
            np.where(judged, (result.outputs[:, turbulence].astype(np.float64) + 128.0) / 256.0, np.nan),
            _reasons(result, alone) if spec.input == "bands" else {},
        ),
        Stage(
            decided,
            np.where(judged, result.decisions["probability"][:, turbulence].astype(np.float64) / 256.0, np.nan),
            _reasons(result, decided) if spec.input == "bands" else {"low_confidence": decided == UNCERTAIN},
        ),
    )


def _edr_stages(result: Classification, spec: PipelineSpec, turbulence: int) -> tuple[Stage, Stage]:
    """Of ln EDR: the score is ln of the window's EDR, then of the smoothed one."""
    vertical = vertical_class(result.vertical_speed_m_s.astype(np.float64))
    labels = np.array([spec.labels.index(name) for name in VERTICAL])
    calm = np.where(vertical == UNCERTAIN, labels[0], labels[vertical])
    turbulent = result.decisions["window_edr_e4"] > window_threshold_e4(spec)
    known = np.isfinite(result.window_edr_m23_s)
    alone = np.where(known, np.where(turbulent, turbulence, calm), UNCERTAIN).astype(np.int32)
    decided = result.decisions["class_index"].astype(np.int32)
    return (
        Stage(alone, _ln(result.window_edr_m23_s), _reasons(result, alone)),
        Stage(decided, _ln(result.edr_m23_s), _reasons(result, decided)),
    )


def _ln(edr_m23_s: F32) -> F64:
    """ln of EDRs; NaN stays NaN."""
    return np.asarray(np.log(np.maximum(edr_m23_s.astype(np.float64), EDR_UNIT)), np.float64)


def _reasons(result: Classification, index: I32) -> dict[str, Bool]:
    """For each reason, the uncertain windows that have it. Notes (a stale barometer) are no reasons."""
    return {
        word: np.asarray((index == UNCERTAIN) & (result.reasons & bit != 0))
        for bit in MAKES_UNCERTAIN
        for word in reason_words(bit)
    }


def _likeliest_vertical(result: Classification, spec: PipelineSpec) -> I32:
    """Index into VERTICAL of the likeliest of the three after smoothing: version 1 reports no vertical speed."""
    if not set(VERTICAL) <= set(spec.labels):
        return np.full(len(result), UNCERTAIN, np.int32)
    at = np.array([spec.labels.index(name) for name in VERTICAL])
    return np.asarray(result.decisions["probability"][:, at].argmax(axis=1), np.int32)


def vertical_class(speed_m_s: F64) -> I32:
    """Index into VERTICAL of reported vertical speeds (up positive); UNCERTAIN where unknown."""
    with np.errstate(invalid="ignore"):
        index = np.where(speed_m_s > LEVEL_M_S, 1, np.where(speed_m_s < -LEVEL_M_S, 2, 0))
    return np.where(np.isfinite(speed_m_s), index, UNCERTAIN).astype(np.int32)
