"""Measures a model on a target."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from px4_tinyml.bench.cost import Cost, Layer
from px4_tinyml.bench.counting import Inference, infer
from px4_tinyml.bench.footprint import footprint
from px4_tinyml.bench.programs import build_bench
from px4_tinyml.convert.bundle import ModelBundle
from px4_tinyml.convert.graph import Graph, Tensor
from px4_tinyml.convert.interpreter import Int8Interpreter
from px4_tinyml.convert.lower import lower
from px4_tinyml.convert.plan import plan_memory
from px4_tinyml.convert.tflite_model import read_model
from px4_tinyml.errors import ConversionError, ParityError
from px4_tinyml.generate.cortex_m import CPUS
from px4_tinyml.spec import PRESETS, PipelineSpec
from px4_tinyml.types import I8

ROWS = 64
"""Inputs measured: the count depends on them a little (softmax, rounding)."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model to be measured. x: int8[N, input size]. spec: the signal path around it, None when it is not known."""

    name: str
    model: bytes
    graph: Graph
    x: I8
    spec: PipelineSpec | None

    @property
    def sha256(self) -> str:
        """SHA-256 of the model, hex."""
        return hashlib.sha256(self.model).hexdigest()


def subject(path: Path) -> Subject:
    """A bundle with its golden inputs, or a .tflite file with random ones (seeded)."""
    if path.is_dir():
        bundle = ModelBundle.load(path)
        graph = read_model(bundle.model)
        return Subject(path.resolve().name, bundle.model, graph, bundle.golden["input"][:ROWS], bundle.spec)
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ConversionError(f"{path}: neither a bundle nor a .tflite file ({error.strerror})") from error
    graph = read_model(model)
    x = np.random.default_rng(0).integers(-128, 128, (ROWS, graph.input.size), np.int8)
    return Subject(path.stem, model, graph, x, _preset(graph))


def _preset(graph: Graph) -> PipelineSpec | None:
    """The preset whose windows the model takes, with scales that change no cost; None when there is none."""
    for spec in PRESETS.values():
        fits = graph.input.size == spec.window * len(spec.channels) and graph.output.size == len(spec.labels)
        if fits and len(graph.input.scales) == 1:
            ones = (1.0,) * len(spec.channels)
            return PipelineSpec.from_dict({**spec.to_dict(), "offset": (0.0,) * len(ones), "inv_scale": ones})
    return None


def measure(tested: Subject, target: str) -> Cost:
    """The compiled engine on a target. Raises ParityError when it does not compute what the NumPy engine does."""
    if target not in CPUS:
        raise ConversionError(f"target {target!r} is not known; expected some of {', '.join(CPUS)}")
    graph = tested.graph
    images = build_bench(graph, tested.spec, target)
    run = infer(images / "infer", graph, tested.x, target)
    apart = infer(images / "layers", graph, tested.x, target)
    _check(tested, run, apart)
    size = footprint(images / "footprint")
    return Cost(
        model=tested.name,
        engine="compiled",
        target=target,
        macs=graph.macs,
        weights_bytes=graph.weights_bytes,
        instructions=int(run.instructions.max()),
        fewest_instructions=int(run.instructions.min()),
        flash_bytes=size.flash_bytes - graph.weights_bytes,
        ram_bytes=size.ram_bytes,
        arena_bytes=plan_memory(graph, lower(graph)).arena_bytes,
        stack_bytes=run.stack_bytes,
        layers=_layers(graph, apart.layers[run.instructions.argmax()]),
    )


def _check(tested: Subject, *runs: Inference) -> None:
    expected = Int8Interpreter(tested.graph).invoke(tested.x)
    for run in runs:
        different = int((run.outputs != expected).any(axis=1).sum())
        if different:
            raise ParityError(f"{tested.name}: {different} of {len(expected)} outputs differ from the NumPy engine's")


def _layers(graph: Graph, instructions: Sequence[int]) -> tuple[Layer, ...]:
    return tuple(
        Layer(
            i, operator.name, f"{_dimensions(operator.input)} to {_dimensions(operator.output)}", operator.macs, int(n)
        )
        for i, (operator, n) in enumerate(zip(graph.operators, instructions, strict=True))
    )


def _dimensions(tensor: Tensor) -> str:
    """Without the batch."""
    return "x".join(map(str, tensor.shape[1:])) or "1"
