"""One form for the decisions of every kind of bundle, so that all are judged alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml.flight_log import F64, I32, U64, Bool
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec

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
    """Decisions of a bundle of spec version 1: the score is the probability of turbulence.

    Such a bundle reports no vertical speed: level, climb or descend is the likeliest of the three after smoothing.
    """
    turbulence = turbulence_index(spec)
    decisions = result.decisions
    smoothed = decisions["probability"][:, : len(spec.labels)].astype(np.float64) / 256.0
    decided = decisions["class_index"].astype(np.int32)
    unknown = np.full(len(result), np.nan)
    vertical = np.full(len(result), UNCERTAIN, np.int32)
    if set(VERTICAL) <= set(spec.labels):
        at = np.array([spec.labels.index(name) for name in VERTICAL])
        vertical = smoothed[:, at].argmax(axis=1).astype(np.int32)
    return Judged(
        start_us=decisions["start_us"].astype(np.uint64),
        end_us=decisions["end_us"].astype(np.uint64),
        alone=Stage(
            result.outputs.argmax(axis=1).astype(np.int32),
            (result.outputs[:, turbulence].astype(np.float64) + 128.0) / 256.0,
            {},
        ),
        filtered=Stage(decided, smoothed[:, turbulence], {"low_confidence": decided == UNCERTAIN}),
        vertical=vertical,
        vertical_speed_m_s=unknown,
        edr_m23_s=unknown,
    )


def vertical_class(speed_m_s: F64) -> I32:
    """Index into VERTICAL of reported vertical speeds (up positive); UNCERTAIN where unknown."""
    with np.errstate(invalid="ignore"):
        index = np.where(speed_m_s > LEVEL_M_S, 1, np.where(speed_m_s < -LEVEL_M_S, 2, 0))
    return np.where(np.isfinite(speed_m_s), index, UNCERTAIN).astype(np.int32)
