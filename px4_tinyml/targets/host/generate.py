"""`generate host`: a small CMake project with a library and a command, for this computer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.emit.toolchain import COMMAND, build_tree
from px4_tinyml.emit.write import MODULE, PACKAGE, module_sources, render, write_tree
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.spec_header import SPEC_HEADER, spec_header
from px4_tinyml.targets.tflm.generate import DIR_VARIABLE, FLAGS, LIB_VARIABLE, THIRD_PARTY, Arena, tflm_model

ENGINE_HEADER = "Engine.hpp"
"""Chooses between the engines; all trees have it."""


def host_files(bundle: ModelBundle, tflm: Arena | None = None) -> dict[str, str]:
    """Every file of the project, by relative path. tflm: for TensorFlow Lite Micro, with this arena."""
    files = classifier_files(bundle, tflm)
    model = [name for name in files if name.startswith("model/") and name.endswith(".cpp")]
    return {**files, **host_frame(bundle.spec, model, tflm is not None)}


def classifier_files(bundle: ModelBundle, tflm: Arena | None = None) -> dict[str, str]:
    """core, engine and model of a bundle: what every target has in common."""
    graph = bundle.graph
    if tflm is None:
        model = compile_model(graph, bundle.spec.hash)
    else:
        model = tflm_model(bundle.model, graph, bundle.spec.hash, tflm)
    return {
        **module_sources("core", "engine"),
        **engine_header(),
        **{f"model/{name}": text for name, text in model.items()},
        SPEC_HEADER: spec_header(bundle.spec, graph.input.scale, graph.input.zero_point),
    }


def engine_header() -> dict[str, str]:
    """Engine.hpp, by relative path."""
    return {ENGINE_HEADER: (target_root("px4_module") / MODULE / ENGINE_HEADER).read_text(encoding="utf-8")}


def host_frame(spec: PipelineSpec, model_sources: Sequence[str], tflm: bool = False) -> dict[str, str]:
    """What surrounds core, engine and model: C interface, command, CMake, README."""
    templates = PACKAGE / "targets/host/templates"
    values = {"tflm": tflm_values() if tflm else None, "library_sources": ["motion.cpp", *sorted(model_sources)]}
    return {
        **{path.name: path.read_text(encoding="utf-8") for path in templates.iterdir() if path.suffix != ".j2"},
        **engine_header(),
        "CMakeLists.txt": render("targets/host/templates/CMakeLists.txt.j2", **values),
        "README.md": render("targets/host/templates/README.md.j2", spec=spec, **values),
    }


def tflm_values() -> dict[str, object]:
    """What templates need to find TensorFlow Lite Micro."""
    definitions = [flag for flag in FLAGS if flag.startswith("-D")]
    places = {"dir": DIR_VARIABLE, "lib": LIB_VARIABLE, "third_party": THIRD_PARTY}
    return {**places, "definitions": definitions}


def generate_host(bundle: ModelBundle, folder: Path, tflm: Arena | None = None) -> list[Path]:
    """Write the project; returns the files that changed."""
    return write_tree(folder, host_files(bundle, tflm))


def build_host(bundle: ModelBundle, cache_dir: Path | None = None) -> Path:
    """The command `motion_classify`, built with the system's compiler; libmotion.so is beside it.

    Built once and kept in cache_dir (default: the user's cache). Raises ToolchainError with the compiler's words.
    """
    return build_tree(host_files(bundle), cache_dir) / COMMAND
