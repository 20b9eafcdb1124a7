"""TensorFlow Lite Micro where the environment names one, and a bundle to generate from."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from reference_models import reference_bundle
from toolchains import missing, need, need_cortex_m

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.tflm.build import DIR_VARIABLE, TflmTree


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is built goes to this run's folder, once for all tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def tree() -> Callable[[str], TflmTree]:
    """The tree of the environment for a target; skips without it. What it names must be there like a toolchain."""

    def find(target: str) -> TflmTree:
        if not os.environ.get(DIR_VARIABLE):
            pytest.skip(f"{DIR_VARIABLE} is not set: no TensorFlow Lite Micro here (docs/tflm.md)")
        if target != "host":
            need_cortex_m()
        try:
            found = TflmTree.find(target)
        except ToolchainError as error:
            missing(str(error))
        assert found is not None
        return found

    return find


@pytest.fixture
def tools() -> None:
    need("make", "cmake")


@pytest.fixture(scope="session")
def feed() -> Feed:
    """120 s at 240 Hz, with a hole."""
    rng = np.random.default_rng(3)
    time = (np.arange(0, 120, 1 / 240) * 1e6 + 5e6).astype(np.uint64)
    time[len(time) // 2 :] += np.uint64(300_000)
    imu = rng.normal(0, [2, 2, 3, 0.5, 0.5, 0.3], (len(time), 6)) + np.array([0, 0, -9.8, 0, 0, 0])
    no_baro = np.zeros(0)
    before = np.zeros(len(time), np.int64)
    return Feed(time, imu.astype(np.float32), no_baro.astype(np.uint64), no_baro.astype(np.float32), before)


@pytest.fixture(scope="session")
def bundle(feed: Feed) -> ModelBundle:
    return reference_bundle("conv", feed, {"memory": {"tflm_arena_bytes": 4096}})
