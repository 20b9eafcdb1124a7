"""TensorFlow Lite Micro, built against the tree the environment names, measured as the compiled engine is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from px4_tinyml.bench.cost import Cost
from px4_tinyml.bench.measure import HOST, Subject, check_target, measure_code
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.toolchain import build_once, compiler, file_digest, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ConversionError, ToolchainError
from px4_tinyml.targets.cortex_m.bench import RUN, Code, tflm_code
from px4_tinyml.targets.cortex_m.generate import build_programs
from px4_tinyml.targets.cortex_m.run import run_image
from px4_tinyml.targets.tflm.generate import DIR_VARIABLE, Arena, TflmTree

WITH_CMSIS_NN, REFERENCE = "tflm", "tflm-reference"
"""What the engine is called with CMSIS-NN's kernels, and without."""


def measure_tflm(tested: Subject, target: str) -> Cost:
    """TFLite Micro on a target; raises ToolchainError when the environment names none for it."""
    check_target(target)
    tree = TflmTree.find(target)
    if tree is None:
        raise ToolchainError(f"{DIR_VARIABLE} is not set: TensorFlow Lite Micro cannot be measured (docs/tflm.md)")
    arena = measured_arena(tested.model, tested.graph, tree, target)
    code = tflm_code(tested.model, tested.graph, tested.spec, tree, arena, target)
    engine = WITH_CMSIS_NN if "-DCMSIS_NN" in code.flags else REFERENCE
    return measure_code(tested, code, engine, target, arena.size)


def measured_arena(model: bytes, graph: Graph, tree: TflmTree, target: str) -> Arena:
    """The smallest arena the model starts in, found by trying on the target itself."""
    code = tflm_code(model, graph, None, tree, Arena(0, "not known yet"), target)
    data = _run_here(code) if target == HOST else _emulate(code, target)
    size = int.from_bytes(data, "little")
    if size == 0:
        raise ConversionError(f"TensorFlow Lite Micro does not start this model on {target}, however large its arena")
    return Arena(size, f"measured on {target}: the smallest that is enough")


def _emulate(code: Code, cpu: str) -> bytes:
    images = build_programs(code.files, cpu, {"arena": code.program(*RUN, "arena.cpp")})
    return run_image(images / "arena", cpu, {}, ["arena"])["arena"]


def _run_here(code: Code) -> bytes:
    files, command = code.files, [*compiler(), "-O2", *code.flags]

    def make(work: Path) -> Path:
        write_tree(work / "src", files)
        product = work / "product"
        product.mkdir()
        sources = [str(work / "src" / name) for name in ("arena.cpp", *code.sources)]
        libraries = [str(library) for library in code.libraries]
        run_tool([*command, "-I", str(work / "src"), *sources, *libraries, "-o", str(product / "arena")])
        return product

    key = (command, sorted(files.items()), [file_digest(library) for library in code.libraries])
    program = build_once("host-arena", key, make) / "arena"
    done = subprocess.run([str(program)], capture_output=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{program} ended with {done.returncode}")
    return done.stdout
