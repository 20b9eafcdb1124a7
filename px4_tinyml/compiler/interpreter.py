"""Runs an int8 model in NumPy, bit for bit as TensorFlow Lite Micro does, a batch at a time.

No TensorFlow and no compiler: the reference for the C++ engine on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import I8

_BATCH = 512
"""Rows computed at once: limits the memory for any number of windows."""


class Int8Interpreter:
    """`invoke(x)`: int8[N, input size] (or [N, *input shape]) → int8[N, output size]."""

    def __init__(self, model: Graph | bytes) -> None:
        self.graph = read_model(model) if isinstance(model, bytes) else model
        self.steps = self.graph.steps

    def invoke(self, x: NDArray[np.int8]) -> I8:
        """Run every row of x through the model."""
        rows = as_rows(x, self.graph.input.size)
        outputs = [self._run(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)]
        return np.concatenate(outputs) if outputs else np.empty((0, self.graph.output.size), np.int8)

    def _run(self, rows: I8) -> I8:
        values: dict[int, I64] = {self.graph.input.index: rows.astype(np.int64)}

        def read(tensor: Tensor) -> I64:
            if tensor.data is not None:
                return np.broadcast_to(tensor.data.astype(np.int64).ravel(), (len(rows), tensor.size))
            return values[tensor.index]

        for step in self.steps:
            output = step.run([read(tensor) for tensor in step.operator.inputs])
            values[step.operator.output.index] = output.reshape(len(rows), -1)
        return values[self.graph.output.index].astype(np.int8)


def as_rows(x: NDArray[np.int8], size: int) -> I8:
    """x as int8[N, size], checked: a silent cast or reshape here would hide a wrong window."""
    if x.dtype != np.int8 or x.ndim < 1 or x[:1].size not in (0, size):
        raise ConversionError(f"model input: {x.dtype}{list(x.shape)} found, int8[N, {size}] expected")
    return np.ascontiguousarray(x).reshape(len(x), size)
