"""`generate host`: a small CMake project with a library and a command, for this computer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from px4_tinyml.convert.bundle import ModelBundle
from px4_tinyml.convert.tflite_model import read_model
from px4_tinyml.generate.build import COMMAND, build_tree
from px4_tinyml.generate.compiled import compile_model
from px4_tinyml.generate.spec_header import SPEC_HEADER, check_model, spec_header
from px4_tinyml.generate.write import TEMPLATES, module_sources, render, write_tree
from px4_tinyml.spec import PipelineSpec


def host_files(bundle: ModelBundle) -> dict[str, str]:
    """Every file of the project, by relative path."""
    files = classifier_files(bundle)
    model = [name for name in files if name.startswith("model/") and name.endswith(".cpp")]
    return {**files, **host_frame(bundle.spec, model)}


def classifier_files(bundle: ModelBundle) -> dict[str, str]:
    """core, engine and model of a bundle: what every target has in common."""
    graph = read_model(bundle.model)
    check_model(bundle.spec, graph)
    model = {f"model/{Path(name).name}": text for name, text in compile_model(graph, bundle.spec.hash).items()}
    return {
        **module_sources("core", "engine"),
        **model,
        SPEC_HEADER: spec_header(bundle.spec, graph.input.scale, graph.input.zero_point),
    }


def host_frame(spec: PipelineSpec, model_sources: Sequence[str]) -> dict[str, str]:
    """What surrounds core, engine and model: C interface, command, CMake, README."""
    templates = TEMPLATES / "host"
    return {
        **{path.name: path.read_text(encoding="utf-8") for path in templates.iterdir() if path.suffix != ".j2"},
        "CMakeLists.txt": render("host/CMakeLists.txt.j2", library_sources=["motion.cpp", *sorted(model_sources)]),
        "README.md": render("host/README.md.j2", spec=spec),
    }


def generate_host(bundle: ModelBundle, folder: Path) -> list[Path]:
    """Write the project; returns the files that changed."""
    return write_tree(folder, host_files(bundle))


def build_host(bundle: ModelBundle, cache_dir: Path | None = None) -> Path:
    """The command `motion_classify`, built with the system's compiler; libmotion.so is beside it.

    Built once and kept in cache_dir (default: the user's cache). Raises ToolchainError with the compiler's words.
    """
    return build_tree(host_files(bundle), cache_dir) / COMMAND
