"""Reads a fully quantized .tflite file into a Graph, or says why it cannot.

Format: tensorflow/lite/schema/schema.fbs, through the classes of the `tflite` package. The bytes may come
from anywhere: whatever is wrong with them ends in one ConversionError.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

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
)
from px4_tinyml.errors import ConversionError

MAX_ELEMENTS = 1 << 22
"""No tensor on a microcontroller is larger, and no sum over one can leave int32."""
MAX_TABLE = 10_000
"""More tensors, buffers or operators than this mean a damaged file."""

_DAMAGED = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OPERATORS = _names(tflite.BuiltinOperator)
_DTYPES = _names(tflite.TensorType)
_ACTIVATIONS: dict[int, Activation] = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
_PADDINGS: dict[int, Padding] = {0: "SAME", 1: "VALID"}
_NUMPY: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype("i1"),
    "INT32": np.dtype("<i4"),
    "FLOAT32": np.dtype("<f4"),
}


def read_model(data: bytes) -> Graph:
    """The graph of a .tflite file; ConversionError for anything that cannot run in the compiled engine."""
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise ConversionError("not a TensorFlow Lite model: no TFL3 identifier in the first bytes")
    try:
        return _Reader(data).graph()
    except _DAMAGED as error:
        raise ConversionError(f"damaged TensorFlow Lite model: {type(error).__name__}: {error}") from error


def _bounded(length: int, what: str) -> int:
    if not 0 <= length <= MAX_TABLE:
        raise ConversionError(f"damaged TensorFlow Lite model: it claims {length} {what}")
    return length


class _Reader:
    """One pass over the flatbuffer: tensors, then operators, each checked against what came before."""

    def __init__(self, data: bytes) -> None:
        self.model = tflite.Model.GetRootAs(data, 0)
        if self.model.Version() != 3:
            raise ConversionError(f"TensorFlow Lite schema version {self.model.Version()}: expected 3")
        if self.model.SubgraphsLength() != 1:
            raise ConversionError(f"{self.model.SubgraphsLength()} subgraphs found, 1 expected")
        self.subgraph = self.model.Subgraphs(0)
        count = _bounded(self.subgraph.TensorsLength(), "tensors")
        self.buffers = _bounded(self.model.BuffersLength(), "buffers")
        self.tensors = [self._tensor(index) for index in range(count)]
        self.known: set[int] = set()
        """Activations that have a value at the operator being read."""

    def graph(self) -> Graph:
        source = self._end("input", self.subgraph.InputsAsNumpy())
        self.known.add(source.index)
        count = _bounded(self.subgraph.OperatorsLength(), "operators")
        operators = tuple(self._operator(position) for position in range(count))
        result = self._end("output", self.subgraph.OutputsAsNumpy())
        if result.index not in self.known:
            raise ConversionError(f"the model's output {result.name!r} is computed by no operator")
        return Graph(source, result, operators)

    def _end(self, what: str, indices: Any) -> Tensor:
        """The model's one input or output, checked to be int8 with batch 1."""
        if isinstance(indices, int) or len(indices) != 1:
            count = 0 if isinstance(indices, int) else len(indices)
            raise ConversionError(f"the model has {count} {what}s: expected 1")
        tensor = self._at(int(indices[0]))
        if tensor.dtype != "INT8" or tensor.data is not None:
            raise ConversionError(
                f"the model's {what} is {tensor.dtype}, expected INT8: convert with full integer "
                f"quantization and inference_{what}_type = tf.int8"
            )
        if tensor.shape[:1] != (1,):
            raise ConversionError(f"the model's {what} has shape {list(tensor.shape)}: expected batch 1 first")
        self._check_activation(tensor)
        return tensor

    # Tensors

    def _tensor(self, index: int) -> Tensor:
        raw = self.subgraph.Tensors(index)
        name = (raw.Name() or b"").decode("utf-8", errors="replace")
        shape = tuple(int(n) for n in raw.ShapeAsNumpy()) if raw.ShapeLength() else ()
        if any(n < 1 for n in shape) or len(shape) > 8 or math.prod(shape) > MAX_ELEMENTS:
            raise ConversionError(f"tensor {name!r}: shape {list(shape)} is not one a controller can hold")
        dtype = _DTYPES.get(raw.Type(), f"type {raw.Type()}")
        scales: tuple[float, ...] = ()
        zero_points: tuple[int, ...] = ()
        quantization = raw.Quantization()
        dimension = 0
        if quantization is not None and quantization.ScaleLength():
            scales = tuple(float(s) for s in quantization.ScaleAsNumpy())
            dimension = int(quantization.QuantizedDimension())
            if quantization.ZeroPointLength():
                zero_points = tuple(int(z) for z in quantization.ZeroPointAsNumpy())
            else:
                zero_points = (0,) * len(scales)
            if not all(math.isfinite(s) and 1e-30 < s < 1e30 for s in scales):
                raise ConversionError(f"tensor {name!r}: a scale is not a positive number")
        data = self._constant(raw.Buffer(), dtype, shape, name)
        return Tensor(index, name, shape, dtype, scales, zero_points, dimension, data)

    def _constant(self, buffer: int, dtype: str, shape: tuple[int, ...], name: str) -> NDArray[Any] | None:
        if buffer == 0:
            return None
        if buffer >= self.buffers:
            raise ConversionError(f"tensor {name!r}: buffer {buffer} of {self.buffers}")
        raw = self.model.Buffers(buffer)
        if raw.DataLength() == 0:
            return None
        if dtype not in _NUMPY:
            raise ConversionError(f"tensor {name!r}: constants of type {dtype} are not supported")
        content = raw.DataAsNumpy()
        if content.size != math.prod(shape) * _NUMPY[dtype].itemsize:
            raise ConversionError(f"tensor {name!r}: {content.size} bytes of data for shape {list(shape)}")
        array: NDArray[Any] = np.frombuffer(content, _NUMPY[dtype]).reshape(shape)
        return array

    def _at(self, index: int) -> Tensor:
        if not 0 <= index < len(self.tensors):
            raise ConversionError(f"damaged TensorFlow Lite model: tensor {index} of {len(self.tensors)}")
        return self.tensors[index]

    def _check_activation(self, tensor: Tensor) -> None:
        """An int8 tensor with one scale and a zero point that fits."""
        if tensor.dtype != "INT8":
            raise ConversionError(f"tensor {tensor.name!r} is {tensor.dtype}: expected a fully int8 model")
        if not tensor.scales:
            raise ConversionError(f"tensor {tensor.name!r} is not quantized: expected a fully int8 model")
        if tensor.scale > 0 and not -128 <= tensor.zero_point <= 127:
            raise ConversionError(f"tensor {tensor.name!r}: zero point {tensor.zero_point} is not an int8")

    # Operators

    def _operator(self, position: int) -> Operator:
        raw = self.subgraph.Operators(position)
        if raw.OpcodeIndex() >= _bounded(self.model.OperatorCodesLength(), "operator codes"):
            raise ConversionError(f"damaged TensorFlow Lite model: operator code {raw.OpcodeIndex()}")
        code = self.model.OperatorCodes(raw.OpcodeIndex())
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATORS.get(builtin, f"operator {builtin}")
        if name == "CUSTOM":
            name = f"custom operator {(code.CustomCode() or b'').decode('utf-8', errors='replace')!r}"
        if name not in _READERS:
            raise ConversionError(
                f"{name} is not supported by the compiled engine (it knows {', '.join(sorted(_READERS))}); "
                "use --engine tflm, or change the model"
            )
        required, options, read = _READERS[name]
        view = _OperatorView(self, raw, name, required, options)
        operator = read(view)
        constants = sum(tensor.data is not None for tensor in operator.inputs)
        if constants and (not isinstance(operator, Add) or constants == 2):
            raise ConversionError(f"{name} works on constants only: expected the converter to have folded it")
        for tensor in operator.inputs:
            self._check_activation(tensor)
            if tensor.data is None and tensor.index not in self.known:
                raise ConversionError(f"{name} reads {tensor.name!r}, which nothing has computed yet")
        if operator.output.data is not None or operator.output.index in self.known:
            raise ConversionError(f"{name} writes {operator.output.name!r}, which already has a value")
        self._check_activation(operator.output)
        self.known.add(operator.output.index)
        return operator


class _OperatorView:
    """One operator's inputs, output and options, fetched with checks."""

    def __init__(self, reader: _Reader, raw: Any, name: str, required: int, options: str | None) -> None:
        self.name = name
        inputs = raw.InputsAsNumpy()
        outputs = raw.OutputsAsNumpy()
        if isinstance(inputs, int) or isinstance(outputs, int) or len(outputs) != 1 or len(inputs) < required:
            raise ConversionError(f"{name}: wrong number of inputs or outputs")
        self.tensors = [reader._at(int(i)) if i >= 0 else None for i in inputs]
        self.output = reader._at(int(outputs[0]))
        self.options: Any = None
        if options is not None:
            expected = getattr(tflite.BuiltinOptions, options)
            if raw.BuiltinOptionsType() != expected or raw.BuiltinOptions() is None:
                raise ConversionError(f"{name}: its options are missing")
            self.options = getattr(tflite, options)()
            table = raw.BuiltinOptions()
            self.options.Init(table.Bytes, table.Pos)

    def tensor(self, position: int) -> Tensor:
        """A required input."""
        tensor = self.tensors[position]
        if tensor is None:
            raise ConversionError(f"{self.name}: input {position} is missing")
        return tensor

    def constant(self, position: int, dtype: str) -> Tensor:
        """A required input that must be constant."""
        tensor = self.tensor(position)
        if tensor.data is None or tensor.dtype != dtype:
            raise ConversionError(f"{self.name}: {tensor.name!r} is {tensor.dtype}: expected a constant {dtype}")
        return tensor

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """Filter (int8, symmetric) and bias (int32, or None)."""
        filter_ = self.constant(1, "INT8")
        if not filter_.scales or any(filter_.zero_points):
            raise ConversionError(f"{self.name}: filter {filter_.name!r} is not quantized symmetrically")
        has_bias = len(self.tensors) > 2 and self.tensors[2] is not None
        return filter_, self.constant(2, "INT32") if has_bias else None

    def activation(self) -> Activation:
        """The fused activation."""
        code = self.options.FusedActivationFunction()
        if code not in _ACTIVATIONS:
            raise ConversionError(f"{self.name}: fused activation {code} is not supported; use --engine tflm")
        return _ACTIVATIONS[code]

    def padding(self) -> Padding:
        """SAME or VALID."""
        code = self.options.Padding()
        if code not in _PADDINGS:
            raise ConversionError(f"{self.name}: padding {code} is not known")
        return _PADDINGS[code]

    def pair(self, what: str) -> tuple[int, int]:
        """Height and width of a stride, dilation or kernel: positive."""
        if what == "Dilation":
            pair = (self.options.DilationHFactor(), self.options.DilationWFactor())
        elif what == "Filter":
            pair = (self.options.FilterHeight(), self.options.FilterWidth())
        else:
            pair = (self.options.StrideH(), self.options.StrideW())
        if not all(1 <= n <= MAX_ELEMENTS for n in pair):
            raise ConversionError(f"{self.name}: {what.lower()} {pair} is not positive")
        return pair


def _fully_connected(view: _OperatorView) -> Operator:
    if view.options.WeightsFormat() != 0:
        raise ConversionError("FULLY_CONNECTED: shuffled weights are not supported; use --engine tflm")
    filter_, bias = view.weights()
    return FullyConnected(view.name, (view.tensor(0),), view.output, filter_, bias, view.activation())


def _convolution(kind: type[Conv2D] | type[DepthwiseConv2D]) -> Callable[[_OperatorView], Operator]:
    def read(view: _OperatorView) -> Operator:
        filter_, bias = view.weights()
        return kind(
            view.name, (view.tensor(0),), view.output, filter_, bias, view.activation(),
            view.padding(), view.pair("Stride"), view.pair("Dilation"),
        )  # fmt: skip

    return read


def _pool(view: _OperatorView) -> Operator:
    return Pool2D(
        view.name, (view.tensor(0),), view.output,
        view.padding(), view.pair("Filter"), view.pair("Stride"), view.activation(),
    )  # fmt: skip


def _mean(view: _OperatorView) -> Operator:
    source = view.tensor(0)
    axes = view.constant(1, "INT32").data
    assert axes is not None
    rank = len(source.shape)
    if not all(-rank <= axis < rank for axis in axes.ravel()):
        raise ConversionError(f"MEAN: axes {axes.tolist()} of a tensor with {rank} dimensions")
    return Mean(view.name, (source,), view.output, tuple(sorted({int(a) % rank for a in axes.ravel()})))


def _reshape(view: _OperatorView) -> Operator:
    if len(view.tensors) > 1:
        view.constant(1, "INT32")
    return Reshape(view.name, (view.tensor(0),), view.output)


def _add(view: _OperatorView) -> Operator:
    return Add(view.name, (view.tensor(0), view.tensor(1)), view.output, view.activation())


def _unary(view: _OperatorView) -> Operator:
    return Unary(view.name, (view.tensor(0),), view.output)


def _softmax(view: _OperatorView) -> Operator:
    return Softmax(view.name, (view.tensor(0),), view.output, float(view.options.Beta()))


_READERS: dict[str, tuple[int, str | None, Callable[[_OperatorView], Operator]]] = {
    "FULLY_CONNECTED": (2, "FullyConnectedOptions", _fully_connected),
    "CONV_2D": (2, "Conv2DOptions", _convolution(Conv2D)),
    "DEPTHWISE_CONV_2D": (2, "DepthwiseConv2DOptions", _convolution(DepthwiseConv2D)),
    "MAX_POOL_2D": (1, "Pool2DOptions", _pool),
    "AVERAGE_POOL_2D": (1, "Pool2DOptions", _pool),
    "MEAN": (2, None, _mean),
    "RESHAPE": (1, None, _reshape),
    "EXPAND_DIMS": (2, None, _reshape),
    "ADD": (2, "AddOptions", _add),
    "RELU": (1, None, _unary),
    "RELU6": (1, None, _unary),
    "LOGISTIC": (1, None, _unary),
    "SOFTMAX": (1, "SoftmaxOptions", _softmax),
    "QUANTIZE": (1, None, _unary),
}
"""Operator name → fewest inputs, options table, reader."""

SUPPORTED_OPERATORS = tuple(sorted(_READERS))
