"""`generate host`: a small CMake project with a library and a command, for this computer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.write import render, text_files, write_tree
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.sources import classifier_files, engine_header
from px4_tinyml.targets.tflm.build import tflm_values
from px4_tinyml.targets.tflm.generate import Arena

TEMPLATES = Path(__file__).resolve().parent / "templates"


def host_files(bundle: ModelBundle, tflm: Arena | None = None) -> dict[str, str]:
    """Every file of the project, by relative path. tflm: for TensorFlow Lite Micro, with this arena."""
    files = classifier_files(bundle, tflm)
    model = [name for name in files if name.startswith("model/") and name.endswith(".cpp")]
    return {**files, **host_frame(bundle.spec, model, tflm is not None)}


def host_frame(spec: PipelineSpec, model_sources: Sequence[str], tflm: bool = False) -> dict[str, str]:
    """Files around core, engine and model: C interface, command, CMake, README."""
    values = {"tflm": tflm_values() if tflm else None, "library_sources": ["motion.cpp", *sorted(model_sources)]}
    return {
        **text_files(TEMPLATES),
        **engine_header(),
        "CMakeLists.txt": render("targets/host/templates/CMakeLists.txt.j2", **values),
        "README.md": render("targets/host/templates/README.md.j2", spec=spec, **values),
    }


def generate_host(bundle: ModelBundle, folder: Path, tflm: Arena | None = None) -> list[Path]:
    """Write the project; returns the files that changed."""
    return write_tree(folder, host_files(bundle, tflm))
