"""Reads a fully quantized .tflite file into a Graph.

Format: tensorflow/lite/schema/schema.fbs, through the classes of the `tflite` package. The bytes are not trusted:
damage of any kind raises one ConversionError.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from px4_tinyml.compiler.file_operator import MAX_ELEMENTS, FileOperator, tensor_at
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.operator import Operator
from px4_tinyml.compiler.ops import OPERATORS
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.errors import ConversionError

MAX_TABLE = 10_000
"""More tensors, buffers or operators than this mean a damaged file."""

_DAMAGED = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_NAMES = _names(tflite.BuiltinOperator)
_DTYPES = _names(tflite.TensorType)
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


def _bounded(length: int, items: str) -> int:
    if not 0 <= length <= MAX_TABLE:
        raise ConversionError(f"damaged TensorFlow Lite model: it declares {length} {items}")
    return length


class _Reader:
    """One pass over the flatbuffer: tensors, then operators, each checked against those before it."""

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
            raise ConversionError(f"the model's output {result.name!r} is not computed by any operator")
        return Graph(source, result, operators)

    def _end(self, end: str, indices: Any) -> Tensor:
        """The model's one input or output, checked to be int8 with batch 1."""
        if isinstance(indices, int) or len(indices) != 1:
            count = 0 if isinstance(indices, int) else len(indices)
            raise ConversionError(f"the model has {count} {end}s: expected 1")
        tensor = tensor_at(self.tensors, int(indices[0]))
        if tensor.dtype != "INT8" or tensor.data is not None:
            raise ConversionError(
                f"the model's {end} is {tensor.dtype}, expected INT8: convert with full integer "
                f"quantization and inference_{end}_type = tf.int8"
            )
        if tensor.shape[:1] != (1,):
            raise ConversionError(f"the model's {end} has shape {list(tensor.shape)}: expected batch 1 first")
        self._check_activation(tensor)
        return tensor

    # Tensors

    def _tensor(self, index: int) -> Tensor:
        raw = self.subgraph.Tensors(index)
        name = (raw.Name() or b"").decode("utf-8", errors="replace")
        shape = tuple(int(n) for n in raw.ShapeAsNumpy()) if raw.ShapeLength() else ()
        if any(n < 1 for n in shape) or len(shape) > 8 or math.prod(shape) > MAX_ELEMENTS:
            raise ConversionError(f"tensor {name!r}: shape {list(shape)} does not fit a microcontroller")
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
        name = _NAMES.get(builtin, f"operator {builtin}")
        if name == "CUSTOM":
            name = f"custom operator {(code.CustomCode() or b'').decode('utf-8', errors='replace')!r}"
        if name not in OPERATORS:
            raise ConversionError(
                f"{name} is not supported by the compiled engine (it supports {', '.join(sorted(OPERATORS))}); "
                "use --engine tflm, or change the model"
            )
        entry = OPERATORS[name]
        operator = entry.operator.read(FileOperator(raw, name, self.tensors, entry.inputs, entry.options))
        constants = sum(tensor.data is not None for tensor in operator.inputs)
        if constants > operator.constant_operand:
            raise ConversionError(f"{name} has constant inputs only: the converter should have folded it")
        for tensor in operator.inputs:
            self._check_activation(tensor)
            if tensor.data is None and tensor.index not in self.known:
                raise ConversionError(f"{name} reads {tensor.name!r}, which no operator before it computes")
        if operator.output.data is not None or operator.output.index in self.known:
            raise ConversionError(f"{name} writes {operator.output.name!r}, which already has a value")
        self._check_activation(operator.output)
        self.known.add(operator.output.index)
        return operator
