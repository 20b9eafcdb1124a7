"""CONV_2D: a convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler.file_operator import FileOperator, Padding
from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.operator import KernelCall, OperatorEntry, Step
from px4_tinyml.compiler.ops.rows import WORD, row_constants
from px4_tinyml.compiler.ops.sliding_window import Pair, SlidingWindow
from px4_tinyml.compiler.ops.weighted import Weighted
from px4_tinyml.compiler.requantize import Requantization
from px4_tinyml.flight_log import I8


@dataclass(frozen=True, eq=False)
class Conv2D(Weighted):
    """filter[out, height, width, in]; stride and dilation are (height, width)."""

    padding: Padding
    stride: Pair
    dilation: Pair

    @classmethod
    def read(cls, raw: FileOperator) -> Conv2D:
        return cls(
            raw.name, (raw.tensor(0),), raw.output, *raw.weights(), raw.activation(),
            raw.padding(), raw.pair("StrideH", "StrideW"), raw.pair("DilationHFactor", "DilationWFactor"),
        )  # fmt: skip

    @property
    def macs(self) -> int:
        return self.output.size * math.prod(self.filter.shape[1:])

    def window(self, kernel: Pair) -> SlidingWindow:
        """The filter's path over the image."""
        return SlidingWindow.of(self, kernel, self.stride, self.dilation, self.padding)

    def lower(self) -> Step:
        weights = self.filter_data
        self.require(weights.ndim == 4, f"filter with {weights.ndim} dimensions: expected 4")
        outputs, height, width, inputs = weights.shape
        window = self.window((height, width))
        channels = window.input_channels
        grouped = f"{channels} input channels, filter for {inputs} (if grouped: use --engine tflm)"
        self.require(inputs == channels, grouped)
        self.require(outputs == window.output_channels, f"{window.output_channels} output channels, not {outputs}")
        return Conv2DStep(self, window, self.input.zero_point, weights, self.requantization(axis=0))


@dataclass(frozen=True, eq=False)
class Conv2DStep(Step):
    """weights[out, height, width, in]."""

    window: SlidingWindow
    input_zero_point: int
    weights: I8
    requantization: Requantization

    def run(self, inputs: list[I64]) -> I64:
        weights = self.weights.astype(np.float64)
        total = np.zeros((len(inputs[0]), *self.window.output, self.window.output_channels))
        for row, column, values in self.window.taps(inputs[0].astype(np.float64), self.input_zero_point):
            total += values @ weights[:, row, column].T
        return self.requantization.run(total)

    def call(self) -> KernelCall:
        shape, arrays = row_constants(self.weights.reshape(len(self.weights), -1), self.requantization)
        shape |= self.window.shape
        shape |= {"kInputZeroPoint": self.input_zero_point, "kContiguous": int(self.window.contiguous)}
        return KernelCall("conv_2d", shape, arrays)

    @property
    def over_read(self) -> int:
        w = self.window
        length = int(self.weights[0].size)
        if not w.contiguous:
            return 0  # the kernel copies the values first
        if w.padded:
            return -length % WORD
        row, column = ((w.output[i] - 1) * w.stride[i] for i in (0, 1))
        end = (row * w.input[1] + column) * w.input_channels + length + -length % WORD
        return max(0, end - w.input[0] * w.input[1] * w.input_channels)

    @property
    def lead(self) -> int:
        return self.window.lead


ENTRIES = (OperatorEntry("CONV_2D", Conv2D, "AddConv2D", 2, "Conv2DOptions", True),)
