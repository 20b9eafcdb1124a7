"""The memory plan: no tensor is overwritten before its last use."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_models import MODELS

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.operator import Step
from px4_tinyml.compiler.ops.conv_2d import Conv2DStep
from px4_tinyml.compiler.ops.depthwise_conv_2d import DepthwiseConv2DStep
from px4_tinyml.compiler.ops.pool_2d import Pool2DStep
from px4_tinyml.compiler.plan import ALIGNMENT, Plan, plan_memory
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.compiler.tensor import Tensor

from .models import random_model, sensor_model


class Arena:
    """Memory in which each byte holds the index of the tensor stored there."""

    def __init__(self, plan: Plan) -> None:
        self.offsets, self.owner = plan.offsets, np.full(plan.arena_bytes, -1)

    def place(self, tensor: Tensor) -> NDArray[np.int64]:
        """A view of the tensor's bytes."""
        start = self.offsets[tensor.index]
        assert start % ALIGNMENT == 0 and 0 <= start <= len(self.owner) - tensor.size
        return self.owner[start : start + tensor.size]


def positions(step: Step) -> list[NDArray[np.int64]]:
    """Which bytes of its input a step reads before it writes each of equally many parts of its output, in order."""
    every = np.arange(step.operator.input.size)
    all_to_the_end = isinstance(step, DepthwiseConv2DStep) and step.lines
    if isinstance(step, Conv2DStep | Pool2DStep) and not all_to_the_end:
        w = step.window
        image = every.reshape(*w.input, w.input_channels)
        rows, columns = (np.arange(w.kernel[i]) * w.dilation[i] - w.pad_before[i] for i in (0, 1))
        reads = []
        for y, x in np.ndindex(w.output):
            r, c = y * w.stride[0] + rows, x * w.stride[1] + columns
            r, c = r[(r >= 0) & (r < w.input[0])], c[(c >= 0) & (c < w.input[1])]
            reads.append(image[np.ix_(r, c)].ravel())
        return reads
    return [every] if not step.in_place else list(every[:, None])


def check(graph: Graph, plan: Plan) -> int:
    """Run the steps over an Arena; returns how many wrote over the input they were reading."""
    arena = Arena(plan)
    arena.place(graph.input)[:] = graph.input.index
    holds = {graph.input.index: graph.input.index}
    overlaps = 0
    for step in graph.steps:
        operator = step.operator
        output, sources = operator.output, [tensor for tensor in operator.inputs if tensor.data is None]
        if step.same_bytes:
            assert plan.offsets[output.index] == plan.offsets[operator.input.index]
            holds[output.index] = holds[operator.input.index]
            continue
        holds[output.index] = output.index
        for tensor in sources:
            assert plan.offsets[tensor.index] + tensor.size + step.over_read <= plan.arena_bytes
            assert (arena.place(tensor) == holds[tensor.index]).all(), operator.name
        reads = positions(step)
        for read, written in zip(reads, np.array_split(np.arange(output.size), len(reads)), strict=True):
            for tensor in sources:
                seen = arena.place(tensor)[read % tensor.size]
                assert (seen == holds[tensor.index]).all(), operator.name
                # A kernel may write the first bytes of this part before it has read all it needs for the last.
                arena.place(output)[written] = output.index
                seen = arena.place(tensor)[read % tensor.size]
                assert step.in_place or (seen == holds[tensor.index]).all(), operator.name
            arena.place(output)[written] = output.index
        overlaps += not step.in_place and any((arena.place(t) != holds[t.index]).any() for t in sources)
    assert (arena.place(graph.output) == holds[graph.output.index]).all()
    return overlaps


def test_random_models() -> None:
    saved = overlaps = 0
    for data in [random_model(seed) for seed in range(500)] + [sensor_model(seed) for seed in range(50)]:
        graph = read_model(data)
        plan = plan_memory(graph)
        overlaps += check(graph, plan)
        saved += plan.arena_bytes < graph.input.size + sum(step.operator.output.size for step in graph.steps)
    assert saved > 400 and overlaps > 50  # memory is in fact reused


@pytest.mark.parametrize(("name", "arena_bytes"), [("dense", 714 + 2 + 50 + 2), ("conv", 128 * 6 + 8 + 16)])
def test_arena_of_the_reference_models(name: str, arena_bytes: int) -> None:
    """The input and the first layer's output (aligned); for convolutions the input and one position of each."""
    graph = read_model((MODELS / f"{name}.tflite").read_bytes())
    assert plan_memory(graph).arena_bytes == arena_bytes
