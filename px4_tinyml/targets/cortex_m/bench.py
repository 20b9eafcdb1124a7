"""The programs that measure: built from generate/templates/bench and a model's generated code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.write import module_sources
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.cortex_m.generate import Program, build_programs, frame_files
from px4_tinyml.targets.host.generate import engine_header
from px4_tinyml.targets.spec_header import SPEC_HEADER, spec_header
from px4_tinyml.targets.tflm.generate import Arena, TflmTree, tflm_model

RUN = ("startup.cpp", "probe.S")
ROOT = ("-Wl,--entry=motion_footprint",)


@dataclass(frozen=True, eq=False)
class Code:
    """A model and its engine, to be built into programs. layer_header: what times the layers, included first."""

    graph: Graph
    spec: PipelineSpec | None
    model: Mapping[str, str]
    layer_header: str
    flags: Sequence[str] = ()
    libraries: Sequence[Path] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The model's .cpp files, relative to the tree."""
        return tuple(f"model/{name}" for name in self.model if name.endswith(".cpp"))

    @property
    def files(self) -> dict[str, str]:
        """core, engine, model and the bench programs, by relative path; without a spec, no signal path."""
        files = {
            **module_sources("core", "engine"),
            **engine_header(),
            **{f"model/{name}": text for name, text in self.model.items()},
            **frame_files(),
            **frame_files("bench"),
        }
        if self.spec:
            files[SPEC_HEADER] = spec_header(self.spec, self.graph.input.scale, self.graph.input.zero_point)
        return files

    def program(self, *sources: str, flags: Sequence[str] = (), link_flags: Sequence[str] = ()) -> Program:
        """An image of these sources with the model and its engine."""
        return Program((*sources, *self.sources), (*self.flags, *flags), link_flags, self.libraries)


def compiled_code(graph: Graph, spec: PipelineSpec | None) -> Code:
    """For the compiled engine."""
    return Code(graph, spec, compile_model(graph, spec.hash if spec else ""), "layers.hpp")


def tflm_code(model: bytes, graph: Graph, spec: PipelineSpec | None, tree: TflmTree, arena: Arena, target: str) -> Code:
    """For TensorFlow Lite Micro."""
    files = tflm_model(model, graph, spec.hash if spec else "", arena)
    flags = tree.flags("nm" if target == "host" else "arm-none-eabi-nm")
    return Code(graph, spec, files, "tflm_layers.hpp", flags, (tree.library,))


def build_bench(code: Code, cpu: str) -> Path:
    """Folder with the images infer, layers, footprint, and path, path_footprint where there is a spec."""
    hook = ("-include", code.layer_header, f"-DMOTION_LAYERS={len(code.graph.operators)}")
    programs = {
        "infer": code.program(*RUN, "infer.cpp"),
        "layers": code.program(*RUN, "infer.cpp", flags=hook),
        "footprint": code.program("footprint.cpp", "abort.cpp", link_flags=ROOT),
    }
    if code.spec:
        programs["path"] = code.program(*RUN, "path.cpp")
        programs["path_footprint"] = code.program("path_footprint.cpp", "abort.cpp", link_flags=ROOT)
    return build_programs(code.files, cpu, programs)


def build_calibration(cpu: str) -> Path:
    """The image that runs loops of known length."""
    files: Mapping[str, str] = {**frame_files(), **frame_files("bench")}
    return build_programs(files, cpu, {"calibrate": Program((*RUN, "calibrate.cpp"))}) / "calibrate"
