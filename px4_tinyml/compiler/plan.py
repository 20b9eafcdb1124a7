"""The address of each activation in the arena, worked out when the code is generated.

A reshaped tensor shares its source's bytes, element-wise operators overwrite an input that no other operator reads, and
a convolution or pool may overwrite the part of its input that it no longer needs. The model's input lives in the
arena, too, and `invoke` may overwrite it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.operator import Step

ALIGNMENT = 4
"""Every buffer starts on a 32-bit word, so that kernels may load words."""


@dataclass(frozen=True)
class Plan:
    """offsets: tensor index → first byte in the arena. arena_bytes: size of the arena."""

    offsets: Mapping[int, int]
    arena_bytes: int


@dataclass(eq=False)
class _Buffer:
    """Bytes shared by one or more tensors, and the steps [first, last] during which they matter.

    successor: the buffer that may overwrite this one during step `last`, starting `lead` bytes before it.
    """

    size: int
    first: int
    last: int
    offset: int = -1
    successor: _Buffer | None = None
    lead: int = 0


def lifetimes(graph: Graph) -> dict[int, tuple[int, int]]:
    """Tensor index → (step that writes it, last step that reads it); −1 is before the first step."""
    lives = {graph.input.index: (-1, -1)}
    for position, step in enumerate(graph.steps):
        for tensor in step.operator.inputs:
            if tensor.data is None:
                lives[tensor.index] = (lives[tensor.index][0], position)
        lives[step.operator.output.index] = (position, position)
    first, _ = lives[graph.output.index]
    lives[graph.output.index] = (first, len(graph.steps))
    return lives


def plan_memory(graph: Graph) -> Plan:
    """Greedy: one buffer after the other, each at the lowest offset that is free while it lives.

    The largest first; or first those that overwrite one another, from the last to the first, so that the data moves
    towards the start from layer to layer. The order that needs less memory is used.
    """
    buffers = _buffers(graph)
    unique = list({id(buffer): buffer for buffer in buffers.values()}.values())
    by_size = sorted(unique, key=lambda b: (-b.size, b.first))
    pairs = [(b, b.successor) for b in unique if b.successor is not None and b.lead < b.successor.size]
    moving = sorted({b for pair in pairs for b in pair}, key=lambda b: -b.first)
    orders = by_size, moving + [b for b in by_size if b not in moving]
    return min((_place(order, buffers, graph) for order in orders), key=lambda plan: plan.arena_bytes)


def _place(order: list[_Buffer], buffers: Mapping[int, _Buffer], graph: Graph) -> Plan:
    """The plan with the buffers placed in this order."""
    placed: list[_Buffer] = []
    for buffer in order:
        buffer.offset = _lowest_free_offset(buffer, placed)
        placed.append(buffer)
    offsets = {index: buffer.offset for index, buffer in buffers.items()}
    ends = [buffer.offset + buffer.size for buffer in placed]
    for step in graph.steps:
        read = [tensor for tensor in step.operator.inputs if tensor.data is None]
        ends += [offsets[tensor.index] + tensor.size + step.over_read for tensor in read]
    return Plan(offsets, _align(max(ends)))


def _buffers(graph: Graph) -> dict[int, _Buffer]:
    """The buffer of each activation, by tensor index."""
    lives = lifetimes(graph)
    buffers = {graph.input.index: _Buffer(graph.input.size, *lives[graph.input.index])}
    for position, step in enumerate(graph.steps):
        output = step.operator.output
        first, last = lives[output.index]
        shared = _shared_buffer(step, position, buffers)
        if shared is None:
            buffers[output.index] = _Buffer(output.size, first, last)
        else:
            shared.last = max(shared.last, last)
            buffers[output.index] = shared
    for position, step in enumerate(graph.steps):
        source, target = (buffers.get(tensor.index) for tensor in (step.operator.input, step.operator.output))
        if source is not None and target is not None and source.last == position == target.first:
            source.successor, source.lead = target, min(step.lead, target.size)
    return buffers


def _shared_buffer(step: Step, position: int, buffers: dict[int, _Buffer]) -> _Buffer | None:
    """The input buffer a step's output may use: always for a reshape, after its last use for in-place work."""
    operator = step.operator
    for tensor in operator.inputs:
        if tensor.data is None and tensor.size == operator.output.size:
            buffer = buffers[tensor.index]
            if step.same_bytes or (step.in_place and buffer.last <= position):
                return buffer
    return None


def _lowest_free_offset(buffer: _Buffer, placed: list[_Buffer]) -> int:
    offset = 0
    blocked = [_blocked(buffer, other) for other in placed if buffer.first <= other.last and other.first <= buffer.last]
    for low, high in sorted(blocked, key=lambda limits: limits[1]):
        if low < offset < high:
            offset = _align(high)
    return offset


def _blocked(buffer: _Buffer, other: _Buffer) -> tuple[int, int]:
    """Offsets between these two (exclusive) are not free for a buffer while another one is in use."""
    low, high = other.offset - buffer.size, other.offset + other.size
    if buffer.successor is other:
        high = other.offset + buffer.lead
    if other.successor is buffer:
        low = other.offset - other.lead
    return low, high


def _align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
