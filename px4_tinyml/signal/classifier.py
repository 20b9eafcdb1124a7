"""The whole classifier in Python: samples → int8 windows → int8 outputs → decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.errors import SpecError
from px4_tinyml.flight_log import I8, FlightLog
from px4_tinyml.signal import windows as preprocess
from px4_tinyml.signal.decision import UNCERTAIN, decide
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import Feed
from px4_tinyml.targets.spec_header import check_model

COUNTERS = ("decisions", "sparse", "engine_failures", "reset_non_finite", "reset_backwards", "reset_gap")
"""Names of a classification's counts, in the order of core/Pipeline.hpp's Counters."""


class Engine(Protocol):
    """What computes the model: int8[N, input size] → int8[N, output size]."""

    def invoke(self, x: NDArray[np.int8]) -> I8: ...


ENGINES: dict[str, Callable[[bytes], Engine]] = {"numpy": Int8Interpreter, "tflm": TflmInterpreter}


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
        names = {**dict(enumerate(spec.labels)), UNCERTAIN: "uncertain"}
        return {name: int((index == i).sum()) * spec.hop / spec.rate_hz for i, name in names.items()}


class Classifier:
    """A model behind its signal path. input_scale, input_zero_point: int8 quantization of the model's input."""

    def __init__(self, spec: PipelineSpec, input_scale: float, input_zero_point: int, engine: Engine) -> None:
        self.spec = spec
        self._scale, self._zero_point = input_scale, input_zero_point
        self._engine = engine

    @classmethod
    def of(cls, spec: PipelineSpec, model: bytes, engine: str = "numpy") -> Classifier:
        """For a .tflite model. engine: "numpy" or "tflm" (the tflite-micro wheel)."""
        if engine not in ENGINES:
            raise SpecError(f"engine {engine!r} is not known; expected one of {', '.join(ENGINES)}")
        graph = read_model(model)
        check_model(spec, graph)
        return cls(spec, graph.input.scale, graph.input.zero_point, ENGINES[engine](model))

    def run(self, events: Feed) -> Classification:
        """Classify every window of a feed."""
        spec = self.spec
        stream = preprocess.slots(events, spec)
        raw = preprocess.windows(stream, spec)
        kept = ~raw.sparse
        inputs = preprocess.quantize(raw.x[kept], spec, self._scale, self._zero_point)
        outputs = self._engine.invoke(inputs)
        decisions = decide(outputs, ~raw.baro_ok[kept], raw.segment[kept], raw.start_us[kept], raw.end_us[kept], spec)
        resets = {f"reset_{cause}": count for cause, count in stream.resets.items()}
        counts = {"decisions": len(decisions), "sparse": int(raw.sparse.sum()), "engine_failures": 0, **resets}
        return Classification(inputs, outputs, decisions, counts)


def classify(bundle: ModelBundle, log: FlightLog, engine: str = "numpy") -> Classification:
    """Classify one log. engine: see Classifier.of."""
    return Classifier.of(bundle.spec, bundle.model, engine).run(preprocess.feed(log, bundle.spec))
