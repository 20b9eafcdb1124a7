"""DEPTHWISE_CONV_2D: a convolution of each channel on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.operator import ConstantArray, KernelCall, OperatorEntry, Step
from px4_tinyml.compiler.ops.conv_2d import Conv2D, Conv2DStep
from px4_tinyml.compiler.ops.rows import WORD, pack_rows, row_constants
from px4_tinyml.flight_log import I8

LONGEST_LINE = 1024
"""Bytes that a kernel may take from the stack."""


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D(Conv2D):
    """filter[1, height, width, in · depth multiplier]; the rest as in Conv2D."""

    @property
    def macs(self) -> int:
        return self.output.size * math.prod(self.filter.shape[1:3])

    def lower(self) -> Step:
        weights = self.filter_data
        self.require(weights.ndim == 4 and weights.shape[0] == 1, f"filter shape {list(weights.shape)}")
        _, height, width, outputs = weights.shape
        window = self.window((height, width))
        inputs = window.input_channels
        fits = outputs == window.output_channels and outputs % inputs == 0
        self.require(fits, f"{inputs} channels in, {window.output_channels} out, filter for {outputs}")
        return DepthwiseConv2DStep(self, window, self.input.zero_point, weights[0], self.requantization(axis=3))


@dataclass(frozen=True, eq=False)
class DepthwiseConv2DStep(Conv2DStep):
    """weights[height, width, in · depth multiplier]."""

    @property
    def lines(self) -> bool:
        """True for long filters over time: the kernel puts the values of a channel side by side first."""
        w = self.window
        line = w.output[1] * w.stride[1] + w.kernel[1]
        enough = w.kernel[1] * (w.output_channels // w.input_channels) >= 16
        return w.kernel[0] == 1 and w.dilation[1] == 1 and enough and line <= LONGEST_LINE

    def run(self, inputs: list[I64]) -> I64:
        multiplier = self.window.output_channels // self.window.input_channels
        total = np.zeros((len(inputs[0]), *self.window.output, self.window.output_channels), np.int64)
        for row, column, values in self.window.taps(inputs[0], self.input_zero_point):
            total += np.repeat(values, multiplier, axis=-1) * self.weights[row, column]
        return self.requantization.run(total)

    def call(self) -> KernelCall:
        if self.lines:
            return self._lines_call()
        constants, channels = self.requantization.constants()
        weights = pad_channels(self.weights)
        shape = {
            **self.window.shape, "kPaddedOutputs": weights.shape[-1], "kInputZeroPoint": self.input_zero_point,
            **constants,
        }  # fmt: skip
        return KernelCall(
            "depthwise_conv_2d", shape, {"Weights": ConstantArray("int8_t", weights.ravel()), "Channels": channels}
        )  # fmt: skip

    def _lines_call(self) -> KernelCall:
        window = self.window
        # [tap, in · multiplier] → [in, multiplier, tap]
        weights = self.weights[0].T.reshape(window.input_channels, -1, window.kernel[1])
        shape, arrays = row_constants(weights, self.requantization)
        count = pack_rows(weights).values.size // window.input_channels
        shape |= {**window.shape, "kInputZeroPoint": self.input_zero_point, "kChannelWeights": count}
        return KernelCall("depthwise_lines", shape, arrays)

    @property
    def over_read(self) -> int:
        return 0 if self.lines else -self.window.output_channels % WORD

    @property
    def lead(self) -> int:
        return self.operator.output.size if self.lines else self.window.lead


def pad_channels(weights: I8) -> I8:
    """weights[…, channels], padded with zeros to whole words."""
    return np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, -weights.shape[-1] % WORD)])


ENTRIES = (
    OperatorEntry("DEPTHWISE_CONV_2D", DepthwiseConv2D, "AddDepthwiseConv2D", 2, "DepthwiseConv2DOptions", True),
)
