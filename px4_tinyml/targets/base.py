"""What a bench of a target takes and returns: a model, its code, and the cost of one inference as data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.emit.write import text_files
from px4_tinyml.errors import ParityError, ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.programs import Program
from px4_tinyml.targets.sources import engine_header, model_files

TEMPLATES = Path(__file__).resolve().parent / "templates"

Runner = Callable[[Feed], Classification]
"""Runs a feed through a classifier; raises ToolchainError when that fails."""


@dataclass(frozen=True)
class PathCost:
    """The whole classifier, in instructions.

    Mean of one push_imu within a slot (sample), closing a slot (slot), completing a window (window: without the model;
    model), and of one push_baro (baro); None: does not occur. per_second: the sum at imu_hz. share: percent of each
    processor at one cycle an instruction, the least there is.
    """

    imu_hz: int
    sample: int | None
    slot: int | None
    window: int
    model: int
    baro: int | None
    per_second: int
    share: dict[str, float]


@dataclass(frozen=True)
class Layer:
    """One operator of a model. instructions, cycles: None where they are not known for one layer."""

    index: int
    operator: str
    shapes: str
    macs: int
    weights_bytes: int
    instructions: int | None = None
    cycles: int | None = None


@dataclass(frozen=True)
class Cost:
    """One inference of a model by an engine on a target.

    instructions: maximum over the inputs (fewest_instructions: minimum). cycles: estimated, see cycles.py.
    flash_bytes: the engine without the weights; weights_bytes: filters and biases as the model file holds them.
    ram_bytes: variables, with arena and input buffer; stack_bytes: on top of that, during an inference.
    classifier_…: with the signal path and the weights. recorded: not measured now, see recorded.py. None: not known.
    """

    model: str
    engine: str
    target: str
    macs: int
    weights_bytes: int
    instructions: int | None
    flash_bytes: int | None
    ram_bytes: int | None
    fewest_instructions: int | None = None
    cycles: int | None = None
    arena_bytes: int | None = None
    stack_bytes: int | None = None
    layers: tuple[Layer, ...] = ()
    classifier_flash_bytes: int | None = None
    classifier_ram_bytes: int | None = None
    signal_path: tuple[PathCost, ...] = ()
    recorded: bool = False


@dataclass(frozen=True, eq=False)
class Subject:
    """A model to be measured. x: int8[N, input size]. spec: of the signal path around it, None when not known."""

    name: str
    model: bytes
    graph: Graph
    x: I8
    spec: PipelineSpec | None

    @property
    def sha256(self) -> str:
        """SHA-256 of the model, hex."""
        return hashlib.sha256(self.model).hexdigest()

    def check(self, outputs: I8) -> None:
        """Raise ParityError unless these are the outputs int8[N, output size] of the NumPy engine."""
        expected = Int8Interpreter(self.graph).invoke(self.x)
        different = int((outputs != expected).any(axis=1).sum())
        if different:
            raise ParityError(f"{self.name}: {different} of {len(expected)} outputs differ from the NumPy engine")


@dataclass(frozen=True, eq=False)
class Code:
    """A model and its engine, to be built into programs.

    model: generated files by name. layer_header: what times the layers, included first. bench: the engine's own
    files for the bench, by name.
    """

    graph: Graph
    spec: PipelineSpec | None
    model: Mapping[str, str]
    layer_header: str
    bench: Mapping[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    libraries: Sequence[Path] = ()

    @property
    def files(self) -> dict[str, str]:
        """Source files by relative path. Without a spec there is no signal path."""
        model = model_files(self.model, self.graph, self.spec)
        return {**engine_header(), **model, **text_files(TEMPLATES / "bench"), **self.bench}

    def program(self, *sources: str, flags: Sequence[str] = (), link_flags: Sequence[str] = ()) -> Program:
        """A program of these sources with the model and its engine."""
        model = [f"model/{name}" for name in self.model if name.endswith(".cpp")]
        return Program((*sources, *model), (*self.flags, *flags), link_flags, self.libraries)


def compiled_code(graph: Graph, spec: PipelineSpec | None) -> Code:
    """For the compiled engine."""
    return Code(graph, spec, compile_model(graph, spec.hash if spec else ""), "layers.hpp")


@dataclass(frozen=True)
class Footprint:
    """flash_bytes: code, constants and initial values of variables. ram_bytes: variables, the arena among them."""

    flash_bytes: int
    ram_bytes: int


def footprint(image: Path, size: str) -> Footprint:
    """Of an ELF image that holds one function and what it needs. size: path of the binutils program of that name."""
    output = run_tool([size, str(image)])
    try:
        text, data, bss = map(int, output.splitlines()[1].split()[:3])
    except (IndexError, ValueError) as error:
        raise ToolchainError(f"unexpected output of {size} for {image}: {output!r}") from error
    return Footprint(text + data, data + bss)
