"""The engines a companion computer may have: all give the bits of `classify`, and each reports why it cannot run."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_samples import small_bundle, small_spec

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.companion import open_pipeline
from px4_tinyml.emit.toolchain import compiler
from px4_tinyml.emit.write import PACKAGE
from px4_tinyml.errors import ParityError, ToolchainError
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decision import DECISION, DECISION_FIELDS
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import DecisionSpec, PipelineSpec
from px4_tinyml.signal.streaming import Decided, StreamPipeline
from px4_tinyml.targets.host.library import ABI_VERSION, HostPipeline

SPECS = {
    "small": small_spec(),
    "hop1": dataclasses.replace(small_spec(), hop=1, rate_hz=119, baro_lag_slots=0),
    "no gaps": dataclasses.replace(small_spec(), hop=17, max_gap_slots=0, decision=DecisionSpec(256, 0.5, 0.4, 0)),
    "long gaps": dataclasses.replace(small_spec(), hop=2, max_gap_slots=30, max_repeated_slots=10),
    "imu6": dataclasses.replace(
        small_spec(), channels=("ax", "ay", "az", "gx", "gy", "gz"), offset=(0.0,) * 6, inv_scale=(0.5,) * 6
    ),
}


def hostile_feed(seed: int, samples: int = 1200) -> Feed:
    """Jitter, equal times, holes, clocks that run backwards, NaN, a barometer in any order."""
    rng = np.random.default_rng(seed)
    step = np.abs(rng.normal(1e6 / rng.choice([43.0, 50.0, 250.0]), 2000.0, samples))
    hole = rng.random(samples) < 0.01
    step[hole] += rng.choice([25_000, 60_000, 400_000], int(hole.sum()))
    step[rng.random(samples) < 0.02] = 0.0
    back = rng.random(samples) < 0.003
    step[back] -= rng.choice([200, 15_000, 3_000_000], int(back.sum()))
    time_us = (np.cumsum(step) + 5e6).astype(np.uint64)
    imu = rng.normal(0, 2.0, (samples, 6)).astype(np.float32)
    imu[rng.random(samples) < 0.003, rng.integers(0, 6)] = rng.choice([np.nan, np.inf, 3e38])
    baro_time_us = np.sort(rng.choice(time_us, samples // 8)) + np.uint64(rng.integers(0, 300_000))
    baro_time_us[rng.random(len(baro_time_us)) < 0.01] -= np.uint64(1_000_000)
    altitude_m = np.cumsum(rng.normal(0, 0.3, len(baro_time_us))).astype(np.float32)
    altitude_m[rng.random(len(altitude_m)) < 0.02] = rng.choice([np.nan, 1e6])
    before = np.sort(rng.integers(0, len(baro_time_us) + 1, samples)).astype(np.int64)
    return Feed(time_us, imu, baro_time_us, altitude_m, before)


def pushed(pipeline: StreamPipeline, events: Feed) -> list[Decided]:
    """A feed, sample by sample."""
    made, delivered = [], 0
    for i, time_us in enumerate(events.imu_time_us.tolist()):
        for b in range(delivered, int(events.baro_before[i])):
            pipeline.push_baro(int(events.baro_time_us[b]), float(events.baro_altitude_m[b]))
        delivered = max(delivered, int(events.baro_before[i]))
        made += pipeline.push_imu(time_us, events.imu[i].tolist())
    return made


def check(pipeline: StreamPipeline, events: Feed, expected: Classification) -> None:
    made = pushed(pipeline, events)
    decisions = np.array([d.decision for d in made], DECISION)
    assert pipeline.counts == expected.counts
    for name in DECISION_FIELDS:
        assert np.array_equal(decisions[name], expected.decisions[name]), name
    assert all(d.spent_us >= 0 for d in made)


@settings(max_examples=16, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(SPECS)), st.integers(0, 2**32 - 1))
def test_the_python_path_equals_classify(name: str, seed: int) -> None:
    bundle, events = small_bundle(SPECS[name]), hostile_feed(seed)
    check(open_pipeline(bundle, "numpy")[0], events, bundle.classifier().run(events))


@pytest.mark.parametrize("engine", ["compiled", "tflm"])
@pytest.mark.parametrize("name", ["small", "imu6"])
def test_host_and_tflm_equal_classify(engine: str, name: str) -> None:
    bundle = small_bundle(SPECS[name])
    for seed in range(3):
        events = hostile_feed(seed)
        expected = bundle.classifier().run(events)
        assert len(expected) > 10
        pipeline, used = open_pipeline(bundle, engine)
        assert used == engine
        check(pipeline, events, expected)


def test_auto_is_cpp_and_without_a_compiler_tflm(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_pipeline(bundle)[1] == "compiled"
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert open_pipeline(bundle)[1] == "tflm"
    assert "no C++ here" in caplog.text and "no-such-compiler" in caplog.text
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(ToolchainError, match=r"no-such-compiler.*tflite-micro wheel is missing.*--engine numpy"):
        open_pipeline(bundle)
    with pytest.raises(ToolchainError, match="no C\\+\\+ compiler"):
        open_pipeline(bundle, "host")
    assert open_pipeline(bundle, "numpy")[1] == "numpy"


def test_a_library_of_another_spec_is_refused(bundle: ModelBundle, library: Path) -> None:
    other: PipelineSpec = dataclasses.replace(bundle.spec, decision=DecisionSpec(enter=0.7))
    with pytest.raises(ParityError, match=f"{bundle.spec.short_hash}, the bundle has {other.short_hash}"):
        HostPipeline(library, other)


def shared_library(folder: Path, code: str) -> Path:
    (folder / "other.cpp").write_text(code)
    path = folder / "libother.so"
    subprocess.run([*compiler(), "-shared", "-fPIC", "-o", path, folder / "other.cpp"], check=True)
    return path


def test_another_abi_another_library_and_no_library_are_refused(bundle: ModelBundle, tmp_path: Path) -> None:
    newer = shared_library(tmp_path, f'extern "C" unsigned motion_abi_version() {{ return {ABI_VERSION + 1}; }}')
    with pytest.raises(ToolchainError, match=f"ABI version {ABI_VERSION + 1} found, {ABI_VERSION} expected"):
        HostPipeline(newer, bundle.spec)
    (tmp_path / "x").mkdir()
    with pytest.raises(ToolchainError, match="not a motion library"):
        HostPipeline(shared_library(tmp_path / "x", "int other;"), bundle.spec)
    torn = tmp_path / "libtorn.so"
    torn.write_bytes(newer.read_bytes()[:500])
    with pytest.raises(ToolchainError, match=r"cannot be loaded.*built again"):
        HostPipeline(torn, bundle.spec)


def test_the_abi_version_is_that_of_the_header() -> None:
    header = PACKAGE / "targets/host/templates/motion.h"
    assert f"#define MOTION_ABI_VERSION {ABI_VERSION}\n" in header.read_text()
