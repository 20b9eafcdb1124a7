"""MEAN over axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler.file_operator import FileOperator
from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.operator import KernelCall, Operator, OperatorEntry, Step
from px4_tinyml.compiler.ops.rows import WORD
from px4_tinyml.compiler.requantize import Clamp, Requantization, checked_multiplier
from px4_tinyml.errors import ConversionError


@dataclass(frozen=True, eq=False)
class Mean(Operator):
    """axes: sorted, not negative, each once."""

    axes: tuple[int, ...]

    @classmethod
    def read(cls, raw: FileOperator) -> Mean:
        source = raw.tensor(0)
        axes = raw.constant(1, "INT32").data
        assert axes is not None
        rank = len(source.shape)
        if not all(-rank <= axis < rank for axis in axes.ravel()):
            raise ConversionError(f"MEAN: axes {axes.tolist()} of a tensor with {rank} dimensions")
        return cls(raw.name, (source,), raw.output, tuple(sorted({int(a) % rank for a in axes.ravel()})))

    def lower(self) -> Step:
        source, target = self.input, self.output
        groups = [1]
        for axis, size in enumerate(source.shape):
            reduced = axis in self.axes
            if reduced != (len(groups) % 2 == 0):
                groups.append(1)
            groups[-1] *= size
        self.require(len(groups) <= 5, "it reduces more than two groups of axes; use --engine tflm")
        groups += [1] * (5 - len(groups))
        count = groups[1] * groups[3]
        self.require(target.size * count == source.size, f"output shape {list(target.shape)}")
        multiplier, shift = checked_multiplier(self, source.scale / target.scale, 255 * count)
        fold = min(count.bit_length() - 1, 32, 31 + shift)
        numbers = (-source.zero_point * count, (multiplier << fold) // count, shift - fold)
        bias, multipliers, shifts = (np.array([number], np.int64) for number in numbers)
        requantization = Requantization(bias, multipliers, shifts, Clamp(target.zero_point))
        return MeanStep(self, tuple(groups), requantization)


@dataclass(frozen=True, eq=False)
class MeanStep(Step):
    """groups: sizes (keep, reduce, keep, reduce, keep) of the input seen as a five-dimensional array.

    requantization: one for all; its bias removes the zero points from the sum.
    """

    groups: tuple[int, ...]
    requantization: Requantization

    def run(self, inputs: list[I64]) -> I64:
        (x,) = inputs
        return self.requantization.run(x.reshape(len(x), *self.groups).sum(axis=(2, 4)))

    def call(self) -> KernelCall:
        names = ("kKeep0", "kReduce0", "kKeep1", "kReduce1", "kKeep2")
        constants, channel = self.requantization.constants()
        return KernelCall("mean", dict(zip(names, self.groups, strict=True)) | constants, {"Channel": channel})

    @property
    def over_read(self) -> int:
        return -self.groups[2] % WORD if self.groups[3:] == (1, 1) else 0


ENTRIES = (OperatorEntry("MEAN", Mean, "AddMean", 2),)
