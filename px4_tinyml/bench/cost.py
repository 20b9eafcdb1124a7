"""What one inference costs on a target, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One operator of a model. instructions, cycles: None where they are not known apart."""

    index: int
    operator: str
    shapes: str
    macs: int
    instructions: int | None = None
    cycles: int | None = None


@dataclass(frozen=True)
class Cost:
    """One inference of a model by an engine on a target.

    instructions: the most that any of the inputs took (the least: fewest_instructions); cycles: estimated, cycles.py.
    flash_bytes: the engine without the weights; weights_bytes: filters and biases as the model file holds them.
    ram_bytes: variables, arena and input buffer among them; stack_bytes on top of that while it runs. None: not known.
    recorded: not measured now, but taken from the table of docs/bench.md.
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
    recorded: bool = False
