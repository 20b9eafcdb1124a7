"""TensorFlow Lite Micro as an engine to be measured, built against the tree that the environment names."""

from __future__ import annotations

import subprocess
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.write import text_files
from px4_tinyml.errors import ConversionError, ToolchainError
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.base import Code
from px4_tinyml.targets.cortex_m.build import RUN, bench_files, build_images
from px4_tinyml.targets.cortex_m.run import run_image
from px4_tinyml.targets.host.build import build_host_programs
from px4_tinyml.targets.tflm.build import TflmTree
from px4_tinyml.targets.tflm.generate import Arena, tflm_model

TEMPLATES = Path(__file__).resolve().parent / "templates"


def tflm_code(model: bytes, graph: Graph, spec: PipelineSpec | None, tree: TflmTree, arena: Arena, target: str) -> Code:
    """A model to be built with TensorFlow Lite Micro for host, cortex-m4 or cortex-m7."""
    files = tflm_model(model, graph, spec.hash if spec else "", arena)
    flags = tree.flags("nm" if target == "host" else "arm-none-eabi-nm")
    return Code(graph, spec, files, "tflm_layers.hpp", text_files(TEMPLATES / "bench"), flags, (tree.library,))


def measured_arena(model: bytes, graph: Graph, tree: TflmTree, target: str) -> Arena:
    """The smallest arena the model starts in, found by trying on the target itself."""
    code = tflm_code(model, graph, None, tree, Arena(0, "not known yet"), target)
    data = _run_here(code) if target == "host" else _emulate(code, target)
    size = int.from_bytes(data, "little")
    if size == 0:
        raise ConversionError(f"TensorFlow Lite Micro does not start this model on {target}, however large its arena")
    return Arena(size, f"measured on {target}: the smallest that is enough")


def arena_for(bundle: ModelBundle, target: str) -> Arena:
    """Measured where the environment names a TFLite Micro for the target, else estimated from the wheel's."""
    # Both emulated processors have the same pointers and kernels.
    built_for = "host" if target == "host" else "cortex-m4"
    tree = TflmTree.find(built_for)
    if tree:
        return measured_arena(bundle.model, bundle.graph, tree, built_for)
    return Arena.estimated(bundle.tflm_arena_bytes())


def _emulate(code: Code, cpu: str) -> bytes:
    images = build_images({**code.files, **bench_files()}, cpu, {"arena": code.program(*RUN, "arena.cpp")})
    return run_image(images / "arena", cpu, {}, ["arena"])["arena"]


def _run_here(code: Code) -> bytes:
    program = build_host_programs(code.files, {"arena": code.program("arena.cpp")}) / "arena"
    done = subprocess.run([str(program)], capture_output=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{program} ended with {done.returncode}")
    return done.stdout
