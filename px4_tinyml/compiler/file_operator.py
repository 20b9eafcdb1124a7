"""An operator as a .tflite file stores it: inputs, output and options, fetched with checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import tflite

from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.errors import ConversionError

MAX_ELEMENTS = 1 << 22
"""No tensor on a microcontroller is larger, and the sum of so many int8 values fits an int32."""

Padding = Literal["SAME", "VALID"]
Activation = Literal["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]

_ACTIVATIONS: dict[int, Activation] = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
_PADDINGS: dict[int, Padding] = {0: "SAME", 1: "VALID"}


class FileOperator:
    """raw: the flatbuffer's Operator; tensors: those of the subgraph.

    required: fewest inputs; options: name of the options table in the schema, None when the operator needs none.
    """

    def __init__(self, raw: Any, name: str, tensors: Sequence[Tensor], required: int, options: str | None) -> None:
        self.name = name
        inputs, outputs = raw.InputsAsNumpy(), raw.OutputsAsNumpy()
        if isinstance(inputs, int) or isinstance(outputs, int) or len(outputs) != 1 or len(inputs) < required:
            raise ConversionError(f"{name}: wrong number of inputs or outputs")
        self.inputs = [tensor_at(tensors, int(i)) if i >= 0 else None for i in inputs]
        self.output = tensor_at(tensors, int(outputs[0]))
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
        tensor = self.inputs[position]
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
        has_bias = len(self.inputs) > 2 and self.inputs[2] is not None
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

    def pair(self, height: str, width: str) -> tuple[int, int]:
        """Two options, positive numbers: height and width of a stride, dilation or kernel."""
        pair = (getattr(self.options, height)(), getattr(self.options, width)())
        if not all(1 <= n <= MAX_ELEMENTS for n in pair):
            raise ConversionError(f"{self.name}: {height} and {width} are {pair}, expected positive numbers")
        return pair


def tensor_at(tensors: Sequence[Tensor], index: int) -> Tensor:
    """The tensor with an index from the file."""
    if not 0 <= index < len(tensors):
        raise ConversionError(f"damaged TensorFlow Lite model: tensor {index} of {len(tensors)}")
    return tensors[index]
