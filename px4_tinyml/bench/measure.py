"""Measures a model on its targets."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from px4_tinyml.bench.recorded import RECORDED
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.model_bundle import MAX_BYTES
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.plan import plan_memory
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.emit.shipped import bundle_folder
from px4_tinyml.errors import ConversionError, SpecError, ToolchainError
from px4_tinyml.files import read_file
from px4_tinyml.signal.golden import read_golden
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.targets.base import Code, Cost, Subject, compiled_code
from px4_tinyml.targets.cortex_m.bench import measure_cortex_m
from px4_tinyml.targets.cortex_m.build import CPUS
from px4_tinyml.targets.host.bench import measure_host
from px4_tinyml.targets.tflm.bench import measured_arena, tflm_code
from px4_tinyml.targets.tflm.build import DIR_VARIABLE, TflmTree

log = logging.getLogger(__name__)

TARGETS = ("host", *CPUS)
ENGINES = ("compiled", "tflm")
"""Engines that can be measured."""
ROWS = 64
"""Inputs measured: rounding and softmax make the count depend on them, by a fraction of a percent."""


def read_subject(path: Path) -> Subject:
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
        model = read_file(path, MAX_BYTES)
    except OSError as error:
        raise ConversionError(f"{path}: neither a bundle nor a .tflite file ({error.strerror})") from error
    graph = read_model(model)
    x = np.random.default_rng(0).integers(-128, 128, (ROWS, graph.input.size), np.int8)
    return Subject(path.stem, model, graph, x, _preset(graph))


def _preset(graph: Graph) -> PipelineSpec | None:
    """The preset whose windows the model takes, with scales that change no cost; None without one."""
    for spec in PRESETS.values():
        fits = graph.input.size == spec.window * len(spec.channels) and graph.output.size == len(spec.labels)
        if fits and len(graph.input.scales) == 1:
            ones = (1.0,) * len(spec.channels)
            return PipelineSpec.from_dict({**spec.to_dict(), "offset": (0.0,) * len(ones), "inv_scale": ones})
    return None


def measure(subject: Subject, target: str, engine: str = "compiled") -> Cost:
    """One of ENGINES on one of TARGETS.

    Raises SpecError for an unknown target, ParityError when outputs differ from the NumPy engine's, ToolchainError
    where the target cannot run or the environment names no TensorFlow Lite Micro for it.
    """
    if target not in TARGETS:
        raise SpecError(f"target {target!r} is not known; expected some of {', '.join(TARGETS)}")
    if engine == "tflm":
        code, name, arena_bytes = _tflm(subject, target)
    else:
        code, name = compiled_code(subject.graph, subject.spec), "compiled"
        arena_bytes = plan_memory(subject.graph).arena_bytes
    cost = Cost(
        model=subject.name,
        engine=name,
        target=target,
        macs=subject.graph.macs,
        weights_bytes=subject.graph.weights_bytes,
        arena_bytes=arena_bytes,
        instructions=None,
        flash_bytes=None,
        ram_bytes=None,
    )
    return (measure_host if target == "host" else measure_cortex_m)(subject, code, cost)


def _tflm(subject: Subject, target: str) -> tuple[Code, str, int]:
    """Named "tflm-reference" without CMSIS-NN's kernels."""
    tree = TflmTree.find(target)
    if tree is None:
        raise ToolchainError(f"{DIR_VARIABLE} is not set: TensorFlow Lite Micro cannot be measured (docs/tflm.md)")
    arena = measured_arena(subject.model, subject.graph, tree, target)
    code = tflm_code(subject.model, subject.graph, subject.spec, tree, arena, target)
    return code, "tflm" if "-DCMSIS_NN" in code.flags else "tflm-reference", arena.size


def measure_all(subject: Subject, targets: Sequence[str] | None = None, engine: str = "compiled") -> list[Cost]:
    """Every target measured, and recorded figures of other engines. None: all targets that can run here.

    engine: "tflm" measures TensorFlow Lite Micro as well, where the environment names one. Raises ToolchainError
    when a named target, or every one, cannot run here.
    """
    costs: list[Cost] = []
    engines = ENGINES if engine == "tflm" and os.environ.get(DIR_VARIABLE) else ENGINES[:1]
    for target in dict.fromkeys(targets or TARGETS):
        try:
            measured = [measure(subject, target, each) for each in engines]
        except ToolchainError as error:
            if targets is not None:
                raise
            log.warning("target %s is skipped: %s", target, error)
            continue
        known = {cost.engine for cost in measured}
        costs += measured
        costs += [c for c in RECORDED.get(subject.sha256, ()) if c.target == target and c.engine not in known]
    if not costs:
        raise ToolchainError("no target can run here: nothing was measured")
    return costs
