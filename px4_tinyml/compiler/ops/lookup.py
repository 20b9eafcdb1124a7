"""RELU, RELU6, LOGISTIC and QUANTIZE: functions of one byte, as a table of 256."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.operator import ConstantArray, KernelCall, Operator, OperatorEntry, Step
from px4_tinyml.compiler.requantize import Clamp, checked_multiplier
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import I8

LOGISTIC_INTEGER_BITS = 4


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


class Logistic(ByteFunction):
    """The sigmoid; the output's scale is 1/256."""

    def table(self, x: fp.I64) -> fp.I64:
        zero_point = self.output.zero_point
        self.require(zero_point == -128, f"output zero point {zero_point} found, -128 expected")
        return logistic(x, self.input.zero_point, *preprocess_logistic(self.input.scale))


def preprocess_logistic(input_scale: float) -> tuple[int, int, int]:
    """Multiplier, left shift and input radius beyond which the sigmoid saturates."""
    real = input_scale * float(1 << (31 - LOGISTIC_INTEGER_BITS))
    if not 0.5 <= real < 2.0**31:
        raise ConversionError(f"logistic: input scale {input_scale:g} is out of range")
    multiplier, shift = fp.quantize_multiplier(real)
    return multiplier, shift, fp.input_radius(LOGISTIC_INTEGER_BITS, shift)


def logistic(x: fp.I64, zero_point: int, multiplier: int, left_shift: int, radius: int) -> fp.I64:
    """int8 sigmoid, element by element; the output's scale is 1/256, its zero point −128."""
    centred = x - zero_point
    inside = np.abs(centred) < radius
    scaled = fp.multiply(np.where(inside, centred, 0), multiplier, left_shift)
    positive = fp.one_over_one_plus(fp.exp_on_negative_values(-np.abs(scaled), LOGISTIC_INTEGER_BITS))
    value = np.where(scaled > 0, positive, fp.ONE_Q0 - positive)
    value = np.where(scaled == 0, 1 << 30, value)
    output = np.clip(fp.rounding_shift_right(value, 31 - 8) + fp.INT8_MIN, fp.INT8_MIN, fp.INT8_MAX)
    return np.where(inside, output, np.where(centred > 0, fp.INT8_MAX, fp.INT8_MIN))


@dataclass(frozen=True, eq=False)
class LookupStep(Step):
    """table[256]: the output for each input, −128 first."""

    table: I8

    def run(self, inputs: Sequence[fp.I64]) -> fp.I64:
        return self.table[inputs[0] + 128].astype(np.int64)

    def call(self) -> KernelCall:
        table = ConstantArray("int8_t", self.table)
        return KernelCall("lookup", {"kSize": self.operator.output.size}, {"Table": table})

    @property
    def in_place(self) -> bool:
        return True


ENTRIES = (
    OperatorEntry("RELU", Relu, "AddRelu"),
    OperatorEntry("RELU6", Relu6, "AddRelu6"),
    OperatorEntry("LOGISTIC", Logistic, "AddLogistic"),
    OperatorEntry("QUANTIZE", Quantize, "AddQuantize"),
)
