"""Compiles generated models into one small program and runs rows through them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.convert.graph import Graph
from px4_tinyml.generate.compiled import compile_model
from px4_tinyml.paths import target_root

MODULE = target_root("px4_module") / "src" / "modules" / "motion_classifier"
WARNINGS = ("-Wall", "-Wextra", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")
FLAGS = ("-std=c++14", *WARNINGS, "-fno-exceptions", "-fno-rtti")
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
HERE = Path(__file__).resolve().parent


def one_source(graphs: Sequence[Graph]) -> str:
    """All models in one translation unit, each in a namespace of its own, and a main that takes an index."""
    parts = ['#include "driver.hpp"', "#include <stdlib.h>"]
    for i, graph in enumerate(graphs):
        files = compile_model(graph, f"{i:x}", namespace=f"model{i}")
        text = files["CompiledModel.hpp"].replace("#pragma once", "") + files["CompiledModel.cpp"]
        parts.append(text.replace('#include "model/CompiledModel.hpp"', ""))
    cases = "\n".join(f"case {i}: return drive<model{i}::CompiledModel>();" for i in range(len(graphs)))
    parts.append(f"int main(int, char **argv) {{ switch (atoi(argv[1])) {{ {cases} default: return 2; }} }}")
    return "\n".join(parts)


class Program:
    """Models compiled with g++ and the project's warnings as errors."""

    def __init__(self, graphs: Sequence[Graph], folder: Path, options: Sequence[str] = ("-O2",)) -> None:
        self.graphs = graphs
        self.program = folder / "program"
        source = folder / "models.cpp"
        source.write_text(one_source(graphs), encoding="utf-8")
        command = ["g++", *FLAGS, *options, f"-I{MODULE}", f"-I{HERE}", str(source), "-o", str(self.program)]
        subprocess.run(command, check=True, timeout=300)

    def invoke(self, index: int, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """int8[N, …] through model `index` → int8[N, output size]."""
        rows = np.ascontiguousarray(x).tobytes()
        done = subprocess.run([self.program, str(index)], input=rows, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return np.frombuffer(done.stdout, np.int8).reshape(len(x), self.graphs[index].output.size)
