"""Tensors of an int8 model. Shapes are those of the file, batch (always 1) included; images are NHWC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from px4_tinyml.errors import ConversionError


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file. data: constant values (None for activations); dtype: INT8, INT32, …

    scales and zero_points: one entry, or one per channel along quantized_dimension; empty when not quantized.
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
        """The scale of a tensor with one scale for all elements (exactly a float32)."""
        if len(self.scales) != 1:
            raise ConversionError(f"tensor {self.name!r}: {len(self.scales)} scales found, 1 expected")
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point that belongs to `scale`."""
        if len(self.zero_points) != 1:
            raise ConversionError(f"tensor {self.name!r}: {len(self.zero_points)} zero points found, 1 expected")
        return self.zero_points[0]
