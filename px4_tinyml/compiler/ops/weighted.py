"""Common base of the operators with a filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler.file_operator import Activation
from px4_tinyml.compiler.operator import Operator
from px4_tinyml.compiler.requantize import Clamp, Requantization, checked_multiplier
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.flight_log import I8


@dataclass(frozen=True, eq=False)
class Weighted(Operator):
    """An operator with a filter, a bias (None: zeros) and a fused activation."""

    filter: Tensor
    bias: Tensor | None
    activation: Activation

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return (self.filter,) if self.bias is None else (self.filter, self.bias)

    @property
    def filter_data(self) -> I8:
        """The filter's values."""
        assert self.filter.data is not None
        return self.filter.data

    def requantization(self, axis: int) -> Requantization:
        """Folded bias and rescaling of each output channel (`axis` of the filter)."""
        count = self.filter_data.shape[axis]
        scales = self.filter.scales
        self.require(len(scales) in (1, count), f"{len(scales)} filter scales for {count} channels")
        if len(scales) > 1:
            self.require(self.filter.quantized_dimension == axis, "quantized along another dimension")
        rows = np.moveaxis(self.filter_data, axis, 0).reshape(count, -1).astype(np.int64)
        bias = np.zeros(count, np.int64)
        if self.bias is not None and self.bias.data is not None:
            self.require(self.bias.size == count, f"{self.bias.size} biases for {count} channels")
            bias = self.bias.data.ravel().astype(np.int64)
        largest = np.abs(bias) + 256 * np.abs(rows).sum(axis=1)
        pairs = [
            checked_multiplier(self, self.input.scale * scale / self.output.scale, int(total))
            for scale, total in zip(scales * (count // len(scales)), largest, strict=True)
        ]
        multiplier, shift = (np.array(values, np.int64) for values in zip(*pairs, strict=True))
        folded = bias - self.input.zero_point * rows.sum(axis=1)
        return Requantization(folded, multiplier, shift, Clamp.of(self.output, self.activation))
