"""Where each activation lives in the arena: decided when the code is generated, not on the vehicle.

A reshaped tensor shares its source's bytes, and element-wise operators write over an input that nothing else
needs. The model's input lives in the arena too and `invoke` may overwrite it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from px4_tinyml.convert.graph import Graph
from px4_tinyml.convert.steps import ReshapeStep, Step

ALIGNMENT = 4
"""Every buffer starts on a 32-bit word, so that kernels may load words."""


@dataclass(frozen=True)
class Plan:
    """offsets: tensor index → first byte in the arena. arena_bytes: size of the arena."""

    offsets: Mapping[int, int]
    arena_bytes: int


@dataclass
class _Buffer:
    """Bytes shared by one or more tensors, and the steps [first, last] during which they matter."""

    size: int
    first: int
    last: int
    offset: int = -1


def lifetimes(graph: Graph, steps: tuple[Step, ...]) -> dict[int, tuple[int, int]]:
    """Tensor index → (step that writes it, last step that reads it); −1 is before the first step."""
    lives = {graph.input.index: (-1, -1)}
    for position, step in enumerate(steps):
        for tensor in step.operator.inputs:
            if tensor.data is None:
                lives[tensor.index] = (lives[tensor.index][0], position)
        lives[step.operator.output.index] = (position, position)
    first, _ = lives[graph.output.index]
    lives[graph.output.index] = (first, len(steps))
    return lives


def plan_memory(graph: Graph, steps: tuple[Step, ...]) -> Plan:
    """Greedy by size: the largest buffer first, each at the lowest offset that is free while it lives."""
    lives = lifetimes(graph, steps)
    buffers = {graph.input.index: _Buffer(graph.input.size, *lives[graph.input.index])}
    for position, step in enumerate(steps):
        output = step.operator.output
        first, last = lives[output.index]
        shared = _shared_buffer(step, position, buffers)
        if shared is None:
            buffers[output.index] = _Buffer(output.size, first, last)
        else:
            shared.last = max(shared.last, last)
            buffers[output.index] = shared
    placed: list[_Buffer] = []
    unique = {id(buffer): buffer for buffer in buffers.values()}
    for buffer in sorted(unique.values(), key=lambda b: (-b.size, b.first)):
        buffer.offset = _lowest_free_offset(buffer, placed)
        placed.append(buffer)
    ends = [buffer.offset + buffer.size for buffer in placed]
    for step in steps:
        read = [tensor for tensor in step.operator.inputs if tensor.data is None]
        ends += [buffers[tensor.index].offset + tensor.size + step.over_read for tensor in read]
    end = max(ends)
    return Plan({index: buffer.offset for index, buffer in buffers.items()}, _align(end))


def _shared_buffer(step: Step, position: int, buffers: dict[int, _Buffer]) -> _Buffer | None:
    """The input buffer a step's output may use: always for a reshape, when it dies here for in-place work."""
    operator = step.operator
    for tensor in operator.inputs:
        if tensor.data is None and tensor.size == operator.output.size:
            buffer = buffers[tensor.index]
            if isinstance(step, ReshapeStep) or (step.in_place and buffer.last <= position):
                return buffer
    return None


def _lowest_free_offset(buffer: _Buffer, placed: list[_Buffer]) -> int:
    offset = 0
    for other in sorted(placed, key=lambda b: b.offset):
        alive_together = buffer.first <= other.last and other.first <= buffer.last
        if alive_together and other.offset < offset + buffer.size and offset < other.offset + other.size:
            offset = _align(other.offset + other.size)
    return offset


def _align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
