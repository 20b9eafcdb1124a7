"""The whole classifier in NumPy: samples → int8 windows → int8 outputs → decisions, a log at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import I8, FlightLog
from px4_tinyml.signal.decision import UNCERTAIN, UNCERTAIN_NAME, decide
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.slots import Feed, feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import make_windows

COUNTERS = ("decisions", "sparse", "engine_failures", "reset_non_finite", "reset_backwards", "reset_gap")
"""Names of a classification's counts, in the order of core/Pipeline.hpp's Counters."""


class Engine(Protocol):
    """What computes the model: int8[N, input size] → int8[N, output size]."""

    def invoke(self, x: NDArray[np.int8]) -> I8: ...


@dataclass(frozen=True, eq=False)
class Classification:
    """Every classified window of one feed, in order.

    inputs: int8[W, T·C] time-major, outputs: int8[W, L]; decisions: dtype decision.DECISION; counts: see COUNTERS.
    """

    inputs: I8
    outputs: I8
    decisions: NDArray[np.void]
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.decisions)

    def seconds(self, spec: PipelineSpec) -> dict[str, float]:
        """Seconds per class (and "uncertain"), each window standing for one hop."""
        index = self.decisions["class_index"]
        names = {**dict(enumerate(spec.labels)), UNCERTAIN: UNCERTAIN_NAME}
        return {name: int((index == i).sum()) * spec.hop / spec.rate_hz for i, name in names.items()}


@dataclass(frozen=True)
class Model:
    """What the signal path needs to know of a model: its engine and the int8 quantization of its input."""

    engine: Engine
    input_scale: float
    input_zero_point: int


class Classifier:
    """A model behind the signal path of a spec. ModelBundle.classifier() makes one."""

    def __init__(self, spec: PipelineSpec, model: Model) -> None:
        self.spec = spec
        self._model = model

    def classify(self, log: FlightLog) -> Classification:
        """Classify every window of one log."""
        return self.run(feed(log, self.spec))

    def run(self, events: Feed) -> Classification:
        """Classify every window of a feed."""
        spec, model = self.spec, self._model
        stream = make_slots(events, spec)
        raw = make_windows(stream, spec)
        kept = ~raw.sparse
        inputs = quantize(raw.x[kept], spec, model.input_scale, model.input_zero_point)
        outputs = model.engine.invoke(inputs)
        decisions = decide(outputs, ~raw.baro_ok[kept], raw.segment[kept], raw.start_us[kept], raw.end_us[kept], spec)
        resets = {f"reset_{cause}": count for cause, count in stream.resets.items()}
        counts = {"decisions": len(decisions), "sparse": int(raw.sparse.sum()), "engine_failures": 0, **resets}
        return Classification(inputs, outputs, decisions, counts)
