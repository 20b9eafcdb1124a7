"""An int8 model as typed data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from px4_tinyml.compiler.operator import Operator, Step
from px4_tinyml.compiler.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """A model with one int8 input and one int8 output; operators in the order they run."""

    input: Tensor
    output: Tensor
    operators: tuple[Operator, ...]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The operators lowered to integer arithmetic, in order; ConversionError where the numbers make no sense."""
        return tuple(operator.lower() for operator in self.operators)

    @property
    def operator_names(self) -> tuple[str, ...]:
        """Names of the operators used, sorted, each once."""
        return tuple(sorted({operator.name for operator in self.operators}))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference; `operator.macs` has them by layer."""
        return sum(operator.macs for operator in self.operators)

    @property
    def weights_bytes(self) -> int:
        """Bytes of filters, biases and other constants, each tensor counted once."""
        tensors = {t.index: t for operator in self.operators for t in operator.weights}
        return sum(t.data.nbytes for t in tensors.values() if t.data is not None)
