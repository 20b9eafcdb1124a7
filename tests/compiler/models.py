"""Random int8 models written directly as .tflite: faster and more varied than those of a converter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray
from toolchains import need_wheel

need_wheel("tflite_micro", "its schema classes write the models")
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema  # noqa: E402

Rng = np.random.Generator


class Builder:
    """Collects tensors and operators of one subgraph; tensors are numbered."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, shape: tuple[int, ...], scale: float, zero_point: int) -> int:
        """An int8 activation."""
        return self._add(shape, schema.TensorType.INT8, [scale], [zero_point], 0, 0)

    def constant(self, data: NDArray[Any], scales: Sequence[float] = (), zero_point: int = 0, axis: int = 0) -> int:
        """A constant of the array's own type."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        kind = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}[data.dtype.name]
        zero_points = [zero_point] * len(scales)
        return self._add(data.shape, kind, list(scales), zero_points, axis, len(self.model.buffers) - 1)

    def _add(
        self, shape: tuple[int, ...], kind: int, scales: list[float], zeros: list[int], axis: int, buffer: int
    ) -> int:  # fmt: skip
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.graph.tensors)}"
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, buffer
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(np.float32(s)) for s in scales]
            tensor.quantization.zeroPoint = zeros
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, inputs: list[int], output: int, options: str = "", **values: Any) -> int:
        """Append an operator; options: name of its options table, values: its fields."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in values.items():
                setattr(operator.builtinOptions, field, value)
        self.graph.operators.append(operator)
        return output

    def finish(self, source: int, target: int) -> bytes:
        """The model's bytes."""
        self.graph.inputs, self.graph.outputs = [source], [target]
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.graph.tensors[index].shape)

    def quantization(self, index: int) -> tuple[float, int]:
        q = self.graph.tensors[index].quantization
        return q.scale[0], q.zeroPoint[0]


def random_inputs(rng: Rng, rows: int, size: int) -> NDArray[np.int8]:
    """Uniform bytes; a quarter of the rows saturated, some near constant."""
    x = rng.integers(-128, 128, (rows, size))
    x[: rows // 4] = np.where(x[: rows // 4] < 0, -128, 127)
    x[rows // 4] = -128
    x[rows // 4 + 1] = 127
    narrow = slice(rows // 2, rows // 2 + rows // 8)
    x[narrow] = x[narrow] // 16 + rng.integers(-120, 120, (len(x[narrow]), 1))
    return x.clip(-128, 127).astype(np.int8)


def random_model(seed: int) -> bytes:
    """One to five random operators on a random small input; the first one is the seed's entry in OPERATORS."""
    rng = np.random.default_rng(seed)
    b = Builder()
    first = list(OPERATORS)[seed % len(OPERATORS)]
    rank = 4 if OPERATORS[first] in (_conv, _pool) else int(rng.integers(2, 5))
    shape = (1, *(int(n) for n in rng.integers(1, 12, rank - 2)), int(rng.integers(1, 9)))
    source = now = b.tensor(shape, rng.uniform(0.002, 0.1), int(rng.integers(-128, 128)))
    for position in range(int(rng.integers(1, 6))):
        usable = [name for name in OPERATORS if _fits(name, b.shape(now))]
        if usable:
            name = first if position == 0 and first in usable else str(rng.choice(usable))
            now = OPERATORS[name](b, rng, now, name)
    return b.finish(source, now)


def _fits(name: str, shape: tuple[int, ...]) -> bool:
    """True where an operator accepts a tensor of this shape."""
    if OPERATORS[name] in (_conv, _pool):
        return len(shape) == 4
    if name == "SOFTMAX":
        return len(shape) > 1 and shape[-1] <= 511  # TFLite Micro aborts with more
    return 1 < len(shape) < (4 if name == "EXPAND_DIMS" else 5)


def extreme_dense(seed: int) -> bytes:
    """Long rows of large weights: sums far beyond those of converted models."""
    rng = np.random.default_rng(seed)
    b = Builder()
    inputs, outputs = int(rng.integers(500, 1300)), int(rng.integers(1, 10))
    source = b.tensor((1, inputs), 0.02, int(rng.choice([-128, 127, 3])))
    lowest = -127 if seed % 3 else -128
    weights = np.where(rng.random((outputs, inputs)) < rng.choice([0.0, 0.1, 0.5]), lowest, 127).astype(np.int8)
    scales = [float(s) for s in rng.uniform(0.001, 0.02, outputs)]
    target = b.tensor((1, outputs), float(rng.choice([0.01, 1.0, 10.0])) * inputs / 100, int(rng.integers(-128, 128)))
    operands = [source, b.constant(weights, scales)]
    b.operator("FULLY_CONNECTED", operands, target, "FullyConnectedOptions", fusedActivationFunction=_activation(rng))
    return b.finish(source, target)


def sensor_model(seed: int) -> bytes:
    """A model for windows of sensor data: long filters over time, a mean, a dense layer."""
    rng = np.random.default_rng(seed)
    b = Builder()
    shape = (1, int(rng.choice([1, 1, 2])), int(rng.integers(40, 300)), int(rng.integers(1, 9)))
    source = now = b.tensor(shape, 0.02, int(rng.integers(-128, 128)))
    for name in ("DEPTHWISE_CONV_2D", "CONV_2D"):
        taps, stride = int(rng.integers(1, 40)), int(rng.integers(1, 9))
        kernel = [1, min(taps, b.shape(now)[2])]
        same = bool(rng.random() < 0.5)
        now = _append_conv(b, rng, now, name, kernel, [1, stride], [1, 1], same, int(rng.integers(1, 7)))
    mean = b.tensor((1, b.shape(now)[3]), b.quantization(now)[0] * 0.5, int(rng.integers(-128, 128)))
    now = b.operator("MEAN", [now, b.constant(np.array([1, 2], np.int32))], mean, "ReducerOptions", keepDims=False)
    return b.finish(source, _fully_connected(b, rng, now, "FULLY_CONNECTED"))


def _activation(rng: Rng) -> int:
    return int(rng.choice([0, 0, 1, 2, 3]))


def _weighted(
    b: Builder, rng: Rng, now: int, filter_shape: tuple[int, ...], axis: int, products: int
) -> tuple[list[int], float]:
    """Filter and bias for an operator that sums `products` products; (inputs, good output scale)."""
    channels = filter_shape[axis]
    count = channels if rng.random() < 0.6 else 1
    scale, _ = b.quantization(now)
    scales = [float(s) for s in rng.uniform(0.001, 0.02, count)]
    # Converters write symmetric weights; the format allows -128.
    weights = rng.integers(-127 if rng.random() < 0.8 else -128, 128, filter_shape).astype(np.int8)
    if rng.random() < 0.1:
        weights = rng.choice(np.array([-128, -1, 0, 127], np.int8), filter_shape)
    inputs = [now, b.constant(weights, scales, 0, axis)]
    if rng.random() < 0.9:
        bias = rng.integers(-20000, 20000, channels).astype(np.int32)
        # TFLite Micro compares this scale with the product of the other two, both float32.
        bias_scales = [float(np.float32(scale) * np.float32(s)) for s in scales]
        inputs.append(b.constant(bias, bias_scales))
    spread = scale * float(np.mean(scales)) * 74.0 * 74.0 * float(np.sqrt(products)) / 60.0
    return inputs, spread * float(rng.uniform(0.4, 2.5))


def _out_size(size: int, kernel: int, stride: int, dilation: int, same: bool) -> int:
    return -(-size // stride) if same else (size - (kernel - 1) * dilation - 1) // stride + 1


def _geometry(rng: Rng, shape: tuple[int, ...], dilate: bool) -> tuple[list[int], list[int], list[int], bool]:
    """Kernel, stride and dilation (height, width) that fit an image, and whether padding is SAME."""
    same = bool(rng.random() < 0.5)
    kernel, stride, dilation = [], [], []
    for size in shape[1:3]:
        dilation.append(int(rng.integers(1, 4)) if dilate and rng.random() < 0.3 else 1)
        limit = 5 if same else min(5, (size - 1) // dilation[-1] + 1)
        kernel.append(int(rng.integers(1, limit + 1)))
        stride.append(int(rng.integers(1, 4)))
    return kernel, stride, dilation, same


def _conv(b: Builder, rng: Rng, now: int, name: str) -> int:
    kernel, stride, dilation, same = _geometry(rng, b.shape(now), dilate=True)
    multiplier = 1 if name == "CONV_2D" else int(rng.integers(1, 4))
    return _append_conv(b, rng, now, name, kernel, stride, dilation, same, multiplier)


def _append_conv(
    b: Builder, rng: Rng, now: int, name: str, kernel: list[int], stride: list[int], dilation: list[int], same: bool,
    multiplier: int,
) -> int:  # fmt: skip
    shape = b.shape(now)
    if name == "CONV_2D":
        channels = int(rng.integers(1, 9))
        filter_shape: tuple[int, ...] = (channels, *kernel, shape[3])
        axis, products, extra = 0, kernel[0] * kernel[1] * shape[3], {}
    else:
        channels = shape[3] * multiplier
        filter_shape = (1, *kernel, channels)
        axis, products, extra = 3, kernel[0] * kernel[1], {"depthMultiplier": multiplier}
    inputs, scale = _weighted(b, rng, now, filter_shape, axis, products)
    size = [_out_size(shape[i + 1], kernel[i], stride[i], dilation[i], same) for i in (0, 1)]
    output = b.tensor((1, *size, channels), scale, int(rng.integers(-128, 128)))
    return b.operator(
        name, inputs, output, "Conv2DOptions" if name == "CONV_2D" else "DepthwiseConv2DOptions",
        padding=0 if same else 1, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
        dilationWFactor=dilation[1], fusedActivationFunction=_activation(rng), **extra,
    )  # fmt: skip


def _pool(b: Builder, rng: Rng, now: int, name: str) -> int:
    shape = b.shape(now)
    kernel, stride, _, same = _geometry(rng, shape, dilate=False)
    size = [_out_size(shape[i + 1], kernel[i], stride[i], 1, same) for i in (0, 1)]
    output = b.tensor((1, *size, shape[3]), *b.quantization(now))
    return b.operator(
        name, [now], output, "Pool2DOptions", padding=0 if same else 1, strideH=stride[0], strideW=stride[1],
        filterHeight=kernel[0], filterWidth=kernel[1], fusedActivationFunction=_activation(rng),
    )  # fmt: skip


def _mean(b: Builder, rng: Rng, now: int, name: str) -> int:
    shape = b.shape(now)
    axes = [int(a) for a in rng.permutation(np.arange(1, len(shape)))[: rng.integers(1, len(shape))]]
    keep = bool(rng.random() < 0.5)
    reduced = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    scale, _ = b.quantization(now)
    output = b.tensor(reduced, scale * float(rng.uniform(0.1, 1.5)), int(rng.integers(-128, 128)))
    written = [a - len(shape) if rng.random() < 0.3 else a for a in axes]
    inputs = [now, b.constant(np.array(written, np.int32))]
    return b.operator("MEAN", inputs, output, "ReducerOptions", keepDims=keep)


def _add(b: Builder, rng: Rng, now: int, name: str) -> int:
    shape = b.shape(now)
    if name == "ADD":
        # A branch: the sum of the tensor and of its requantized self keeps two tensors alive.
        other = _unary(b, rng, now, str(rng.choice(["RELU", "QUANTIZE"])))
    else:
        small = tuple(n if i == 0 or rng.random() < 0.6 else 1 for i, n in enumerate(shape))
        data = rng.integers(-128, 128, small).astype(np.int8)
        zero_point = int(rng.integers(-128, 128))
        other = b.constant(data, [float(rng.uniform(0.01, 0.1))], zero_point)
    scale = b.quantization(now)[0] + b.quantization(other)[0]
    output = b.tensor(shape, scale * float(rng.uniform(0.3, 1.2)), int(rng.integers(-128, 128)))
    inputs = [now, other] if rng.random() < 0.5 else [other, now]
    return b.operator("ADD", inputs, output, "AddOptions", fusedActivationFunction=_activation(rng))


def _fully_connected(b: Builder, rng: Rng, now: int, name: str) -> int:
    shape = b.shape(now)
    outputs = int(rng.integers(1, 12))
    inputs, scale = _weighted(b, rng, now, (outputs, shape[-1]), 0, shape[-1])
    output = b.tensor((*shape[:-1], outputs), scale, int(rng.integers(-128, 128)))
    activation = _activation(rng)
    return b.operator(
        name, inputs, output, "FullyConnectedOptions", keepNumDims=True, fusedActivationFunction=activation
    )  # fmt: skip


def _reshape(b: Builder, rng: Rng, now: int, name: str) -> int:
    shape = b.shape(now)
    if name == "EXPAND_DIMS":
        axis = int(rng.integers(1, len(shape) + 1))
        target: tuple[int, ...] = (*shape[:axis], 1, *shape[axis:])
        parameter = np.array(axis, np.int32)
    else:
        target = (1, int(np.prod(shape))) if rng.random() < 0.5 else (1, int(np.prod(shape[:-1])), shape[-1])
        parameter = np.array(target, np.int32)
    output = b.tensor(target, *b.quantization(now))
    return b.operator(name, [now, b.constant(parameter)], output)


def _unary(b: Builder, rng: Rng, now: int, name: str) -> int:
    scale, zero_point = b.quantization(now)
    if name in ("LOGISTIC", "SOFTMAX"):
        scale, zero_point = 1.0 / 256.0, -128
    elif name == "TANH":
        scale, zero_point = 1.0 / 128.0, 0
    elif name != "RELU6":  # a RELU6 does not rescale
        scale, zero_point = scale * float(rng.uniform(0.3, 2.0)), int(rng.integers(-128, 128))
    output = b.tensor(b.shape(now), scale, zero_point)
    if name == "SOFTMAX":
        return b.operator(name, [now], output, "SoftmaxOptions", beta=float(rng.choice([1.0, 1.0, 0.5])))
    return b.operator(name, [now], output)


OPERATORS: dict[str, Callable[[Builder, Rng, int, str], int]] = {
    "CONV_2D": _conv, "DEPTHWISE_CONV_2D": _conv, "MAX_POOL_2D": _pool, "AVERAGE_POOL_2D": _pool, "MEAN": _mean,
    "ADD": _add, "ADD_CONSTANT": _add, "FULLY_CONNECTED": _fully_connected, "RESHAPE": _reshape,
    "EXPAND_DIMS": _reshape, "RELU": _unary, "RELU6": _unary, "LOGISTIC": _unary, "QUANTIZE": _unary,
    "SOFTMAX": _unary, "TANH": _unary,
}  # fmt: skip
"""Functions that append a random instance of an operator to tensor `now`, and return its output."""
