"""Compiles generated models into one small program and runs rows through them, here or on an emulated Cortex-M."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.targets.cortex_m import build as cortex_m
from px4_tinyml.targets.cortex_m.run import run_image

MODULE = target_root("px4_module") / "src" / "modules" / "motion_classifier"
WARNINGS = ("-Wall", "-Wextra", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")
FLAGS = ("-std=c++14", *WARNINGS, "-fno-exceptions", "-fno-rtti")
HOST = {"plain": ("-O2",), "sanitized": ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")}
CORTEX_M = {
    "cortex-m4": (), "cortex-m7": (),
    # As PX4 builds, and for a debugger: the assembly must find enough registers there, too.
    "cortex-m4 small": ("-Os", "-fno-omit-frame-pointer"), "cortex-m4 unoptimized": ("-O0",),
}  # fmt: skip
TARGETS = (*HOST, *CORTEX_M)
HERE = Path(__file__).resolve().parent
Rows = NDArray[np.int8]


def one_source(graphs: Sequence[Graph]) -> str:
    """All models in one translation unit, each in its own namespace, and a main that runs them in turn."""
    parts = ['#include "driver.hpp"']
    for i, graph in enumerate(graphs):
        files = compile_model(graph, f"{i:x}", namespace=f"model{i}")
        text = files["CompiledModel.hpp"].replace("#pragma once", "") + files["CompiledModel.cpp"]
        parts.append(text.replace('#include "model/CompiledModel.hpp"', ""))
    every = " && ".join(f"drive<model{i}::CompiledModel>(stream)" for i in range(len(graphs)))
    parts.append(f"int main() {{ Stream stream; return {every} ? 0 : 1; }}\n")
    return "\n".join(parts)


def run_cpp(graphs: Sequence[Graph], inputs: Sequence[Rows], folder: Path, target: str) -> list[Rows]:
    """int8[N, …] for each model → int8[N, output size] for each, with warnings of the compiler as errors."""
    blocks = (struct.pack("<I", len(x)) + np.ascontiguousarray(x).tobytes() for x in inputs)
    run = _run_here if target in HOST else _run_emulated
    values = np.frombuffer(run(one_source(graphs), folder, target, b"".join(blocks)), np.int8)
    sizes = [len(x) * graph.output.size for x, graph in zip(inputs, graphs, strict=True)]
    assert len(values) == sum(sizes)
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(len(x), -1) for part, x in zip(parts, inputs, strict=True)]


def check_engines(models: Mapping[str, bytes], inputs: Sequence[Rows], folder: Path, target: str) -> list[Rows]:
    """Outputs of TFLite Micro for int8[N, …] of each model, which NumPy and C++ must give, too."""
    results = run_cpp([read_model(data) for data in models.values()], inputs, folder, target)
    for (name, data), x, got in zip(models.items(), inputs, results, strict=True):
        expected = TflmInterpreter(data).invoke(x)
        assert np.array_equal(got, expected), name
        assert np.array_equal(Int8Interpreter(data).invoke(x), expected), name
    return results


def _run_here(source: str, folder: Path, target: str, data: bytes) -> bytes:
    program, path = folder / "program", folder / "models.cpp"
    path.write_text(source, encoding="utf-8")
    command = ["g++", *FLAGS, *HOST[target], f"-I{MODULE}", f"-I{HERE}", str(path), "-o", str(program)]
    subprocess.run(command, check=True, timeout=300)
    done = subprocess.run([program], input=data, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _run_emulated(source: str, folder: Path, target: str, data: bytes) -> bytes:
    files = {**cortex_m.frame_files(), "models.cpp": source}
    program = cortex_m.Program(("startup.cpp", "models.cpp"), (f"-I{MODULE}", f"-I{HERE}", *CORTEX_M[target]))
    cpu = target.split()[0]
    image = cortex_m.build_images(files, cpu, {"models": program}, folder) / "models"
    return run_image(image, cpu, {"in": data}, ["out"])["out"]
