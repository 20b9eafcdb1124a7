"""The arithmetic of each operator, made ready: multipliers, folded biases, paddings, tables.

Both the NumPy interpreter and the C++ generator work from these steps (lower.py makes them), so a number is
worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.graph import Operator
from px4_tinyml.flight_log import I8

WORD = 4
"""Bytes of activations that kernels load at once."""
LONGEST_LINE = 1024
"""Bytes that a kernel may take from the stack."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operator made ready."""

    operator: Operator

    @property
    def in_place(self) -> bool:
        """True when each output byte may overwrite the input byte in its place."""
        return False

    @property
    def over_read(self) -> int:
        """Bytes behind its input that a kernel may read, whatever they hold."""
        return 0

    @property
    def lead(self) -> int:
        """Bytes by which the output must start before the input, so that no byte is overwritten that is still read.

        The size of the output where a kernel needs all of its input to the end.
        """
        return self.operator.output.size


@dataclass(frozen=True, eq=False)
class ReshapeStep(Step):
    """The output is the input's bytes: nothing to compute."""


@dataclass(frozen=True, eq=False)
class Clamp:
    """Where results land: output zero point and range of the fused activation."""

    zero_point: int
    minimum: int
    maximum: int


@dataclass(frozen=True, eq=False)
class Channels:
    """Per output channel, int64[channels]: bias − input zero point · Σ weights, and the rescaling.

    With the zero point folded into the bias the inner loop is Σ weight · input, and padding is a value equal
    to the input zero point.
    """

    bias: I64
    multiplier: I64
    shift: I64


@dataclass(frozen=True)
class Window:
    """A kernel sliding over an image: (height, width) pairs, and channels."""

    input: tuple[int, int]
    output: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad_before: tuple[int, int]
    input_channels: int
    output_channels: int

    @property
    def padded(self) -> bool:
        """True when some position of the kernel looks outside the image."""
        return any(self.pad_before) or any(self.pad_after)

    @property
    def contiguous(self) -> bool:
        """True when the values under the kernel are neighbours in memory."""
        return self.kernel[0] == 1 and (self.dilation[1] == 1 or self.kernel[1] == 1)

    @property
    def lead(self) -> int:
        """See Step.lead: kernels go through the positions in order, and finish one before the next."""
        height, width = (np.maximum(np.arange(self.output[i]) * self.stride[i] - self.pad_before[i], 0) for i in (0, 1))
        first_read = ((height[:, None] * self.input[1] + width) * self.input_channels).ravel()
        still_read = np.minimum.accumulate(first_read[::-1])[::-1]
        written = self.output_channels * np.arange(1, len(first_read) + 1)
        return int(np.max(written - still_read))

    @property
    def pad_after(self) -> tuple[int, int]:
        """Rows and columns the kernel needs below and to the right of the image."""
        height, width = (
            max(0, (self.output[i] - 1) * self.stride[i] + (self.kernel[i] - 1) * self.dilation[i] + 1
                - self.pad_before[i] - self.input[i])
            for i in (0, 1)
        )  # fmt: skip
        return height, width


@dataclass(frozen=True, eq=False)
class FullyConnectedStep(Step):
    """weights[outputs, inputs] on each of `rows` rows."""

    rows: int
    weights: I8
    channels: Channels
    clamp: Clamp

    @property
    def over_read(self) -> int:
        return -int(self.weights.shape[1]) % WORD


@dataclass(frozen=True, eq=False)
class ConvStep(Step):
    """weights[out, height, width, in]."""

    window: Window
    input_zero_point: int
    weights: I8
    channels: Channels
    clamp: Clamp

    @property
    def over_read(self) -> int:
        w = self.window
        length = int(self.weights[0].size)
        if not w.contiguous:
            return 0  # the kernel gathers the values somewhere else
        if w.padded:
            return -length % WORD
        row, column = ((w.output[i] - 1) * w.stride[i] for i in (0, 1))
        end = (row * w.input[1] + column) * w.input_channels + length + -length % WORD
        return max(0, end - w.input[0] * w.input[1] * w.input_channels)

    @property
    def lead(self) -> int:
        return self.window.lead


@dataclass(frozen=True, eq=False)
class DepthwiseConvStep(ConvStep):
    """weights[height, width, in · depth multiplier]."""

    @property
    def lines(self) -> bool:
        """True where it is worth putting the values of a channel side by side: long filters over time."""
        w = self.window
        line = w.output[1] * w.stride[1] + w.kernel[1]
        enough = w.kernel[1] * (w.output_channels // w.input_channels) >= 16
        return w.kernel[0] == 1 and w.dilation[1] == 1 and enough and line <= LONGEST_LINE

    @property
    def over_read(self) -> int:
        return 0 if self.lines else -self.window.output_channels % WORD

    @property
    def lead(self) -> int:
        return self.operator.output.size if self.lines else self.window.lead


@dataclass(frozen=True, eq=False)
class PoolStep(Step):
    """Largest or average value under the kernel; average: True."""

    window: Window
    average: bool
    clamp: Clamp

    @property
    def lead(self) -> int:
        return self.window.lead


@dataclass(frozen=True, eq=False)
class MeanStep(Step):
    """groups: sizes (keep, reduce, keep, reduce, keep) of the input seen as a five-dimensional array.

    channels: one for all; its bias takes the zero points out of the sum.
    """

    groups: tuple[int, int, int, int, int]
    channels: Channels
    clamp: Clamp

    @property
    def over_read(self) -> int:
        return -self.groups[2] % WORD if self.groups[3:] == (1, 1) else 0


@dataclass(frozen=True, eq=False)
class AddStep(Step):
    """Output shape in four dimensions, strides of each input in them (0: broadcast), and the rescalings."""

    shape: tuple[int, int, int, int]
    strides: tuple[tuple[int, int, int, int], tuple[int, int, int, int]]
    zero_points: tuple[int, int]
    multipliers: tuple[int, int]
    shifts: tuple[int, int]
    output_multiplier: int
    output_shift: int
    clamp: Clamp

    @property
    def in_place(self) -> bool:
        return self.strides[0] == self.strides[1]


@dataclass(frozen=True, eq=False)
class LookupStep(Step):
    """table[256]: the output for each input, −128 first."""

    table: I8

    @property
    def in_place(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class SoftmaxStep(Step):
    """Softmax over rows of `depth` values."""

    rows: int
    depth: int
    multiplier: int
    left_shift: int
    diff_min: int

    @property
    def in_place(self) -> bool:
        return True
