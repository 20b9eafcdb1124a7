"""RELU, RELU6, LOGISTIC, TANH and QUANTIZE: functions of one byte, as a table of 256."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.operator import ConstantArray, KernelCall, Operator, OperatorEntry, Step
from px4_tinyml.compiler.requantize import Clamp, checked_multiplier
from px4_tinyml.flight_log import I8

INTEGER_BITS = 4
"""Of the inputs of LOGISTIC and TANH in fixed point."""


class ByteFunction(Operator):
    """Each output byte depends on one input byte."""

    @abstractmethod
    def table(self, x: fp.I64) -> fp.I64:
        """The outputs for the inputs x, −128 to 127."""

    def lower(self) -> Step:
        self.require(self.input.size == self.output.size, "input and output sizes differ")
        return LookupStep(self, self.table(np.arange(-128, 128)).astype(np.int8))


class Quantize(ByteFunction):
    """int8 to int8 with another scale."""

    def table(self, x: fp.I64) -> fp.I64:
        source, target = self.input, self.output
        rescaling = checked_multiplier(self, source.scale / target.scale, 255)
        return np.clip(
            fp.multiply(x - source.zero_point, *rescaling) + target.zero_point, fp.INT8_MIN, fp.INT8_MAX
        )  # fmt: skip


class Relu(Quantize):
    """Not below zero; rescales."""

    def table(self, x: fp.I64) -> fp.I64:
        return np.maximum(super().table(x), self.output.zero_point)


class Relu6(ByteFunction):
    """Clamps only: TFLite Micro assumes that input and output are quantized alike."""

    def table(self, x: fp.I64) -> fp.I64:
        clamp = Clamp.of(self.input, "RELU6")
        return np.clip(x, clamp.minimum, clamp.maximum)


class Saturating(ByteFunction):
    """A function computed in fixed point; it saturates where the input reaches ±2^INTEGER_BITS."""

    output_zero_point: ClassVar[int]

    @abstractmethod
    def value(self, scaled: fp.I64) -> fp.I64:
        """The outputs for inputs in Q(INTEGER_BITS)."""

    def table(self, x: fp.I64) -> fp.I64:
        found, expected = self.output.zero_point, self.output_zero_point
        self.require(found == expected, f"output zero point {found} found, {expected} expected")
        real = self.input.scale * float(1 << (31 - INTEGER_BITS))
        self.require(0.5 <= real < 2.0**31, f"input scale {self.input.scale:g} is out of range")
        multiplier, shift = fp.quantize_multiplier(real)
        centred = x - self.input.zero_point
        inside = np.abs(centred) < fp.input_radius(INTEGER_BITS, shift)
        output = self.value(fp.multiply(np.where(inside, centred, 0), multiplier, shift))
        limits = np.where(centred > 0, fp.INT8_MAX, fp.INT8_MIN)
        return np.where(inside, np.clip(output, fp.INT8_MIN, fp.INT8_MAX), limits)


class Logistic(Saturating):
    """The sigmoid; the output's scale is 1/256."""

    output_zero_point = -128

    def value(self, scaled: fp.I64) -> fp.I64:
        positive = fp.one_over_one_plus(fp.exp_on_negative_values(-np.abs(scaled), INTEGER_BITS))
        value = np.where(scaled > 0, positive, fp.ONE_Q0 - positive)
        value = np.where(scaled == 0, 1 << 30, value)
        return fp.rounding_shift_right(value, 31 - 8) + fp.INT8_MIN


class Tanh(Saturating):
    """The hyperbolic tangent; the output's scale is 1/128."""

    output_zero_point = 0

    def value(self, scaled: fp.I64) -> fp.I64:
        # tanh(a) = (1 − e) / (1 + e) with e = exp(−2a): the same bits, with one more integer bit.
        positive = fp.one_minus_over_one_plus(fp.exp_on_negative_values(-np.abs(scaled), INTEGER_BITS + 1))
        return fp.rounding_shift_right(np.sign(scaled) * positive, 31 - 7)


@dataclass(frozen=True, eq=False)
class LookupStep(Step):
    """table[256]: the output for each input, −128 first."""

    in_place = True

    table: I8

    def run(self, inputs: list[fp.I64]) -> fp.I64:
        return self.table[inputs[0] + 128].astype(np.int64)

    def call(self) -> KernelCall:
        table = ConstantArray("int8_t", self.table)
        return KernelCall("lookup", {"kSize": self.operator.output.size}, {"Table": table})


ENTRIES = (
    OperatorEntry("RELU", Relu, "AddRelu"),
    OperatorEntry("RELU6", Relu6, "AddRelu6"),
    OperatorEntry("LOGISTIC", Logistic, "AddLogistic"),
    OperatorEntry("TANH", Tanh, "AddTanh"),
    OperatorEntry("QUANTIZE", Quantize, "AddQuantize"),
)
