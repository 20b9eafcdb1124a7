"""The interface of an operator; ops/ has one file each.

An Operator is read from the file. It is lowered to a Step: the same operator with its numbers worked out as TFLite
Micro's Prepare does. NumPy and C++ both compute from the Step, so a number is worked out once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from px4_tinyml.compiler.file_operator import FileOperator
from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.errors import ConversionError


@dataclass(frozen=True, eq=False)
class Operator(ABC):
    """An operator of the file: its name in the schema, the tensors it reads, the one it writes."""

    constant_operand: ClassVar[bool] = False
    """True when one of two inputs may be constant."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor

    @classmethod
    def read(cls, raw: FileOperator) -> Operator:
        """From the file; here for one input and no options. ConversionError for unsupported options."""
        return cls(raw.name, (raw.tensor(0),), raw.output)

    @abstractmethod
    def lower(self) -> Step:
        """The numbers the kernel needs; ConversionError where they make no sense."""

    @property
    def input(self) -> Tensor:
        """The first (usually the only) tensor it reads."""
        return self.inputs[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference; padding counts as data."""
        return 0

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """Constant tensors that are stored in flash."""
        return tuple(tensor for tensor in self.inputs if tensor.data is not None)

    def require(self, condition: bool, message: str) -> None:
        """Raise ConversionError with the operator's name unless the condition holds."""
        if not condition:
            raise ConversionError(f"{self.name} ({self.output.name!r}): {message}")


@dataclass(frozen=True, eq=False)
class ConstantArray:
    """A constant array in C++. values: int[n] of an integer type, or int[n, k]: n structs of motion::engine."""

    type: str
    values: NDArray[Any]

    @property
    def structs(self) -> bool:
        """True for an array of structs."""
        return self.values.ndim == 2


@dataclass(frozen=True, eq=False)
class KernelCall:
    """`kernel<Shape>(inputs…, arrays…, output)` in C++; shape: the constants of Shape; arrays: by name, in order."""

    kernel: str
    shape: Mapping[str, int]
    arrays: Mapping[str, ConstantArray] = field(default_factory=dict)
    header: str = ""

    @property
    def header_file(self) -> str:
        """File in engine/kernels: `header`, by default the kernel's name and .hpp."""
        return self.header or f"{self.kernel}.hpp"


@dataclass(frozen=True, eq=False)
class Step(ABC):
    """An operator with its numbers worked out. The memory plan's defaults are safe for every kernel."""

    same_bytes: ClassVar[bool] = False
    """True when the output is the input's bytes under another shape."""

    operator: Operator

    @abstractmethod
    def run(self, inputs: list[I64]) -> I64:
        """In NumPy: int64[N, size] for each input → N outputs in any shape, bit for bit as TFLite Micro."""

    @abstractmethod
    def call(self) -> KernelCall | None:
        """The C++ call; None when there is nothing to compute."""

    @property
    def in_place(self) -> bool:
        """True when each output byte may overwrite the input byte in its place."""
        return False

    @property
    def over_read(self) -> int:
        """Bytes behind its input that a kernel may read; their values do not matter."""
        return 0

    @property
    def lead(self) -> int:
        """Bytes by which the output must start before the input, so that no byte is overwritten before it is read.

        The size of the output where a kernel needs all of its input to the end.
        """
        return self.operator.output.size


@dataclass(frozen=True)
class OperatorEntry:
    """How an operator is found in a file, and in TFLite Micro.

    name: in the schema; inputs: fewest; options: its options table; resolver_method: of MicroMutableOpResolver;
    int8_registration: True when TFLite Micro has a registration for int8 alone.
    """

    name: str
    operator: type[Operator]
    resolver_method: str
    inputs: int = 1
    options: str | None = None
    int8_registration: bool = False

    @property
    def registration(self) -> str:
        """TFLite Micro's function for it, in namespace tflite."""
        return f"Register_{self.name}{'_INT8' if self.int8_registration else ''}"
