"""The memory plan: no tensor is overwritten while somebody still needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tflite_micro", reason="its schema classes write the models")

from px4_tinyml.convert.graph import Graph
from px4_tinyml.convert.lower import lower
from px4_tinyml.convert.plan import ALIGNMENT, Plan, plan_memory
from px4_tinyml.convert.steps import ReshapeStep, Step
from px4_tinyml.convert.tflite_model import read_model

from .models import random_model

MODELS = Path(__file__).resolve().parents[2] / "benchmarks" / "models"


def check(graph: Graph, steps: tuple[Step, ...], plan: Plan) -> None:
    """Run the steps over an arena in which each byte remembers whose value it holds."""
    arena = [-1] * plan.arena_bytes
    values = {graph.input.index: graph.input.index}

    def place(index: int, size: int) -> range:
        start = plan.offsets[index]
        assert start % ALIGNMENT == 0 and 0 <= start <= plan.arena_bytes - size
        return range(start, start + size)

    for byte in place(graph.input.index, graph.input.size):
        arena[byte] = graph.input.index
    for step in steps:
        operator = step.operator
        target = place(operator.output.index, operator.output.size)
        for tensor in operator.inputs:
            if tensor.data is not None:
                continue
            source = place(tensor.index, tensor.size)
            assert {arena[byte] for byte in source} == {values[tensor.index]}, operator.name
            if not isinstance(step, ReshapeStep) and not (step.in_place and source == target):
                assert source.stop <= target.start or target.stop <= source.start, operator.name
        values[operator.output.index] = operator.output.index
        if isinstance(step, ReshapeStep):
            assert target == place(operator.input.index, operator.input.size)
            values[operator.output.index] = values[operator.input.index]
        for byte in target:
            arena[byte] = values[operator.output.index]
    result = place(graph.output.index, graph.output.size)
    assert {arena[byte] for byte in result} == {values[graph.output.index]}


def test_random_models() -> None:
    saved = 0
    for seed in range(600):
        graph = read_model(random_model(seed))
        steps = lower(graph)
        plan = plan_memory(graph, steps)
        check(graph, steps, plan)
        saved += plan.arena_bytes < graph.input.size + sum(step.operator.output.size for step in steps)
    assert saved > 400  # memory is in fact reused


@pytest.mark.parametrize(("name", "arena_bytes"), [("dense", 714 + 2 + 50 + 2), ("conv", 128 * 6 + 62 * 8)])
def test_arena_of_the_reference_models(name: str, arena_bytes: int) -> None:
    """The input and the first layer's output (aligned), no more."""
    graph = read_model((MODELS / f"{name}.tflite").read_bytes())
    assert plan_memory(graph, lower(graph)).arena_bytes == arena_bytes
