"""A model for TensorFlow Lite Micro: its bytes, and a resolver with its operators only (docs/tflm.md).

Counterpart of compiler/cpp_model.py, for engine/TflmEngine.hpp.
"""

from __future__ import annotations

from dataclasses import dataclass

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.ops import OPERATORS
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.emit.cpp import float_literal, rows
from px4_tinyml.emit.write import license_header, render

BYTES_PER_LINE = 24
ALIGNMENT = 16


@dataclass(frozen=True)
class Arena:
    """Size of a model's arena, and where the figure is from (a comment in the generated code)."""

    size: int
    origin: str

    @classmethod
    def estimated(cls, host_bytes: int) -> Arena:
        """From the arena of the tflite-micro wheel. Its 8-byte pointers need more than a controller's; the additional
        quarter is for CMSIS-NN's kernels.
        """
        size = -(-host_bytes * 5 // 4 // ALIGNMENT) * ALIGNMENT
        return cls(size, f"estimated: {host_bytes} bytes with 8-byte pointers, and a quarter")


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
