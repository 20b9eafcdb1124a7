"""model/GoldenVectors: inputs of core/SelfTest.hpp and the results it must get on the target.

A few int8 windows of the bundle's golden vectors, mixtures of them, and a feed built from them: the same as in C++.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.emit.cpp import Emitted, braced, float_literal, listed, numbers, rows
from px4_tinyml.emit.write import license_header, render
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import F32, I8
from px4_tinyml.signal.golden_arrays import check_arrays
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, IMU_CHANNELS, PipelineSpec

HOLE, NON_FINITE, BACKWARDS = 1, 2, 3
"""Fault in the feed of a vector, by its number modulo 4; see core/SelfTest.hpp."""

MAX_BYTES = 4096
"""Flash for the vectors; at least one is kept."""
MAX_VECTORS = 4
NUMBERS_PER_LINE = 28

MIXTURE = np.dtype([("first", "u1"), ("second", "u1"), ("weight", "u1"), ("noise", "u1"), ("seed", "<u4")])
"""64 − weight parts of one vector, weight of another, and seeded noise; as in core/Mixture.hpp."""
PARTS = 64
MIXTURES = 32
CANDIDATES = 512


def golden_vectors(bundle: ModelBundle) -> dict[str, str]:
    """GoldenVectors.hpp and .cpp, by path relative to the module."""
    spec = bundle.spec
    inputs, outputs = _choose(bundle)
    step = steps(spec, bundle.graph.input.scale)
    decisions = bundle.classifier().run(feed(spec, inputs, step)).decisions
    mixtures, mixed_outputs = _mixtures(bundle, inputs)
    values: dict[str, Any] = {
        "license": license_header(),
        "spec": spec,
        "model_sha256": bundle.sha256,
        "first_slot": first_slot(spec),
        "inputs": [rows(row, NUMBERS_PER_LINE) for row in inputs],
        "outputs": [numbers(row) for row in outputs],
        "mixtures": [numbers(row) for row in mixtures],
        "mixed_outputs": [numbers(row) for row in mixed_outputs],
        "steps": listed(map(float_literal, step)),
        "decisions": [_decision(row) for row in decisions],
    }
    return {
        f"model/{name}": render(f"targets/px4/templates/{name}.j2", **values)
        for name in ("GoldenVectors.hpp", "GoldenVectors.cpp")
    }


def _choose(bundle: ModelBundle) -> tuple[I8, I8]:
    """Inputs and outputs of a few golden windows: one of each predicted class, then the first ones."""
    check_arrays(bundle.golden, bundle.spec, "golden vectors")
    inputs, outputs = bundle.golden["input"], bundle.golden["output"]
    if not len(inputs):
        raise ConversionError("the bundle has no golden vectors to test with; train again")
    count = max(1, min(MAX_VECTORS, MAX_BYTES // inputs.shape[1], len(inputs)))
    _, first = np.unique(outputs.argmax(axis=1), return_index=True)
    rest = np.setdiff1d(np.arange(len(inputs)), first)
    chosen = np.concatenate([np.sort(first), rest])[:count]
    return inputs[chosen], outputs[chosen]


def _mixtures(bundle: ModelBundle, inputs: I8) -> tuple[NDArray[np.void], I8]:
    """Mixtures with the least confident outputs, and these: a confident output hides small errors."""
    rng = np.random.default_rng(0)
    candidates = np.zeros(CANDIDATES, MIXTURE)
    ends = {"first": len(inputs), "second": len(inputs), "weight": PARTS, "noise": 24, "seed": 2**32}
    for name, end in ends.items():
        candidates[name] = rng.integers(0, end, CANDIDATES)
    outputs = Int8Interpreter(bundle.graph).invoke(mix(candidates, inputs))
    chosen = np.sort(np.argsort(outputs.max(axis=1), kind="stable")[:MIXTURES])
    return candidates[chosen], outputs[chosen]


def mix(mixtures: NDArray[np.void], inputs: I8) -> I8:
    """int8[N, input size] of N mixtures (dtype MIXTURE)."""
    noise = np.empty((len(mixtures), inputs.shape[1]), np.int64)
    state = mixtures["seed"].astype(np.uint64)
    for i in range(inputs.shape[1]):
        state = (state * np.uint64(1664525) + np.uint64(1013904223)) & np.uint64(0xFFFFFFFF)
        noise[:, i] = (state >> np.uint64(24)).astype(np.int64) - 128
    weight, amount = (mixtures[name].astype(np.int64)[:, None] for name in ("weight", "noise"))
    first, second = (inputs[mixtures[name]].astype(np.int64) for name in ("first", "second"))
    mixed = first * (PARTS - weight) + second * weight + noise * amount >> 6
    return np.asarray(np.clip(mixed, -128, 127), np.int8)


def steps(spec: PipelineSpec, input_scale: float) -> F32:
    """Physical size of one int8 step for each channel, as a power of two: products with it are exact."""
    if spec.inv_scale is None:
        raise ValueError("the spec is not fitted")
    return np.array([2.0 ** round(float(np.log2(input_scale / inverse))) for inverse in spec.inv_scale], np.float32)


def first_slot(spec: PipelineSpec) -> int:
    """First slot of the feed: its first window begins one slot later and is classified when it is full."""
    end = (spec.window // spec.hop + 20) * spec.hop
    return end - spec.window - 1


def feed(spec: PipelineSpec, inputs: I8, step: F32) -> Feed:
    """The feed of core/SelfTest.hpp, event by event."""
    rows = inputs.reshape(len(inputs), spec.window, len(spec.channels)).astype(np.float32)
    axes = [IMU_CHANNELS.index(name) for name in spec.channels if name in IMU_CHANNELS]
    quarter_us = 250_000 // spec.rate_hz
    imu: list[tuple[int, F32, int]] = []
    baro: list[tuple[int, float]] = []

    def push(time_us: int, row: F32, aside: float) -> None:
        sample = np.zeros(len(IMU_CHANNELS), np.float32)
        sample[axes] = ((row + np.float32(aside)) * step)[: len(axes)]
        imu.append((time_us, sample, len(baro)))

    slot = first_slot(spec)
    for number, window in enumerate(rows):
        fault = number % 4
        if fault == NON_FINITE:
            push(spec.slot_start_us(slot), window[0], float("nan"))
        elif fault == BACKWARDS:
            slot -= spec.hop
        for i in range(spec.window + 2 * spec.hop):
            if fault == HOLE and i in (spec.window // 2, spec.window // 2 + 1):
                continue
            row, start_us = window[(i - 1) % spec.window], spec.slot_start_us(slot + i)
            if ALTITUDE_CHANNEL in spec.channels and fault != BACKWARDS:
                baro.append((start_us, float(row[-1] * step[-1])))
            push(start_us + quarter_us, row, 1.0)
            push(start_us + 3 * quarter_us, row, -1.0)
        slot += spec.window + 2 * spec.hop
    imu_us, samples, before = zip(*imu, strict=True)
    return Feed(
        np.array(imu_us, np.uint64),
        np.stack(samples),
        np.array([time_us for time_us, _ in baro], np.uint64),
        np.array([altitude for _, altitude in baro], np.float32),
        np.array(before, np.int64),
    )


def _decision(row: NDArray[np.void]) -> Emitted:
    names = ("start_us", "end_us", "confidence_q16", "class_index", "flags", "label_count")
    return listed([*(row[name] for name in names), braced(row["probability"])])
