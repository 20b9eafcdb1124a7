"""ADD: the sum of two tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.file_operator import Activation, FileOperator
from px4_tinyml.compiler.operator import KernelCall, Operator, OperatorEntry, Step
from px4_tinyml.compiler.requantize import Clamp


@dataclass(frozen=True, eq=False)
class Add(Operator):
    """With NumPy broadcasting; one of the tensors may be constant."""

    constant_operand: ClassVar[bool] = True

    activation: Activation

    @classmethod
    def read(cls, raw: FileOperator) -> Add:
        return cls(raw.name, (raw.tensor(0), raw.tensor(1)), raw.output, raw.activation())

    def lower(self) -> Step:
        first, second, target = *self.inputs, self.output
        try:
            broadcast = np.broadcast_shapes(first.shape, second.shape)
        except ValueError:
            broadcast = ()
        self.require(broadcast == target.shape and target.shape != (), "shapes do not broadcast")
        # Neighbouring dimensions in which both inputs advance alike are merged.
        merged: list[tuple[int, int, int]] = []
        strides = (_strides(tensor.shape, target.shape) for tensor in (first, second))
        for size, a, b in zip(target.shape, *strides, strict=True):
            if size == 1:
                continue
            if merged and merged[-1][1] == a * size and merged[-1][2] == b * size:
                merged[-1] = (merged[-1][0] * size, a, b)
            else:
                merged.append((size, a, b))
        self.require(len(merged) <= 4, "it broadcasts over more than four dimensions; use --engine tflm")
        merged = [(1, 0, 0)] * (4 - len(merged)) + merged
        shape, strides_a, strides_b = (tuple(column) for column in zip(*merged, strict=True))
        twice_largest = 2.0 * max(first.scale, second.scale)
        output_scale = twice_largest / (float(1 << 20) * target.scale)
        self.require(output_scale < 1.0, "its output scale is far too small for its inputs")
        operands = tuple(
            Operand(strides, tensor.zero_point, *fp.quantize_multiplier(tensor.scale / twice_largest))
            for tensor, strides in ((first, strides_a), (second, strides_b))
        )
        rescaling = fp.quantize_multiplier(output_scale)
        return AddStep(self, shape, operands, *rescaling, Clamp.of(target, self.activation))


@dataclass(frozen=True)
class Operand:
    """An input of a sum: its element strides in the output's dimensions (0: broadcast), zero point and rescaling."""

    strides: tuple[int, ...]
    zero_point: int
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class AddStep(Step):
    """shape: of the output, in four dimensions; multiplier and shift: from the rescaled sum to the output."""

    shape: tuple[int, ...]
    operands: tuple[Operand, ...]
    multiplier: int
    shift: int
    clamp: Clamp

    def run(self, inputs: list[fp.I64]) -> fp.I64:
        index = np.indices(self.shape).reshape(4, -1)
        total = np.zeros((len(inputs[0]), index.shape[1]), np.int64)
        for x, operand in zip(inputs, self.operands, strict=True):
            values = x[:, np.array(operand.strides) @ index] - operand.zero_point
            total += fp.multiply(values << 20, operand.multiplier, operand.shift)
        return self.clamp.clip(fp.multiply(total, self.multiplier, self.shift) + self.clamp.zero_point)

    def call(self) -> KernelCall:
        shape = {f"kSize{i}": size for i, size in enumerate(self.shape)}
        for letter, operand in zip("AB", self.operands, strict=True):
            shape |= {f"kStride{letter}{d}": stride for d, stride in enumerate(operand.strides)}
            shape |= {
                f"kZeroPoint{letter}": operand.zero_point, f"kMultiplier{letter}": operand.multiplier,
                f"kShift{letter}": operand.shift,
            }  # fmt: skip
        shape |= {"kMultiplier": self.multiplier, "kShift": self.shift, **self.clamp.shape}
        return KernelCall("add", shape)

    @property
    def in_place(self) -> bool:
        return self.operands[0].strides == self.operands[1].strides


def _strides(shape: tuple[int, ...], target: tuple[int, ...]) -> list[int]:
    """Element strides of an array broadcast to a target shape."""
    padded = (1,) * (len(target) - len(shape)) + shape
    strides = np.cumprod((1, *padded[:0:-1]))[::-1]
    return [int(stride) if size > 1 else 0 for size, stride in zip(padded, strides, strict=True)]


ENTRIES = (OperatorEntry("ADD", Add, "AddAdd", 2, "AddOptions", True),)
