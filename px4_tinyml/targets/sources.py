"""Source files that every target has in common: core, engine, model and the constants of the signal path."""

from __future__ import annotations

from collections.abc import Mapping

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.emit.write import MODULE, module_sources
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.spec_header import SPEC_HEADER, spec_header
from px4_tinyml.targets.tflm.generate import Arena, tflm_model

ENGINE_HEADER = "Engine.hpp"
"""Chooses between the engines."""


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
