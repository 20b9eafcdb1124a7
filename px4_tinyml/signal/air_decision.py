"""Step 5 of a `bands` spec: the network's output, the vertical speed and the limits become decisions, in integers.

docs/signal_path.md is the contract. Logarithms are natural, in Q16.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import I8, I64, U64, Bool
from px4_tinyml.signal.decision import DECISION, DECISION_FIELDS, ONE_Q16, UNCERTAIN, DecisionFilter, Flag
from px4_tinyml.signal.spec import MOTION_LABELS, TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.vertical import UNKNOWN_MM_S
from px4_tinyml.signal.windows import NOT_JUDGED, Reason

EDR_UNIT = 1e-4
"""m^⅔/s of one step of a decision's EDR."""
EDR_UNKNOWN = 65535
CURVE_STEP_BITS = 13
CURVE_FIRST_Q16 = -(40 << CURVE_STEP_BITS)
CURVE_POINTS = 46
"""The curve's table: EDR read from 0.0067 to 1.9, an eighth of ln apart."""
LN2_Q16 = round(math.log(2.0) * ONE_Q16)

AIR_DECISION = np.dtype(
    [
        *((name, DECISION[name]) for name in DECISION_FIELDS),
        ("reasons", "u1"),
        ("edr_e4", "<u2"),
        ("window_edr_e4", "<u2"),
        ("vertical_mm_s", "<i2"),
        ("padding", "V2"),
    ]
)
"""A decision of a `bands` spec. edr_e4: EDR in 10⁻⁴ m^⅔/s (EDR_UNKNOWN: not judged); window_edr_e4: of this window.

vertical_mm_s: vertical speed, up positive (UNKNOWN_MM_S: unknown); reasons: windows.Reason."""


@lru_cache(maxsize=8)
def edr_curve(spec: PipelineSpec) -> list[int]:
    """EDR in 10⁻⁴ m^⅔/s at each point of the table: the spec's curve, straight in logarithms, its ends extended."""
    read, true = np.log(spec.edr.read), np.log(spec.edr.true)
    at = (CURVE_FIRST_Q16 + (np.arange(CURVE_POINTS) << CURVE_STEP_BITS)) / ONE_Q16
    curve = np.interp(at, read, true)
    curve += np.minimum(at - read[0], 0.0) + np.maximum(at - read[-1], 0.0)
    return [int(value) for value in np.clip(np.rint(np.exp(curve) / EDR_UNIT), 0, EDR_UNKNOWN - 1)]


def edr_e4(ln_q16: int, spec: PipelineSpec) -> int:
    """ln of the EDR read to the EDR it means, in 10⁻⁴ m^⅔/s."""
    curve, one = edr_curve(spec), 1 << CURVE_STEP_BITS
    along = min(max(ln_q16 - CURVE_FIRST_Q16, 0), (CURVE_POINTS - 1) * one - 1)
    point, rest = along >> CURVE_STEP_BITS, along & (one - 1)
    return curve[point] + ((curve[point + 1] - curve[point]) * rest >> CURVE_STEP_BITS)


def window_threshold_e4(spec: PipelineSpec) -> int:
    """edr.window as a decision's window_edr_e4 has it, after the curve: a window above it is turbulent by itself."""
    return edr_e4(ln_q16(spec.edr.window), spec)


def ln_q16(edr: float) -> int:
    """ln of an EDR in Q16."""
    return round(math.log(edr) * ONE_Q16)


def unfamiliar(inputs: I8, spec: PipelineSpec) -> Bool:
    """Whether the network's inputs int8[W, F] are farther from the training's than limits.distance."""
    limits, n = spec.limits, len(spec.limits.centre)
    if not n:
        return np.zeros(len(inputs), np.bool_)
    lower = np.zeros((n, n), np.int64)
    lower[np.tril_indices(n)] = limits.whiten
    away = (inputs.astype(np.int64) - np.array(limits.centre)) @ lower.T
    return np.asarray((away**2).sum(axis=1) > limits.distance, np.bool_)


class AirFilter:
    """One window at a time to decisions (dtype AIR_DECISION)."""

    def __init__(self, spec: PipelineSpec, output_scale: float, output_zero_point: int) -> None:
        self._spec, edr = spec, spec.edr
        self._scale_q16, self._zero_point = round(output_scale * ONE_Q16), output_zero_point
        self._enter, self._leave, self._alpha = ln_q16(edr.enter), ln_q16(edr.leave), (edr.rise_q8, edr.fall_q8)
        self._classes = DecisionFilter(spec) if spec.output == "classes" else None
        self._threshold = round(spec.vertical.threshold_m_s * 1000.0)
        self.reset()

    def reset(self) -> None:
        """Forget all: the next judged window is a first one."""
        self._smoothed: int | None = None
        self._turbulent = False
        self._silent = 0
        if self._classes:
            self._classes.reset()

    def update(
        self, output: list[int], reasons: int, vertical_mm_s: int, baro_ok: bool, start_us: int, end_us: int
    ) -> np.void:
        """Decision for the model's int8 output of a window."""
        spec = self._spec
        decision = np.zeros(1, AIR_DECISION)[0]
        decision["start_us"], decision["end_us"], decision["label_count"] = start_us, end_us, len(spec.labels)
        decision["vertical_mm_s"], decision["edr_e4"], decision["window_edr_e4"] = vertical_mm_s, *[EDR_UNKNOWN] * 2
        decision["flags"] = 0 if baro_ok else Flag.BARO_STALE
        decision["class_index"] = UNCERTAIN
        if reasons & NOT_JUDGED:
            self._silent += 1
            if self._silent >= spec.edr.forget_windows:
                self.reset()
        else:
            self._silent = 0
            if self._classes:
                reasons |= self._update_classes(decision, output, baro_ok)
            else:
                self._update_edr(decision, output[0], vertical_mm_s)
        if decision["class_index"] == UNCERTAIN:
            decision["flags"] |= Flag.UNCERTAIN
        decision["reasons"] = reasons
        row: np.void = decision
        return row

    def _update_classes(self, decision: np.void, output: list[int], baro_ok: bool) -> int:
        """A softmax over labels: as step 5 of `samples`. The further reasons."""
        assert self._classes is not None
        update = self._classes.update(output, not baro_ok)
        for name in ("flags", "class_index", "confidence_q16", "probability"):
            decision[name] = update[name]
        return Reason.LOW_CONFIDENCE if decision["class_index"] == UNCERTAIN else 0

    def _update_edr(self, decision: np.void, output: int, vertical_mm_s: int) -> None:
        """ln EDR: exponential mean, hysteresis; the vertical speed decides the rest."""
        fresh = (output - self._zero_point) * self._scale_q16
        if self._smoothed is None:
            self._smoothed = fresh
            decision["flags"] |= Flag.FIRST
        else:
            weight = self._alpha[fresh < self._smoothed]
            self._smoothed += (fresh - self._smoothed) * weight >> 8
        threshold = self._leave if self._turbulent else self._enter
        self._turbulent = self._smoothed > threshold
        vertical = 0
        if vertical_mm_s != UNKNOWN_MM_S:
            vertical = 1 if vertical_mm_s > self._threshold else 2 if vertical_mm_s < -self._threshold else 0
        best = MOTION_LABELS.index(TURBULENCE_LABEL) if self._turbulent else vertical
        distance = min(abs(self._smoothed - threshold), LN2_Q16)
        confidence = ONE_Q16 // 2 + distance * (ONE_Q16 // 2) // LN2_Q16
        probability = [0] * len(decision["probability"])
        probability[MOTION_LABELS.index(TURBULENCE_LABEL)] = ONE_Q16 - confidence
        probability[vertical] = ONE_Q16 - confidence
        probability[best] = confidence
        decision["probability"] = [min(p >> 8, 255) for p in probability]
        decision["class_index"], decision["confidence_q16"] = best, confidence
        decision["edr_e4"], decision["window_edr_e4"] = edr_e4(self._smoothed, self._spec), edr_e4(fresh, self._spec)


def decide_air(
    output: I8, reasons: NDArray[np.uint8], vertical_mm_s: I64, baro_ok: Bool, segment: I64, start_us: U64, end_us: U64,
    spec: PipelineSpec, quantization: tuple[float, int],
) -> NDArray[np.void]:  # fmt: skip
    """Decisions (dtype AIR_DECISION) for windows in order; the filter is reset where `segment` changes.

    quantization: scale and zero point of the output.
    """
    decisions = np.zeros(len(output), AIR_DECISION)
    air_filter = AirFilter(spec, *quantization)
    for i, row in enumerate(output.tolist()):
        if i and segment[i] != segment[i - 1]:
            air_filter.reset()
        decisions[i] = air_filter.update(
            row, int(reasons[i]), int(vertical_mm_s[i]), bool(baro_ok[i]), int(start_us[i]), int(end_us[i])
        )
    return decisions
