"""A model for TensorFlow Lite Micro: its bytes, a resolver with just its operators, and the tree to build against.

Counterpart of compiled.py for engine/TflmEngine.hpp. TFLite Micro itself is not part of this project: two variables
of the environment say where it is (docs/tflm.md).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.ops import OPERATORS
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.emit.cpp import float_literal, rows
from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.emit.write import license_header, render
from px4_tinyml.errors import ToolchainError

DIR_VARIABLE, LIB_VARIABLE = "PX4_TINYML_TFLM_DIR", "PX4_TINYML_TFLM_LIB"
INTERPRETER = Path("tensorflow/lite/micro/micro_interpreter.h")
THIRD_PARTY = tuple(
    f"{place}/{package}"
    for place in ("tensorflow/lite/micro/tools/make/downloads", "third_party")
    for package in ("flatbuffers/include", "gemmlowp", "ruy")
)
"""Headers TFLite Micro needs: where its Makefile downloads them to, and where create_tflm_tree.py copies them."""

FLAGS = ("-std=c++17", "-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS", "-DNDEBUG", "-DMOTION_ENGINE_TFLM")
"""TFLite Micro's headers are C++17; its library is always built with TF_LITE_STATIC_MEMORY."""
BYTES_PER_LINE = 24
ALIGNMENT = 16


@dataclass(frozen=True)
class Arena:
    """Size of a model's arena, and where the figure is from (a comment in the generated code)."""

    size: int
    origin: str

    @classmethod
    def estimated(cls, host_bytes: int) -> Arena:
        """From what the tflite-micro wheel uses. Its pointers have 8 bytes, which is more than a controller needs for
        the same kernels; a quarter on top is for what CMSIS-NN's kernels may take besides.
        """
        size = -(-host_bytes * 5 // 4 // ALIGNMENT) * ALIGNMENT
        return cls(size, f"estimated: {host_bytes} bytes with 8-byte pointers, and a quarter")


@dataclass(frozen=True)
class TflmTree:
    """A TFLite Micro to build against: its source tree, and its static library for one target."""

    folder: Path
    library: Path

    @classmethod
    def find(cls, target: str) -> TflmTree | None:
        """The one of the environment, for host, cortex-m4 or cortex-m7; None when there is none.

        Raises ToolchainError when only half of it is given, or something is not where it should be.
        """
        folder, library = (os.environ.get(name) for name in (DIR_VARIABLE, LIB_VARIABLE))
        if not folder and not library:
            return None
        if not folder or not library:
            missing = LIB_VARIABLE if folder else DIR_VARIABLE
            raise ToolchainError(f"{missing} is not set: the source tree and a library are needed (docs/tflm.md)")
        tree = cls(Path(folder).absolute(), Path(library.replace("{target}", target)).absolute())
        if not (tree.folder / INTERPRETER).is_file():
            raise ToolchainError(
                f"{DIR_VARIABLE}={folder}: {INTERPRETER} is not in it; give TFLite Micro's source tree"
            )
        if not tree.library.is_file():
            raise ToolchainError(f"{LIB_VARIABLE}: {tree.library} does not exist; build it, or name that for {target}")
        return tree

    def flags(self, nm: str) -> tuple[str, ...]:
        """For the compiler. nm: the binutils program for the library's format."""
        includes = [self.folder, *(self.folder / place for place in THIRD_PARTY)]
        # Without CMSIS-NN, the headers turn the int8 registrations into the general ones.
        optimized = "Register_CONV_2D_INT8()" in run_tool([nm, "--defined-only", "--demangle", str(self.library)])
        cmsis_nn = ("-DCMSIS_NN",) if optimized else ()
        return (*FLAGS, *cmsis_nn, *(part for path in includes for part in ("-isystem", str(path))))


def tflm_model(model: bytes, graph: Graph, spec_hash: str, arena: Arena) -> dict[str, str]:
    """File name → content of TflmModel.hpp and .cpp, to be put into a folder `model` beside `engine`.

    graph: read from the same model. The same arguments give the same text.
    """
    values = {
        "license": license_header(),
        "operators": [OPERATORS[name] for name in graph.operator_names],
        "ends": {"Input": _end(graph.input), "Output": _end(graph.output)},
        "arena": arena,
        "spec_hash": spec_hash,
        "rows": rows(model, BYTES_PER_LINE),
    }
    return {name: render(f"targets/tflm/templates/{name}.j2", **values) for name in ("TflmModel.hpp", "TflmModel.cpp")}


def _end(tensor: Tensor) -> dict[str, object]:
    return {
        "size": tensor.size,
        "shape": tensor.shape,
        "scale": float_literal(tensor.scale),
        "zero_point": tensor.zero_point,
    }
