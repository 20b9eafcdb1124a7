"""What one inference costs on a target, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PathCost:
    """The whole classifier: instructions of one push_imu, on average, within a slot (sample), closing a slot (slot),
    completing a window (window: without the model; model), and of one push_baro (baro). None: does not occur.

    per_second: all of it at imu_hz. share: of processors, in percent, an instruction taken as one cycle: it is at least
    one.
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
    """One operator of a model. instructions, cycles: None where they are not known apart."""

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

    instructions: the most that any of the inputs took (the least: fewest_instructions); cycles: estimated, cycles.py.
    flash_bytes: the engine without the weights; weights_bytes: filters and biases as the model file holds them.
    ram_bytes: variables, arena and input buffer among them; stack_bytes on top of that while it runs. None: not known.
    classifier_…: with the signal path around it, weights and all. recorded: not measured now, see recorded.py.
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
