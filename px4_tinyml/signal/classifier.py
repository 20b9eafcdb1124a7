"""The whole classifier in NumPy: samples → int8 windows → int8 outputs → decisions, a log at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F32, I8, Bool, FlightLog
from px4_tinyml.signal.air_decision import EDR_UNIT, EDR_UNKNOWN, decide_air, unfamiliar
from px4_tinyml.signal.decision import UNCERTAIN, UNCERTAIN_NAME, decide
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.slots import Feed, feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.vertical import UNKNOWN_MM_S
from px4_tinyml.signal.windows import RawWindows, Reason, make_windows

COUNTERS = ("decisions", "sparse", "engine_failures", "reset_non_finite", "reset_backwards", "reset_gap")
"""Names of a classification's counts, in the order of core/Pipeline.hpp's Counters."""


class Engine(Protocol):
    """What computes the model: int8[N, input size] → int8[N, output size]."""

    def invoke(self, x: NDArray[np.int8]) -> I8: ...


@dataclass(frozen=True, eq=False)
class Classification:
    """Every classified window of one feed, in order.

    inputs: int8[W, T·C] time-major, outputs: int8[W, L]; decisions: dtype decision.DECISION, or
    air_decision.AIR_DECISION of a `bands` spec; counts: see COUNTERS.
    """

    inputs: I8
    outputs: I8
    decisions: NDArray[np.void]
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def edr_m23_s(self) -> F32:
        """EDR beside each decision, m^⅔/s, after smoothing and calibration; NaN where it is not judged."""
        return self._edr("edr_e4")

    @property
    def window_edr_m23_s(self) -> F32:
        """EDR of each window alone, m^⅔/s; NaN where it is not judged."""
        return self._edr("window_edr_e4")

    @property
    def vertical_speed_m_s(self) -> F32:
        """Vertical speed beside each decision, m/s, up positive; NaN where it is unknown."""
        if "vertical_mm_s" not in (self.decisions.dtype.names or ()):
            return np.full(len(self), np.nan, np.float32)
        speed = self.decisions["vertical_mm_s"]
        return np.where(speed == UNKNOWN_MM_S, np.float32(np.nan), speed.astype(np.float32) / np.float32(1000.0))

    @property
    def reasons(self) -> NDArray[np.uint8]:
        """Bits of windows.Reason of each decision; 0 for a `samples` spec."""
        known = "reasons" in (self.decisions.dtype.names or ())
        return np.asarray(self.decisions["reasons"] if known else np.zeros(len(self)), np.uint8)

    def _edr(self, field: str) -> F32:
        if field not in (self.decisions.dtype.names or ()):
            return np.full(len(self), np.nan, np.float32)
        steps = self.decisions[field]
        return np.where(steps == EDR_UNKNOWN, np.float32(np.nan), (steps * EDR_UNIT).astype(np.float32))

    def seconds(self, spec: PipelineSpec) -> dict[str, float]:
        """Seconds per class (and "uncertain"), each window standing for one hop."""
        index = self.decisions["class_index"]
        names = {**dict(enumerate(spec.labels)), UNCERTAIN: UNCERTAIN_NAME}
        return {name: int((index == i).sum()) * spec.hop / spec.rate_hz for i, name in names.items()}


@dataclass(frozen=True)
class Model:
    """What the signal path needs to know of a model: its engine and the int8 quantization of input and output."""

    engine: Engine
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int


class Classifier:
    """A model behind the signal path of a spec. ModelBundle.classifier() makes one."""

    def __init__(self, spec: PipelineSpec, model: Model) -> None:
        self.spec = spec
        self._model = model

    def classify(self, log: FlightLog) -> Classification:
        """Classify every window of one log."""
        return self.run(feed(log, self.spec), judged=is_judged(log.vehicle_class))

    def run(self, events: Feed, judged: bool = True) -> Classification:
        """Classify every window of a feed. judged: False for a vehicle that a `bands` spec does not judge."""
        spec, model = self.spec, self._model
        stream = make_slots(events, spec)
        raw = make_windows(stream, spec)
        kept = ~raw.sparse
        inputs = quantize(raw.x[kept], spec, model.input_scale, model.input_zero_point)
        outputs = model.engine.invoke(inputs)
        decisions = self._decide(raw, kept, inputs, outputs, judged)
        resets = {f"reset_{cause}": count for cause, count in stream.resets.items()}
        counts = {"decisions": len(decisions), "sparse": int(raw.sparse.sum()), "engine_failures": 0, **resets}
        return Classification(inputs, outputs, decisions, counts)

    def _decide(self, raw: RawWindows, kept: Bool, inputs: I8, outputs: I8, judged: bool) -> NDArray[np.void]:
        spec, model = self.spec, self._model
        baro_ok, segment = raw.baro_ok[kept], raw.segment[kept]
        start_us, end_us = raw.start_us[kept], raw.end_us[kept]
        if spec.input == "samples":
            return decide(outputs, ~baro_ok, segment, start_us, end_us, spec)
        reasons = raw.reasons[kept] | further_reasons(inputs, judged, spec)
        quantization = (model.output_scale, model.output_zero_point)
        return decide_air(
            outputs, reasons, raw.vertical_mm_s[kept], baro_ok, segment, start_us, end_us, spec, quantization
        )


def is_judged(vehicle_class: str) -> bool:
    """Whether the air around a vehicle of this class can be judged: multirotors, and what is unknown."""
    return vehicle_class in ("multirotor", "unknown")


def further_reasons(inputs: I8, judged: bool, spec: PipelineSpec) -> NDArray[np.uint8]:
    """Reasons that need the network's inputs int8[W, F], or the vehicle."""
    reasons = np.where(unfamiliar(inputs, spec), Reason.UNFAMILIAR, 0) | (0 if judged else Reason.NOT_MULTIROTOR)
    return reasons.astype(np.uint8)
