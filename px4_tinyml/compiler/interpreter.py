"""Runs an int8 model in NumPy, bit for bit as TensorFlow Lite Micro does, a batch at a time.

No TensorFlow and no compiler: the reference for the C++ engine on every machine (DESIGN §5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler import steps
from px4_tinyml.compiler.graph import Graph, Tensor
from px4_tinyml.compiler.lower import lower
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import I8

_BATCH = 512
"""Rows worked on at once: bounds the memory, whatever the number of windows."""


class Int8Interpreter:
    """`invoke(x)`: int8[N, input size] (or [N, *input shape]) → int8[N, output size]."""

    def __init__(self, model: Graph | bytes) -> None:
        self.graph = read_model(model) if isinstance(model, bytes) else model
        self.steps = lower(self.graph)

    def invoke(self, x: NDArray[np.int8]) -> I8:
        """Run every row of x through the model."""
        rows = as_rows(x, self.graph.input.size)
        outputs = [self._run(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)]
        return np.concatenate(outputs) if outputs else np.empty((0, self.graph.output.size), np.int8)

    def _run(self, rows: I8) -> I8:
        values: dict[int, fp.I64] = {self.graph.input.index: rows.astype(np.int64)}

        def read(tensor: Tensor) -> fp.I64:
            if tensor.data is not None:
                return np.broadcast_to(tensor.data.astype(np.int64).ravel(), (len(rows), tensor.size))
            return values[tensor.index]

        for step in self.steps:
            operands = [read(tensor) for tensor in step.operator.inputs]
            output = _RUN[type(step)](step, *operands)
            values[step.operator.output.index] = output.reshape(len(rows), -1)
        return values[self.graph.output.index].astype(np.int8)


def as_rows(x: NDArray[np.int8], size: int) -> I8:
    """x as int8[N, size], checked: a silent cast or reshape here would hide a wrong window."""
    if x.dtype != np.int8 or x.ndim < 1 or x[:1].size not in (0, size):
        raise ConversionError(f"model input: {x.dtype}{list(x.shape)} found, int8[N, {size}] expected")
    return np.ascontiguousarray(x).reshape(len(x), size)


def _finish(total: NDArray[Any], channels: steps.Channels, clamp: steps.Clamp) -> fp.I64:
    """Bias, rescaling, zero point and activation; the last axis of total is the channel."""
    accumulator = total.astype(np.int64) + channels.bias
    output = fp.multiply(accumulator, channels.multiplier, channels.shift) + clamp.zero_point
    return _clip(output, clamp)


def _clip(output: fp.I64, clamp: steps.Clamp) -> fp.I64:
    return np.minimum(np.maximum(output, clamp.minimum), clamp.maximum)


def _fully_connected(step: steps.FullyConnectedStep, x: fp.I64) -> fp.I64:
    # float64 holds every product and sum exactly (they are below 2^31), and its matrix product is fast.
    rows = x.reshape(-1, step.weights.shape[1]).astype(np.float64)
    return _finish(rows @ step.weights.T.astype(np.float64), step.channels, step.clamp)


def _taps(window: steps.Window, x: NDArray[Any], outside: float) -> list[tuple[int, int, NDArray[Any]]]:
    """For every kernel position (row, column): what it sees, [N, output height, output width, channels]."""
    image = x.reshape(len(x), *window.input, window.input_channels)
    (top, left), (bottom, right) = window.pad_before, window.pad_after
    image = np.pad(image, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
    views = []
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            rows, columns = (
                slice(first, first + (window.output[i] - 1) * window.stride[i] + 1, window.stride[i])
                for i, first in enumerate((row * window.dilation[0], column * window.dilation[1]))
            )
            views.append((row, column, image[:, rows, columns]))
    return views


def _conv(step: steps.ConvStep, x: fp.I64) -> fp.I64:
    weights = step.weights.astype(np.float64)
    total = np.zeros((len(x), *step.window.output, step.window.output_channels))
    for row, column, seen in _taps(step.window, x.astype(np.float64), step.input_zero_point):
        total += seen @ weights[:, row, column].T
    return _finish(total, step.channels, step.clamp)


def _depthwise(step: steps.DepthwiseConvStep, x: fp.I64) -> fp.I64:
    multiplier = step.window.output_channels // step.window.input_channels
    total = np.zeros((len(x), *step.window.output, step.window.output_channels), np.int64)
    for row, column, seen in _taps(step.window, x, step.input_zero_point):
        total += np.repeat(seen, multiplier, axis=-1) * step.weights[row, column]
    return _finish(total, step.channels, step.clamp)


def _pool(step: steps.PoolStep, x: fp.I64) -> fp.I64:
    if not step.average:
        output = np.maximum.reduce([seen for _, _, seen in _taps(step.window, x, fp.INT8_MIN)])
        return _clip(output, step.clamp)
    total = np.add.reduce([seen for _, _, seen in _taps(step.window, x, 0)])
    count = np.add.reduce([seen for _, _, seen in _taps(step.window, np.ones_like(x), 0)])
    average = np.sign(total) * ((np.abs(total) + count // 2) // count)  # halves away from zero
    return _clip(average, step.clamp)


def _mean(step: steps.MeanStep, x: fp.I64) -> fp.I64:
    return _finish(x.reshape(len(x), *step.groups).sum(axis=(2, 4)), step.channels, step.clamp)


def _add(step: steps.AddStep, a: fp.I64, b: fp.I64) -> fp.I64:
    index = np.indices(step.shape).reshape(4, -1)
    total = np.zeros((len(a), index.shape[1]), np.int64)
    for i, operand in enumerate((a, b)):
        values = operand[:, np.array(step.strides[i]) @ index] - step.zero_points[i]
        total += fp.multiply(values << 20, step.multipliers[i], step.shifts[i])
    output = fp.multiply(total, step.output_multiplier, step.output_shift) + step.clamp.zero_point
    return _clip(output, step.clamp)


def _lookup(step: steps.LookupStep, x: fp.I64) -> fp.I64:
    return step.table[x + 128].astype(np.int64)


def _softmax(step: steps.SoftmaxStep, x: fp.I64) -> fp.I64:
    return fp.softmax(x.reshape(-1, step.depth), step.multiplier, step.left_shift, step.diff_min)


def _reshape(step: steps.ReshapeStep, x: fp.I64) -> fp.I64:
    return x


_RUN: dict[type[steps.Step], Callable[..., fp.I64]] = {
    steps.ReshapeStep: _reshape,
    steps.FullyConnectedStep: _fully_connected,
    steps.ConvStep: _conv,
    steps.DepthwiseConvStep: _depthwise,
    steps.PoolStep: _pool,
    steps.MeanStep: _mean,
    steps.AddStep: _add,
    steps.LookupStep: _lookup,
    steps.SoftmaxStep: _softmax,
}
