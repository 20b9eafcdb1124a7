"""Bundles around the two models of benchmarks/, and feeds for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference_models import SPECS, reference_bundle

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.slots import Feed


def make_feed(seed: int, seconds: float) -> Feed:
    """A feed at 240 Hz with a hole, a bad sample and a clock that steps back."""
    rng = np.random.default_rng(seed)
    time = (np.arange(0, seconds, 1 / 240) * 1e6 + 5e6).astype(np.uint64)
    n = len(time)
    imu = rng.normal(0, [2, 2, 3, 0.5, 0.5, 0.3], (n, 6)) + np.array([0, 0, -9.8, 0, 0, 0])
    imu = (imu + np.sin(time[:, None] / 3e5) * 2).astype(np.float32)
    time[n // 4 :] += np.uint64(300_000)
    time[n // 2 :] -= np.uint64(50_000)
    imu[n * 3 // 4, 2] = np.nan
    none = np.zeros(0, np.uint64)
    return Feed(time, imu, none, none.astype(np.float32), np.zeros(n, np.int64))


@pytest.fixture
def events() -> Callable[[int, float], Feed]:
    return make_feed


@pytest.fixture(scope="session")
def bundles() -> dict[str, ModelBundle]:
    return {name: reference_bundle(name, make_feed(1, 20.0)) for name in SPECS}


@pytest.fixture(params=SPECS)
def bundle(request: pytest.FixtureRequest, bundles: dict[str, ModelBundle]) -> ModelBundle:
    return bundles[request.param]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built commands go to this run's folder, once for all tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
