"""MAX_POOL_2D and AVERAGE_POOL_2D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.file_operator import Activation, FileOperator, Padding
from px4_tinyml.compiler.operator import KernelCall, Operator, OperatorEntry, Step
from px4_tinyml.compiler.ops.sliding_window import Pair, SlidingWindow
from px4_tinyml.compiler.requantize import Clamp


@dataclass(frozen=True, eq=False)
class Pool2D(Operator):
    """Largest or average value under the kernel; kernel and stride are (height, width)."""

    padding: Padding
    kernel: Pair
    stride: Pair
    activation: Activation

    @classmethod
    def read(cls, raw: FileOperator) -> Pool2D:
        return cls(
            raw.name, (raw.tensor(0),), raw.output,
            raw.padding(), raw.pair("FilterHeight", "FilterWidth"), raw.pair("StrideH", "StrideW"), raw.activation(),
        )  # fmt: skip

    def lower(self) -> Step:
        source, target = self.input, self.output
        same = abs(source.scale - target.scale) <= 1e-6 and source.zero_point == target.zero_point
        self.require(same, "input and output are quantized differently")
        window = SlidingWindow.of(self, self.kernel, self.stride, (1, 1), self.padding)
        self.require(window.input_channels == window.output_channels, "it changes the number of channels")
        return Pool2DStep(self, window, self.name == "AVERAGE_POOL_2D", Clamp.of(target, self.activation))


@dataclass(frozen=True, eq=False)
class Pool2DStep(Step):
    """average: True for the average, False for the largest value."""

    window: SlidingWindow
    average: bool
    clamp: Clamp

    def run(self, inputs: list[fp.I64]) -> fp.I64:
        (x,) = inputs
        if not self.average:
            largest = np.maximum.reduce([values for _, _, values in self.window.taps(x, fp.INT8_MIN)])
            return self.clamp.clip(largest)
        total = np.add.reduce([values for _, _, values in self.window.taps(x, 0)])
        count = np.add.reduce([values for _, _, values in self.window.taps(np.ones_like(x), 0)])
        average = np.sign(total) * ((np.abs(total) + count // 2) // count)  # halves away from zero
        return self.clamp.clip(average)

    def call(self) -> KernelCall:
        kernel = "average_pool_2d" if self.average else "max_pool_2d"
        return KernelCall(kernel, {**self.window.shape, **self.clamp.shape}, header="pool_2d.hpp")

    @property
    def lead(self) -> int:
        return self.window.lead


ENTRIES = (
    OperatorEntry("MAX_POOL_2D", Pool2D, "AddMaxPool2D", 1, "Pool2DOptions", True),
    OperatorEntry("AVERAGE_POOL_2D", Pool2D, "AddAveragePool2D", 1, "Pool2DOptions", True),
)
