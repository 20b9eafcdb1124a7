"""Sums to int8: multipliers and activation limits as TFLite Micro works them out, in NumPy and for fixed_point.hpp.

The quirks (a float32 division, a truncated multiplier) are kept: they decide the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.file_operator import Activation
from px4_tinyml.compiler.operator import ConstantArray, Operator
from px4_tinyml.compiler.tensor import Tensor

SUM_LIMIT = 1 << 30
"""Sums and rescaled sums stay below this, so that no int32 can overflow on the way, not even by twice a sum."""


@dataclass(frozen=True)
class Clamp:
    """Output zero point, and the range of the fused activation."""

    zero_point: int
    minimum: int = fp.INT8_MIN
    maximum: int = fp.INT8_MAX

    @classmethod
    def of(cls, output: Tensor, activation: Activation) -> Clamp:
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
        return cls(output.zero_point, minimum, maximum)

    def clip(self, values: fp.I64) -> fp.I64:
        """Values in the range; the lower limit is applied first."""
        return np.minimum(np.maximum(values, self.minimum), self.maximum)

    @property
    def shape(self) -> dict[str, int]:
        """Constants of a kernel's Shape."""
        return {"kOutputZeroPoint": self.zero_point, "kMinimum": self.minimum, "kMaximum": self.maximum}


@dataclass(frozen=True, eq=False)
class Requantization:
    """The last stage of a layer: bias, multiplier and shift, int64[channels] (or [1]: one for all), and the clamp.

    bias: bias − input zero point · Σ weights. With the zero point folded into the bias the inner loop is
    Σ weight · input, and padding has the value of the input zero point.
    """

    bias: fp.I64
    multiplier: fp.I64
    shift: fp.I64
    clamp: Clamp

    def run(self, total: NDArray[Any]) -> fp.I64:
        """Sums[…, channels] to int8 values."""
        rescaled = fp.multiply(total.astype(np.int64) + self.bias, self.multiplier, self.shift)
        return self.clamp.clip(rescaled + self.clamp.zero_point)

    def constants(self) -> tuple[dict[str, int], ConstantArray]:
        """For requantize() in fixed_point.hpp: constants of the Shape, and a Channel or ShiftedChannel per channel.

        These hold the doubled bias and the multiplier, and a shift of their own unless all channels have the same.
        """
        right = -self.shift
        rows = np.stack([2 * self.bias, self.multiplier], axis=1)
        # At least one bit, to add half a step; at most 22, because 128 << 22 and the half must fit with the sum.
        down = bool(np.all((right >= 1) & (right <= 22)))
        if down and np.all(right == right[0]):
            return {"kRightShift": int(right[0]), **self.clamp.shape}, ConstantArray("Channel", rows)
        offset = (2 * self.clamp.zero_point + 1) << (right - 1) if down else np.zeros_like(right)
        rows = np.column_stack([rows, offset, right])
        return {"kDownShifts": int(down), **self.clamp.shape}, ConstantArray("ShiftedChannel", rows)


def checked_multiplier(operator: Operator, ratio: float, largest_sum: int) -> tuple[int, int]:
    """Multiplier and shift for a ratio of scales, checked against the largest sum they can meet."""
    multiplier, shift = fp.quantize_multiplier(ratio)
    fits = max(largest_sum, 1) << max(shift, 0) < SUM_LIMIT
    operator.require(fits, "its sums can overflow 32 bits: the layer is too large or its scales are wrong")
    return multiplier, shift
