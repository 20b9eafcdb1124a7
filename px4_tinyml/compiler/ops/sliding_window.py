"""A kernel that slides over an image, for convolutions and pools (engine/kernels/window.hpp)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.file_operator import Padding
from px4_tinyml.compiler.operator import Operator

MAX_IMAGE = 1 << 20
"""Elements of an image with the padding its kernel can need; more does not fit a microcontroller."""
SIDES = ("Height", "Width")
Pair = tuple[int, int]


@dataclass(frozen=True)
class SlidingWindow:
    """(height, width) pairs, and channels."""

    input: Pair
    output: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    pad_before: Pair
    input_channels: int
    output_channels: int

    @classmethod
    def of(cls, operator: Operator, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> SlidingWindow:
        """Checked against the shapes in the file."""
        source, target = operator.input.shape, operator.output.shape
        operator.require(len(source) == 4 and len(target) == 4, "expected four-dimensional input and output")
        operator.require(source[0] == 1 and target[0] == 1, f"batch {source[0]} inside the model: expected 1")
        reaches = tuple((kernel[i] - 1) * dilation[i] + 1 for i in (0, 1))
        padded_size = (source[1] + reaches[0]) * (source[2] + reaches[1]) * source[3]
        operator.require(padded_size <= MAX_IMAGE, f"a kernel of {list(kernel)} over {list(source)} is too large")
        before = []
        for i, reach in enumerate(reaches):
            size = source[i + 1]
            expected = -(-size // stride[i]) if padding == "SAME" else (size - reach) // stride[i] + 1
            operator.require(expected == target[i + 1], f"output shape {list(target)}: expected {expected} in it")
            before.append(max(0, (expected - 1) * stride[i] + reach - size) // 2)
        return cls(
            (source[1], source[2]), (target[1], target[2]), kernel, stride, dilation, (before[0], before[1]),
            source[3], target[3],
        )  # fmt: skip

    @property
    def padded(self) -> bool:
        """True when the kernel reaches outside the image at some position."""
        return any(self.pad_before) or any(self.pad_after)

    @property
    def contiguous(self) -> bool:
        """True when the values under the kernel are neighbours in memory."""
        return self.kernel[0] == 1 and (self.dilation[1] == 1 or self.kernel[1] == 1)

    @property
    def pad_after(self) -> Pair:
        """Rows and columns the kernel needs below and to the right of the image."""
        height, width = (
            max(0, (self.output[i] - 1) * self.stride[i] + (self.kernel[i] - 1) * self.dilation[i] + 1
                - self.pad_before[i] - self.input[i])
            for i in (0, 1)
        )  # fmt: skip
        return height, width

    @property
    def lead(self) -> int:
        """See Step.lead: kernels visit the positions in order and finish one before the next."""
        height, width = (np.maximum(np.arange(self.output[i]) * self.stride[i] - self.pad_before[i], 0) for i in (0, 1))
        first_read = ((height[:, None] * self.input[1] + width) * self.input_channels).ravel()
        still_read = np.minimum.accumulate(first_read[::-1])[::-1]
        written = self.output_channels * np.arange(1, len(first_read) + 1)
        return int(np.max(written - still_read))

    @property
    def shape(self) -> dict[str, int]:
        """Constants of a kernel's Shape."""
        pairs = {
            "Input": self.input, "Output": self.output, "Kernel": self.kernel, "Stride": self.stride,
            "Dilation": self.dilation,
        }  # fmt: skip
        shape = {f"k{name}{side}": pair[i] for name, pair in pairs.items() for i, side in enumerate(SIDES)}
        shape |= {"kPadTop": self.pad_before[0], "kPadLeft": self.pad_before[1], "kPadded": int(self.padded)}
        return shape | {"kInputChannels": self.input_channels, "kOutputChannels": self.output_channels}

    def taps(self, x: NDArray[Any], outside: float) -> list[tuple[int, int, NDArray[Any]]]:
        """(row, column, values[N, output height, output width, channels]) of every kernel position.

        x: [N, size]; outside: the value of padding.
        """
        image = x.reshape(len(x), *self.input, self.input_channels)
        (top, left), (bottom, right) = self.pad_before, self.pad_after
        image = np.pad(image, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
        taps = []
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                rows, columns = (
                    slice(first, first + (self.output[i] - 1) * self.stride[i] + 1, self.stride[i])
                    for i, first in enumerate((row * self.dilation[0], column * self.dilation[1]))
                )
                taps.append((row, column, image[:, rows, columns]))
        return taps
