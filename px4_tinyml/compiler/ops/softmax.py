"""SOFTMAX over the last axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.file_operator import FileOperator
from px4_tinyml.compiler.operator import KernelCall, Operator, OperatorEntry, Step
from px4_tinyml.errors import ConversionError

INTEGER_BITS = 5
ACCUMULATOR_BITS = 12


@dataclass(frozen=True, eq=False)
class Softmax(Operator):
    """Of beta · x."""

    beta: float

    @classmethod
    def read(cls, raw: FileOperator) -> Softmax:
        return cls(raw.name, (raw.tensor(0),), raw.output, float(raw.options.Beta()))

    def lower(self) -> Step:
        source, target = self.input, self.output
        self.require(target.scale == 1.0 / 256.0 and target.zero_point == -128, "output scale is not 1/256")
        self.require(source.shape == target.shape and source.shape != (), "input and output shapes differ")
        depth = source.shape[-1]
        # With 512 equal values the sum of exponentials would leave the 8 bits of the output.
        self.require(depth < 512, f"over {depth} values: at most 511 are exact")
        return SoftmaxStep(self, source.size // depth, depth, *preprocess_softmax(self.beta, source.scale))


def preprocess_softmax(beta: float, input_scale: float) -> tuple[int, int, int]:
    """Multiplier, left shift and smallest difference that still counts."""
    real = min(beta * input_scale * float(1 << (31 - INTEGER_BITS)), 2.0**31 - 1.0)
    if real <= 1.0:
        raise ConversionError(f"softmax: beta · input scale is {beta * input_scale:g}, too small to be exact")
    multiplier, shift = fp.quantize_multiplier(real)
    return multiplier, shift, -fp.input_radius(INTEGER_BITS, shift)


@dataclass(frozen=True, eq=False)
class SoftmaxStep(Step):
    """Over rows of `depth` values; the output's scale is 1/256, its zero point −128."""

    in_place = True

    rows: int
    depth: int
    multiplier: int
    left_shift: int
    difference_minimum: int

    def run(self, inputs: list[fp.I64]) -> fp.I64:
        x = inputs[0].reshape(-1, self.depth)
        difference = x - x.max(axis=-1, keepdims=True)
        counts = difference >= self.difference_minimum
        scaled = fp.high_mul(np.where(counts, difference, 0) << self.left_shift, self.multiplier)
        exps = fp.exp_on_negative_values(scaled, INTEGER_BITS)
        terms = fp.rounding_shift_right(exps, ACCUMULATOR_BITS)
        total = np.where(counts, terms, 0).sum(axis=-1, keepdims=True)
        headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
        reciprocal = fp.one_over_one_plus((total << headroom) - (1 << 31))
        exponent = ACCUMULATOR_BITS - headroom + 31 - 8
        output = fp.rounding_shift_right(fp.high_mul(reciprocal, exps), exponent) + fp.INT8_MIN
        return np.where(counts, np.clip(output, fp.INT8_MIN, fp.INT8_MAX), fp.INT8_MIN)

    def call(self) -> KernelCall:
        shape = {
            "kRows": self.rows, "kDepth": self.depth, "kMultiplier": self.multiplier,
            "kLeftShift": self.left_shift, "kDifferenceMinimum": self.difference_minimum,
        }  # fmt: skip
        return KernelCall("softmax", shape)


ENTRIES = (OperatorEntry("SOFTMAX", Softmax, "AddSoftmax", 1, "SoftmaxOptions", True),)
