"""The programs that measure: built from generate/templates/bench and a model's generated code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from px4_tinyml.convert.graph import Graph
from px4_tinyml.generate.compiled import compile_model
from px4_tinyml.generate.cortex_m import Program, build_programs, frame_files
from px4_tinyml.generate.spec_header import SPEC_HEADER, spec_header
from px4_tinyml.generate.write import module_sources
from px4_tinyml.spec import PipelineSpec

MODEL = ("model/CompiledModel.cpp",)
RUN = ("startup.cpp", "probe.S")
ROOT = ("-Wl,--entry=motion_footprint",)


def bench_files(graph: Graph, spec: PipelineSpec | None) -> dict[str, str]:
    """core, engine, model and the bench programs, by relative path. spec: None leaves the signal path out."""
    model = compile_model(graph, spec.hash if spec else "")
    files = {
        **module_sources("core", "engine"),
        **{f"model/{name}": text for name, text in model.items()},
        **frame_files("cortex_m"),
        **frame_files("bench"),
    }
    if spec:
        files[SPEC_HEADER] = spec_header(spec, graph.input.scale, graph.input.zero_point)
    return files


def build_bench(graph: Graph, spec: PipelineSpec | None, cpu: str) -> Path:
    """Folder with the images infer, layers, footprint, and path, path_footprint where there is a spec."""
    hook = ("-include", "layers.hpp", f"-DMOTION_LAYERS={len(graph.operators)}")
    programs = {
        "infer": Program((*RUN, "infer.cpp", *MODEL)),
        "layers": Program((*RUN, "infer.cpp", *MODEL), hook),
        "footprint": Program(("footprint.cpp", *MODEL), link_flags=ROOT),
    }
    if spec:
        programs["path"] = Program((*RUN, "path.cpp", *MODEL))
        programs["path_footprint"] = Program(("path_footprint.cpp", *MODEL), link_flags=ROOT)
    return build_programs(bench_files(graph, spec), cpu, programs)


def build_calibration(cpu: str) -> Path:
    """The image that runs loops of known length."""
    files: Mapping[str, str] = {**frame_files("cortex_m"), **frame_files("bench")}
    return build_programs(files, cpu, {"calibrate": Program((*RUN, "calibrate.cpp"))}) / "calibrate"
