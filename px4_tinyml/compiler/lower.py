"""From a Graph to steps: the Prepare functions of tensorflow/lite/micro/kernels, done once, here.

Their quirks (a float32 division, a truncated multiplier) are kept: they decide the last bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.graph import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    Mean,
    Operator,
    Padding,
    Pool2D,
    Reshape,
    Softmax,
    Tensor,
    Unary,
    Weighted,
)
from px4_tinyml.compiler.steps import (
    AddStep,
    Channels,
    Clamp,
    ConvStep,
    DepthwiseConvStep,
    FullyConnectedStep,
    LookupStep,
    MeanStep,
    PoolStep,
    ReshapeStep,
    SoftmaxStep,
    Step,
    Window,
)
from px4_tinyml.errors import ConversionError

SUM_LIMIT = 1 << 30
"""Sums and rescaled sums stay below this, so that nothing can overflow an int32 on the way, not even twice a sum."""
MAX_IMAGE = 1 << 20
"""Elements of an image with the padding its kernel can need: more fits no controller."""
Pair = tuple[int, int]


def lower(graph: Graph) -> tuple[Step, ...]:
    """Every operator of a graph made ready, in order; ConversionError where the numbers make no sense."""
    return tuple(_LOWER[type(operator)](operator) for operator in graph.operators)


def _require(condition: bool, operator: Operator, message: str) -> None:
    if not condition:
        raise ConversionError(f"{operator.name} ({operator.output.name!r}): {message}")


def _rescaling(operator: Operator, ratio: float, largest_sum: int) -> tuple[int, int]:
    """Multiplier and shift for a ratio of scales, checked against the largest sum they can meet."""
    multiplier, shift = fp.quantize_multiplier(ratio)
    fits = max(largest_sum, 1) << max(shift, 0) < SUM_LIMIT
    _require(fits, operator, "its sums can overflow 32 bits: the layer is too large or its scales are wrong")
    return multiplier, shift


def _clamp(output: Tensor, activation: Activation) -> Clamp:
    """CalculateActivationRangeQuantized."""

    def quantized(value: float) -> int:
        return output.zero_point + fp.round_half_away(float(np.float32(value) / np.float32(output.scale)))

    minimum, maximum = fp.INT8_MIN, fp.INT8_MAX
    if activation in ("RELU", "RELU6"):
        minimum = max(minimum, quantized(0.0))
    if activation == "RELU6":
        maximum = min(maximum, quantized(6.0))
    if activation == "RELU_N1_TO_1":
        minimum, maximum = max(minimum, quantized(-1.0)), min(maximum, quantized(1.0))
    return Clamp(output.zero_point, minimum, maximum)


def _channels(operator: Weighted, axis: int) -> Channels:
    """Rescaling and folded bias of each output channel (`axis` of the filter)."""
    weights = operator.filter.data
    assert weights is not None
    count = weights.shape[axis]
    scales = operator.filter.scales
    _require(len(scales) in (1, count), operator, f"{len(scales)} filter scales for {count} channels")
    if len(scales) > 1:
        _require(operator.filter.quantized_dimension == axis, operator, "quantized along another dimension")
    source, target = operator.input.scale, operator.output.scale
    wide = np.moveaxis(weights, axis, 0).reshape(count, -1).astype(np.int64)
    bias = np.zeros(count, np.int64)
    if operator.bias is not None and operator.bias.data is not None:
        _require(operator.bias.size == count, operator, f"{operator.bias.size} biases for {count} channels")
        bias = operator.bias.data.ravel().astype(np.int64)
    folded = bias - operator.input.zero_point * wide.sum(axis=1)
    largest = np.abs(bias) + 256 * np.abs(wide).sum(axis=1)
    pairs = [
        _rescaling(operator, source * scale / target, int(total))
        for scale, total in zip(scales * (count // len(scales)), largest, strict=True)
    ]
    multiplier, shift = (np.array(values, np.int64) for values in zip(*pairs, strict=True))
    return Channels(folded, multiplier, shift)


def _window(operator: Operator, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> Window:
    """Geometry of a convolution or a pool, checked against the shapes in the file."""
    source, target = operator.input.shape, operator.output.shape
    _require(len(source) == 4 and len(target) == 4, operator, "expected four-dimensional input and output")
    _require(source[0] == 1 and target[0] == 1, operator, f"batch {source[0]} inside the model: expected 1")
    reaches = tuple((kernel[i] - 1) * dilation[i] + 1 for i in (0, 1))
    padded_size = (source[1] + reaches[0]) * (source[2] + reaches[1]) * source[3]
    _require(padded_size <= MAX_IMAGE, operator, f"a kernel of {list(kernel)} over {list(source)} is too large")
    before = []
    for i, reach in enumerate(reaches):
        size = source[i + 1]
        wanted = -(-size // stride[i]) if padding == "SAME" else (size - reach) // stride[i] + 1
        _require(wanted == target[i + 1], operator, f"output shape {list(target)}: expected {wanted} in it")
        before.append(max(0, (wanted - 1) * stride[i] + reach - size) // 2)
    return Window(
        (source[1], source[2]), (target[1], target[2]), kernel, stride, dilation, (before[0], before[1]),
        source[3], target[3],
    )  # fmt: skip


def _fully_connected(operator: FullyConnected) -> Step:
    weights = operator.filter.data
    assert weights is not None
    _require(weights.ndim == 2, operator, f"filter with {weights.ndim} dimensions: expected 2")
    outputs, inputs = weights.shape
    rows = operator.input.size // inputs
    _require(rows * inputs == operator.input.size, operator, f"{operator.input.size} inputs, filter for {inputs}")
    _require(rows * outputs == operator.output.size, operator, f"output shape {list(operator.output.shape)}")
    channels = _channels(operator, axis=0)
    return FullyConnectedStep(operator, rows, weights, channels, _clamp(operator.output, operator.activation))


def _conv(operator: Conv2D) -> Step:
    weights = operator.filter.data
    assert weights is not None
    _require(weights.ndim == 4, operator, f"filter with {weights.ndim} dimensions: expected 4")
    outputs, height, width, inputs = weights.shape
    window = _window(operator, (height, width), operator.stride, operator.dilation, operator.padding)
    _require(
        inputs == window.input_channels,
        operator,
        f"{window.input_channels} input channels, filter for {inputs} (if grouped: use --engine tflm)",
    )
    _require(
        outputs == window.output_channels,
        operator,
        f"{window.output_channels} output channels, not {outputs}",
    )
    channels = _channels(operator, axis=0)
    clamp = _clamp(operator.output, operator.activation)
    return ConvStep(operator, window, operator.input.zero_point, weights, channels, clamp)


def _depthwise(operator: DepthwiseConv2D) -> Step:
    weights = operator.filter.data
    assert weights is not None
    _require(weights.ndim == 4 and weights.shape[0] == 1, operator, f"filter shape {list(weights.shape)}")
    window = _window(operator, weights.shape[1:3], operator.stride, operator.dilation, operator.padding)
    outputs = weights.shape[3]
    _require(
        outputs == window.output_channels and outputs % window.input_channels == 0,
        operator,
        f"{window.input_channels} channels in, {window.output_channels} out, filter for {outputs}",
    )
    channels = _channels(operator, axis=3)
    clamp = _clamp(operator.output, operator.activation)
    return DepthwiseConvStep(operator, window, operator.input.zero_point, weights[0], channels, clamp)


def _pool(operator: Pool2D) -> Step:
    source, target = operator.input, operator.output
    same = abs(source.scale - target.scale) <= 1e-6 and source.zero_point == target.zero_point
    _require(same, operator, "input and output are quantized differently")
    window = _window(operator, operator.kernel, operator.stride, (1, 1), operator.padding)
    _require(window.input_channels == window.output_channels, operator, "it changes the number of channels")
    return PoolStep(operator, window, operator.name == "AVERAGE_POOL_2D", _clamp(target, operator.activation))


def _mean(operator: Mean) -> Step:
    source, target = operator.input, operator.output
    groups = [1]
    for axis, size in enumerate(source.shape):
        reduced = axis in operator.axes
        if reduced != (len(groups) % 2 == 0):
            groups.append(1)
        groups[-1] *= size
    _require(len(groups) <= 5, operator, "it reduces more than two groups of axes; use --engine tflm")
    groups += [1] * (5 - len(groups))
    count = groups[1] * groups[3]
    _require(target.size * count == source.size, operator, f"output shape {list(target.shape)}")
    multiplier, shift = _rescaling(operator, source.scale / target.scale, 255 * count)
    fold = min(count.bit_length() - 1, 32, 31 + shift)
    numbers = (-source.zero_point * count, (multiplier << fold) // count, shift - fold)
    channels = Channels(*(np.array([number], np.int64) for number in numbers))
    sizes = (groups[0], groups[1], groups[2], groups[3], groups[4])
    return MeanStep(operator, sizes, channels, Clamp(target.zero_point, fp.INT8_MIN, fp.INT8_MAX))


def _strides(shape: tuple[int, ...], target: tuple[int, ...]) -> list[int]:
    """Element strides of an array broadcast to a target shape."""
    padded = (1,) * (len(target) - len(shape)) + shape
    strides = np.cumprod((1, *padded[:0:-1]))[::-1]
    return [int(stride) if size > 1 else 0 for size, stride in zip(padded, strides, strict=True)]


def _add(operator: Add) -> Step:
    first, second, target = *operator.inputs, operator.output
    try:
        broadcast = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        broadcast = ()
    _require(broadcast == target.shape and target.shape != (), operator, "shapes do not broadcast")
    # Neighbouring dimensions that both inputs run through alike are one.
    merged: list[tuple[int, int, int]] = []
    strides = (_strides(tensor.shape, target.shape) for tensor in (first, second))
    for size, a, b in zip(target.shape, *strides, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == a * size and merged[-1][2] == b * size:
            merged[-1] = (merged[-1][0] * size, a, b)
        else:
            merged.append((size, a, b))
    _require(len(merged) <= 4, operator, "it broadcasts over more than four dimensions; use --engine tflm")
    merged = [(1, 0, 0)] * (4 - len(merged)) + merged
    shape, strides_a, strides_b = (tuple(column) for column in zip(*merged, strict=True))
    twice_largest = 2.0 * max(first.scale, second.scale)
    output_scale = twice_largest / (float(1 << 20) * target.scale)
    _require(output_scale < 1.0, operator, "its output scale is far too small for its inputs")
    pairs = [fp.quantize_multiplier(tensor.scale / twice_largest) for tensor in operator.inputs]
    return AddStep(
        operator, shape, (strides_a, strides_b), (first.zero_point, second.zero_point),
        (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1]), *fp.quantize_multiplier(output_scale),
        _clamp(target, operator.activation),
    )  # fmt: skip


def _softmax(operator: Softmax) -> Step:
    source, target = operator.input, operator.output
    _require(target.scale == 1.0 / 256.0 and target.zero_point == -128, operator, "output scale is not 1/256")
    _require(source.shape == target.shape and source.shape != (), operator, "input and output shapes differ")
    depth = source.shape[-1]
    # With 512 equal values the sum of exponentials would leave the 8 bits that the output can take.
    _require(depth < 512, operator, f"over {depth} values: at most 511 are exact")
    return SoftmaxStep(operator, source.size // depth, depth, *fp.preprocess_softmax(operator.beta, source.scale))


def _unary(operator: Unary) -> Step:
    source, target = operator.input, operator.output
    _require(source.size == target.size, operator, "input and output sizes differ")
    x = np.arange(-128, 128, dtype=np.int64)
    table = _TABLES[operator.name](x, operator)
    return LookupStep(operator, table.astype(np.int8))


def _table_quantize(x: fp.I64, operator: Unary) -> fp.I64:
    source, target = operator.input, operator.output
    rescaled = fp.multiply(x - source.zero_point, *_rescaling(operator, source.scale / target.scale, 255))
    return np.clip(rescaled + target.zero_point, fp.INT8_MIN, fp.INT8_MAX)


def _table_relu(x: fp.I64, operator: Unary) -> fp.I64:
    return np.maximum(_table_quantize(x, operator), operator.output.zero_point)


def _table_relu6(x: fp.I64, operator: Unary) -> fp.I64:
    # Clamps only: TFLite Micro takes it for granted that input and output are quantized alike.
    clamp = _clamp(operator.input, "RELU6")
    return np.clip(x, clamp.minimum, clamp.maximum)


def _table_logistic(x: fp.I64, operator: Unary) -> fp.I64:
    target = operator.output
    _require(target.zero_point == -128, operator, f"output zero point {target.zero_point} found, -128 expected")
    return fp.logistic(x, operator.input.zero_point, *fp.preprocess_logistic(operator.input.scale))


_TABLES: dict[str, Callable[[fp.I64, Unary], fp.I64]] = {
    "RELU": _table_relu,
    "RELU6": _table_relu6,
    "QUANTIZE": _table_quantize,
    "LOGISTIC": _table_logistic,
}


def _reshape(operator: Reshape) -> Step:
    _require(operator.input.size == operator.output.size, operator, "it changes the number of elements")
    return ReshapeStep(operator)


_LOWER: dict[type[Operator], Callable[..., Step]] = {
    FullyConnected: _fully_connected, Conv2D: _conv, DepthwiseConv2D: _depthwise, Pool2D: _pool, Mean: _mean,
    Reshape: _reshape, Add: _add, Unary: _unary, Softmax: _softmax,
}  # fmt: skip
