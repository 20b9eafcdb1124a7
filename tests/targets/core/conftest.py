"""Hostile feeds, specs of many shapes, and host projects around the model double of CompiledModel.hpp."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from px4_tinyml.emit.write import module_sources
from px4_tinyml.signal.classifier import Classification, Classifier, Model
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PRESETS, DecisionSpec, PipelineSpec
from px4_tinyml.targets.host.build import build_tree
from px4_tinyml.targets.host.generate import host_frame
from px4_tinyml.targets.sources import SPEC_HEADER, spec_header

INPUT_SCALE, INPUT_ZERO_POINT = 0.0157, -3
DOUBLE = Path(__file__).parent / "CompiledModel.hpp"


def fitted(spec: PipelineSpec, seed: int = 5) -> PipelineSpec:
    rng = np.random.default_rng(seed)
    n = len(spec.channels)
    return dataclasses.replace(spec, offset=tuple(rng.normal(0, 1, n)), inv_scale=tuple(rng.uniform(0.1, 1.5, n)))


SMALL = PipelineSpec(window=16, hop=4, max_repeated_slots=3, baro_stale_slots=8, baro_lag_slots=2)
QUICK = DecisionSpec(smoothing_q8=256, enter=0.55, leave=0.5, hold_windows=0)
SPECS = {
    "default": fitted(PRESETS["default"]),
    "imu6": fitted(PRESETS["imu6"]),
    "arduino119": fitted(PRESETS["arduino119"]),
    "small": fitted(SMALL),
    "hop1": fitted(dataclasses.replace(SMALL, rate_hz=119, window=17, hop=1, baro_lag_slots=0, clip=0.7)),
    "hop17": fitted(dataclasses.replace(SMALL, rate_hz=83, hop=17, max_gap_slots=0, decision=QUICK)),
    "az_alt": fitted(dataclasses.replace(SMALL, channels=("az", "alt"), rate_hz=10, labels=("a", "b"))),
    "alt": fitted(dataclasses.replace(SMALL, channels=("alt",), window=9, hop=2, max_gap_slots=30)),
}


class ModelDouble:
    """CompiledModel.hpp (a test double) in NumPy."""

    def __init__(self, spec: PipelineSpec) -> None:
        i = np.arange(spec.window * len(spec.channels))[:, None]
        self.weights = i * (np.arange(len(spec.labels)) + 3) % 11 - 5

    def invoke(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        return np.clip((x.astype(np.int64) @ self.weights) >> 4, -128, 127).astype(np.int8)


def hostile_feed(seed: int, samples: int = 4000) -> Feed:
    """Jitter, duplicates, short and long holes, clocks that run backwards, NaN, a barometer that lags and fails."""
    rng = np.random.default_rng(seed)
    rate = [43.0, 50.0, 119.0, 250.0, 1000.0][seed % 5]
    step = rng.normal(1e6 / rate, 0.3 * (seed % 2) * 1e6 / rate, samples)
    hole = rng.random(samples) < 0.004
    step[hole] += rng.choice([25_000, 60_000, 90_000, 400_000], hole.sum())
    if seed % 3 == 0:
        back = rng.random(samples) < 0.001
        step[back] -= rng.choice([200, 15_000, 3_000_000], back.sum())
    step[rng.random(samples) < 0.02] = 0.0
    time = np.cumsum(step) + 4e6 + rng.choice([0.0, 3e9, 1.7e15]) + 1e6 * rng.random()
    imu = rng.normal(0, rng.choice([0.5, 3.0]), (samples, 6)) + np.sin(time[:, None] / 2e6) * 4
    imu = imu.astype(np.float32)
    imu[rng.random(samples) < 0.0005] = 3e38
    if seed % 4 == 0:
        bad = np.flatnonzero(rng.random(samples) < 0.001)
        imu[bad, rng.integers(0, 6, len(bad))] = rng.choice([np.nan, np.inf, -np.inf], len(bad))

    baro_time = np.sort(rng.choice(time, int(samples * min(1.0, 30 / rate)), replace=False))
    silent = (np.arange(len(baro_time)) // 40) % 7 == 5
    baro_time = baro_time[~silent]
    altitude = np.cumsum(rng.normal(0, 0.3, len(baro_time))) + rng.choice([0.0, 4000.0])
    altitude = altitude.astype(np.float32)
    altitude[rng.random(len(altitude)) < 0.01] = rng.choice(np.array([np.nan, np.inf, 1e9, -2e5], np.float32))
    # Delivered late by a random amount, in order; in some feeds also with a clock of its own that jumps back.
    delivery = np.searchsorted(np.maximum.accumulate(time), baro_time + rng.choice([0, 30_000, 200_000]))
    if seed % 6 == 1:
        baro_time[len(baro_time) // 2 :] -= 400_000
    before = np.searchsorted(delivery, np.arange(samples), side="right")
    return Feed(time.astype(np.uint64), imu, np.maximum(baro_time, 0).astype(np.uint64), altitude, before)


def double_tree(spec: PipelineSpec) -> dict[str, str]:
    """A host project whose model is the double."""
    return {
        **module_sources("core", "engine"),
        SPEC_HEADER: spec_header(spec, INPUT_SCALE, INPUT_ZERO_POINT),
        "model/CompiledModel.hpp": DOUBLE.read_text(),
        **host_frame(spec, []),
    }


@pytest.fixture(autouse=True)
def compiler_here(cxx: list[str]) -> None:
    """All of these tests compile."""


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> PipelineSpec:
    return SPECS[request.param]


@pytest.fixture
def build(tmp_path: Path) -> Callable[[PipelineSpec, Sequence[str]], Path]:
    """Compile the double's project with flags; returns the command."""
    return lambda spec, flags: build_tree(double_tree(spec), tmp_path, flags) / "motion_classify"


@pytest.fixture
def reference() -> Callable[[PipelineSpec, Feed], Classification]:
    """The NumPy signal path with the double as its engine."""

    def run(spec: PipelineSpec, events: Feed) -> Classification:
        classifier = Classifier(spec, Model(ModelDouble(spec), INPUT_SCALE, INPUT_ZERO_POINT, 1 / 256, -128))
        with np.errstate(all="ignore"):
            return classifier.run(events)

    return run


@pytest.fixture
def tree() -> Callable[[PipelineSpec], dict[str, str]]:
    return double_tree


@pytest.fixture
def specs() -> dict[str, PipelineSpec]:
    return SPECS


@pytest.fixture
def feeds() -> Callable[[Sequence[int]], list[Feed]]:
    return lambda seeds: [hostile_feed(seed) for seed in seeds]
