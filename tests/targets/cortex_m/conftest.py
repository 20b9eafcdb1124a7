"""The compiler and the emulator, and bundles around the reference models."""

from __future__ import annotations

import numpy as np
import pytest
from reference_models import reference_bundle
from toolchains import need_cortex_m

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.slots import Feed


@pytest.fixture(autouse=True)
def toolchain(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images go to this run's folder, once for all tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    need_cortex_m()


def hostile_feed(seed: int, seconds: float) -> Feed:
    """At 240 Hz, with a barometer, a hole, a bad sample and a clock that steps back."""
    rng = np.random.default_rng(seed)
    time = (np.arange(0, seconds, 1 / 240) * 1e6 + 5e6).astype(np.uint64)
    n = len(time)
    imu = rng.normal(0, [2, 2, 3, 0.5, 0.5, 0.3], (n, 6)) + np.array([0, 0, -9.8, 0, 0, 0])
    baro_time = time[::12].copy()
    before = np.searchsorted(np.arange(0, n, 12), np.arange(n), side="right")
    altitude = np.cumsum(rng.normal(0, 0.2, len(baro_time))) + 488.0
    time[n // 4 :] += np.uint64(300_000)
    time[n // 2 :] -= np.uint64(50_000)
    imu[n * 3 // 4, 2] = np.nan
    return Feed(time, imu.astype(np.float32), baro_time, altitude.astype(np.float32), before)


@pytest.fixture
def feed() -> Feed:
    return hostile_feed(7, 120.0)


@pytest.fixture(scope="session")
def conv() -> ModelBundle:
    return reference_bundle("conv", hostile_feed(1, 20.0))
