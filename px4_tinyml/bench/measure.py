"""Measures a model on a target."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.bench.cost import Cost, Layer
from px4_tinyml.bench.footprint import footprint
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.operator import Operator
from px4_tinyml.compiler.plan import plan_memory
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.emit.shipped import bundle_folder
from px4_tinyml.errors import ConversionError, ParityError, SpecError, ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.signal.golden import read_golden
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.targets.cortex_m.bench import Code, build_bench, compiled_code
from px4_tinyml.targets.cortex_m.counting import infer
from px4_tinyml.targets.cortex_m.cycles import estimate
from px4_tinyml.targets.cortex_m.generate import CPUS, tool
from px4_tinyml.targets.cortex_m.path_cost import path_cost, rates
from px4_tinyml.targets.host.bench import build_host_bench, count_on_host, infer_on_host

HOST = "host"
TARGETS = (HOST, *CPUS)
COMPILED = "compiled"
TIMED = "cortex-m4"
"""The processor whose manual gives timings."""

SIZE = "arm-none-eabi-size"
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
    path = bundle_folder(path)
    if path.is_dir():
        bundle = ModelBundle.load(path)
        graph = bundle.graph
        _, golden = read_golden(bundle.golden, bundle.spec)
        if not len(golden):
            raise ConversionError(f"{path}: no golden vectors to measure with; train again")
        return Subject(path.resolve().name, bundle.model, graph, golden.inputs[:ROWS], bundle.spec)
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


def check_target(target: str) -> None:
    """SpecError for a target that is not known."""
    if target not in TARGETS:
        raise SpecError(f"target {target!r} is not known; expected some of {', '.join(TARGETS)}")


def measure(tested: Subject, target: str) -> Cost:
    """The compiled engine on one of TARGETS.

    Raises ParityError when it does not compute what the NumPy engine does, ToolchainError where it cannot run.
    """
    check_target(target)
    graph = tested.graph
    plan = plan_memory(graph)
    return measure_code(tested, compiled_code(graph, tested.spec), COMPILED, target, plan.arena_bytes)


def measure_code(tested: Subject, code: Code, engine: str, target: str, arena_bytes: int) -> Cost:
    """The same for the code of any engine."""
    cost = Cost(
        model=tested.name,
        engine=engine,
        target=target,
        macs=tested.graph.macs,
        weights_bytes=tested.graph.weights_bytes,
        arena_bytes=arena_bytes,
        instructions=None,
        flash_bytes=None,
        ram_bytes=None,
    )
    return _measure_host(tested, code, cost) if target == HOST else _measure_cortex_m(tested, code, cost)


def _measure_host(tested: Subject, code: Code, cost: Cost) -> Cost:
    built = build_host_bench(replace(code, spec=None))
    _check(tested, infer_on_host(built / "infer", tested.graph, tested.x))
    size = footprint(built / "footprint", "size")
    return replace(
        cost,
        instructions=count_on_host(built / "infer", tested.x[:1]),
        flash_bytes=size.flash_bytes - cost.weights_bytes,
        ram_bytes=size.ram_bytes,
    )


def _measure_cortex_m(tested: Subject, code: Code, cost: Cost) -> Cost:
    graph, spec, cpu = tested.graph, tested.spec, cost.target
    images = build_bench(code, cpu)
    run = infer(images / "infer", graph, tested.x, cpu)
    _check(tested, run.outputs)
    worst = int(run.instructions.argmax())
    size = footprint(images / "footprint", tool(SIZE))
    cost = replace(
        cost,
        instructions=int(run.instructions[worst]),
        fewest_instructions=int(run.instructions.min()),
        stack_bytes=run.stack_bytes,
        flash_bytes=size.flash_bytes - cost.weights_bytes,
        ram_bytes=size.ram_bytes,
        **_by_layer(tested, images, cost, worst, int(run.instructions[worst])),
    )
    if spec is None:
        return cost
    whole = footprint(images / "path_footprint", tool(SIZE))
    return replace(
        cost,
        classifier_flash_bytes=whole.flash_bytes,
        classifier_ram_bytes=whole.ram_bytes,
        signal_path=tuple(path_cost(images / "path", spec, cpu, rate) for rate in rates(spec)),
    )


def _by_layer(tested: Subject, images: Path, cost: Cost, row: int, instructions: int) -> dict[str, Any]:
    """Fields of a Cost: layers, and the cycles the manual of the Cortex-M4 gives (by layer: of compiled code)."""
    graph, x, cpu, compiled = tested.graph, tested.x[row : row + 1], cost.target, cost.engine == COMPILED
    counted = infer(images / "layers", graph, x, cpu, called=not compiled).layers[0]
    cycles: list[int | None] = [None] * len(counted)
    total = None
    if cpu == TIMED:
        (traced, total), *_ = estimate(images / "infer", cpu, x)
        if traced != instructions:
            raise ToolchainError(f"{traced} instructions traced, {instructions} counted: another QEMU?")
        with_code = [i for i, count in enumerate(counted) if count and compiled]
        for i, (_, spent) in zip(with_code, estimate(images / "layers", cpu, x), strict=False):
            cycles[i] = spent
    layers = tuple(
        Layer(i, o.name, f"{_dimensions(o.input)} to {_dimensions(o.output)}", o.macs, _weights(o), int(n), spent)
        for i, (o, n, spent) in enumerate(zip(graph.operators, counted, cycles, strict=True))
    )
    return {"layers": layers, "cycles": total}


def _check(tested: Subject, outputs: I8) -> None:
    expected = Int8Interpreter(tested.graph).invoke(tested.x)
    different = int((outputs != expected).any(axis=1).sum())
    if different:
        raise ParityError(f"{tested.name}: {different} of {len(expected)} outputs differ from the NumPy engine's")


def _weights(operator: Operator) -> int:
    return sum(tensor.data.nbytes for tensor in operator.weights if tensor.data is not None)


def _dimensions(tensor: Tensor) -> str:
    """Without the batch."""
    return "x".join(map(str, tensor.shape[1:])) or "1"
