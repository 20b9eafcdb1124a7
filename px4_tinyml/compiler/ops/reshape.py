"""RESHAPE and EXPAND_DIMS: the same bytes under another shape."""

from __future__ import annotations

from dataclasses import dataclass

from px4_tinyml.compiler.file_operator import FileOperator
from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.operator import Operator, OperatorEntry, Step


@dataclass(frozen=True, eq=False)
class Reshape(Operator):
    """Another shape of the same size."""

    @classmethod
    def read(cls, raw: FileOperator) -> Reshape:
        if len(raw.inputs) > 1:
            raw.constant(1, "INT32")
        return cls(raw.name, (raw.tensor(0),), raw.output)

    def lower(self) -> Step:
        self.require(self.input.size == self.output.size, "it changes the number of elements")
        return ReshapeStep(self)


class ReshapeStep(Step):
    """Nothing to compute."""

    same_bytes = True

    def run(self, inputs: list[I64]) -> I64:
        return inputs[0]

    def call(self) -> None:
        return None


ENTRIES = (
    OperatorEntry("RESHAPE", Reshape, "AddReshape"),
    OperatorEntry("EXPAND_DIMS", Reshape, "AddExpandDims", 2),
)
