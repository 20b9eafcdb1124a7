"""An int8 model as typed data: tensors, operators with their attributes, and what they cost.

`tflite_model.read_model` makes a Graph from a .tflite file, `steps.lower` turns it into arithmetic.
Shapes are those of the file, batch (always 1) included; images are NHWC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from px4_tinyml.errors import ConversionError

Padding = Literal["SAME", "VALID"]
Activation = Literal["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file. data: constant values (None for activations); dtype: int8, int32, …

    scales and zero_points: one entry, or one a channel along quantized_dimension; empty when not quantized.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    quantized_dimension: int = 0
    data: NDArray[Any] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """The scale of a tensor that has one for all its elements (exactly a float32)."""
        if len(self.scales) != 1:
            raise ConversionError(f"tensor {self.name!r}: {len(self.scales)} scales found, 1 expected")
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point that goes with `scale`."""
        if len(self.zero_points) != 1:
            raise ConversionError(f"tensor {self.name!r}: {len(self.zero_points)} zero points found, 1 expected")
        return self.zero_points[0]


@dataclass(frozen=True, eq=False)
class Operator:
    """What every operator has: its name in the schema, the activations it reads, the one it writes."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor

    @property
    def input(self) -> Tensor:
        """The first (usually the only) activation it reads."""
        return self.inputs[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one inference; padding counts as if it were data."""
        return 0

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """Constant tensors that end up in flash."""
        return tuple(tensor for tensor in self.inputs if tensor.data is not None)


@dataclass(frozen=True, eq=False)
class Weighted(Operator):
    """An operator with a filter, a bias (None: zeros) and a fused activation."""

    filter: Tensor
    bias: Tensor | None
    activation: Activation

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return (self.filter,) if self.bias is None else (self.filter, self.bias)


@dataclass(frozen=True, eq=False)
class FullyConnected(Weighted):
    """filter[out, in]; any number of rows."""

    @property
    def macs(self) -> int:
        return self.output.size * self.filter.shape[1]


@dataclass(frozen=True, eq=False)
class Conv2D(Weighted):
    """filter[out, height, width, in]; stride and dilation are (height, width)."""

    padding: Padding
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def macs(self) -> int:
        return self.output.size * math.prod(self.filter.shape[1:])


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D(Weighted):
    """filter[1, height, width, in · depth multiplier]; stride and dilation are (height, width)."""

    padding: Padding
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def macs(self) -> int:
        return self.output.size * math.prod(self.filter.shape[1:3])


@dataclass(frozen=True, eq=False)
class Pool2D(Operator):
    """MAX_POOL_2D or AVERAGE_POOL_2D; kernel and stride are (height, width)."""

    padding: Padding
    kernel: tuple[int, int]
    stride: tuple[int, int]
    activation: Activation


@dataclass(frozen=True, eq=False)
class Mean(Operator):
    """Mean over axes (sorted, not negative, each once)."""

    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Reshape(Operator):
    """RESHAPE or EXPAND_DIMS: the same bytes under another shape."""


@dataclass(frozen=True, eq=False)
class Add(Operator):
    """Sum of two tensors with NumPy broadcasting; one of them may be constant."""

    activation: Activation


@dataclass(frozen=True, eq=False)
class Unary(Operator):
    """RELU, RELU6, LOGISTIC or QUANTIZE (int8 to int8): each output byte depends on one input byte."""


@dataclass(frozen=True, eq=False)
class Softmax(Operator):
    """Softmax over the last axis of beta · x."""

    beta: float


@dataclass(frozen=True, eq=False)
class Graph:
    """A model with one int8 input and one int8 output; operators in the order they run."""

    input: Tensor
    output: Tensor
    operators: tuple[Operator, ...]

    @property
    def operator_names(self) -> tuple[str, ...]:
        """Names of the operators used, sorted, each once."""
        return tuple(sorted({operator.name for operator in self.operators}))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one inference; `operator.macs` gives them by layer."""
        return sum(operator.macs for operator in self.operators)

    @property
    def weights_bytes(self) -> int:
        """Bytes of filters, biases and other constants, each tensor counted once."""
        tensors = {t.index: t for operator in self.operators for t in operator.weights}
        return sum(t.data.nbytes for t in tensors.values() if t.data is not None)
