"""Source files that every target has in common: core, engine, model and the constants of the signal path."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.cpp import float_literal, listed, quoted
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.emit.write import MODULE, module_sources, render
from px4_tinyml.errors import SpecError, ToolchainError
from px4_tinyml.signal.spec import IMU_CHANNELS, TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.targets.tflm.generate import Arena, tflm_model

ENGINE_HEADER = "Engine.hpp"
"""Chooses between the engines."""
SPEC_HEADER = "model/MotionSpec.hpp"
MIN_INPUT_SCALE = 1e-6


def classifier_files(bundle: ModelBundle, tflm: Arena | None = None) -> dict[str, str]:
    """core, engine and model of a bundle, by relative path. tflm: for TensorFlow Lite Micro, with this arena."""
    graph = bundle.graph
    if tflm is None:
        model = compile_model(graph, bundle.spec.hash)
    else:
        model = tflm_model(bundle.model, graph, bundle.spec.hash, tflm)
    return {**engine_header(), **model_files(model, graph, bundle.spec)}


def model_files(model: Mapping[str, str], graph: Graph, spec: PipelineSpec | None) -> dict[str, str]:
    """core, engine and the generated files of a model, by relative path. Without a spec: no MotionSpec.hpp."""
    files = {**module_sources("core", "engine"), **{f"model/{name}": text for name, text in model.items()}}
    if spec is not None:
        files[SPEC_HEADER] = spec_header(spec, graph.input.scale, graph.input.zero_point)
    return files


def engine_header() -> dict[str, str]:
    """Engine.hpp, by relative path."""
    return {ENGINE_HEADER: (target_root("px4_module") / MODULE / ENGINE_HEADER).read_text(encoding="utf-8")}


def check_has_cpp(spec: PipelineSpec) -> None:
    """ToolchainError for a signal path that is in Python only."""
    if spec.input == "bands":
        raise ToolchainError('no C++ for this bundle: with input = "bands" only --engine numpy and tflm can run it')


def spec_header(spec: PipelineSpec, input_scale: float, input_zero_point: int) -> str:
    """Text of MotionSpec.hpp: constants of the signal path for the C++ core.

    input_scale, input_zero_point: int8 quantization of the model's input. Raises SpecError for a spec without offsets
    and scales, or a scale the core cannot work with.
    """
    check_has_cpp(spec)
    if spec.offset is None or spec.inv_scale is None:
        raise SpecError("the spec has no offsets and scales: use the spec of a trained bundle")
    if not (math.isfinite(input_scale) and input_scale >= MIN_INPUT_SCALE):
        raise SpecError(f"the model's input scale is {input_scale}: expected at least {MIN_INPUT_SCALE}")
    return render(
        "targets/templates/MotionSpec.hpp.j2",
        spec=spec,
        imu_axes=[IMU_CHANNELS.index(c) for c in spec.channels if c in IMU_CHANNELS],
        offset=listed(map(float_literal, spec.offset)),
        inv_scale=listed(map(float_literal, spec.inv_scale)),
        labels=listed(map(quoted, spec.labels)),
        clip=float_literal(spec.clip),
        inv_input_scale=float_literal(1.0 / float(np.float32(input_scale))),
        input_zero_point=input_zero_point,
        turbulence=spec.labels.index(TURBULENCE_LABEL) if TURBULENCE_LABEL in spec.labels else -1,
    )
