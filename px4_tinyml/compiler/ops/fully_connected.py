"""FULLY_CONNECTED: a dense layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.compiler.file_operator import FileOperator
from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.operator import KernelCall, OperatorEntry, Step
from px4_tinyml.compiler.ops.rows import WORD, row_constants
from px4_tinyml.compiler.ops.weighted import Weighted
from px4_tinyml.compiler.requantize import Requantization
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import I8


@dataclass(frozen=True, eq=False)
class FullyConnected(Weighted):
    """filter[out, in]; any number of rows."""

    @classmethod
    def read(cls, raw: FileOperator) -> FullyConnected:
        if raw.options.WeightsFormat() != 0:
            raise ConversionError("FULLY_CONNECTED: shuffled weights are not supported; use --engine tflm")
        return cls(raw.name, (raw.tensor(0),), raw.output, *raw.weights(), raw.activation())

    @property
    def macs(self) -> int:
        return self.output.size * self.filter.shape[1]

    def lower(self) -> Step:
        weights = self.filter_data
        self.require(weights.ndim == 2, f"filter with {weights.ndim} dimensions: expected 2")
        outputs, inputs = weights.shape
        rows = self.input.size // inputs
        self.require(rows * inputs == self.input.size, f"{self.input.size} inputs, filter for {inputs}")
        self.require(rows * outputs == self.output.size, f"output shape {list(self.output.shape)}")
        return FullyConnectedStep(self, rows, weights, self.requantization(axis=0))


@dataclass(frozen=True, eq=False)
class FullyConnectedStep(Step):
    """weights[outputs, inputs] on each of `rows` rows."""

    rows: int
    weights: I8
    requantization: Requantization

    def run(self, inputs: list[I64]) -> I64:
        # float64 holds every product and sum exactly (they are below 2^31), and its matrix product is fast.
        rows = inputs[0].reshape(-1, self.weights.shape[1]).astype(np.float64)
        return self.requantization.run(rows @ self.weights.T.astype(np.float64))

    def call(self) -> KernelCall:
        shape, arrays = row_constants(self.weights, self.requantization)
        shape |= {"kRows": self.rows, "kInputs": self.weights.shape[1]}
        return KernelCall("fully_connected", shape, arrays)

    @property
    def over_read(self) -> int:
        return -int(self.weights.shape[1]) % WORD


ENTRIES = (OperatorEntry("FULLY_CONNECTED", FullyConnected, "AddFullyConnected", 2, "FullyConnectedOptions", True),)
