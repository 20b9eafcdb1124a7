"""The label a bundle decides for each window of a data set by itself, from the network's output."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.dataset.store import Windows
from px4_tinyml.flight_log import F32, I64
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec


def window_labels(output: NDArray[np.floating], windows: Windows, spec: PipelineSpec) -> I64:
    """Label index of each window for outputs [W, spec.outputs]: the largest, or by ln EDR and the vertical speed."""
    if spec.output == "classes":
        return np.asarray(output.argmax(axis=1), np.int64)
    return with_vertical(output[:, 0] > math.log(spec.edr.window), windows, spec)


def with_vertical(turbulent: NDArray[np.bool_], windows: Windows, spec: PipelineSpec) -> I64:
    """Turbulence where it is; else level, climb or descend by the reported vertical speed (level where unknown)."""
    vertical = vertical_labels(windows.vertical_speed_m_s, spec.vertical.threshold_m_s, spec)
    return np.where(turbulent, spec.labels.index(TURBULENCE_LABEL), vertical)


def vertical_labels(speed_m_s: F32, threshold_m_s: float, spec: PipelineSpec) -> I64:
    """Index of level, climb or descend by vertical speeds (up positive); level where NaN."""
    level, climb, descend = (spec.labels.index(name) for name in ("level", "climb", "descend"))
    with np.errstate(invalid="ignore"):
        return np.where(speed_m_s > threshold_m_s, climb, np.where(speed_m_s < -threshold_m_s, descend, level))
