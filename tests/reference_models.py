"""The models of benchmarks/models (their weights are random), bundles around two of them, and a feed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import (
    ArenaBytes,
    Manifest,
    Metrics,
    QuantizationGate,
    QuantizedTensor,
    Score,
    TfliteModel,
    Thresholds,
    TrainedOn,
    Training,
    WindowCounts,
)
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PRESETS, DecisionSpec, PipelineSpec

MODELS = Path(__file__).resolve().parents[1] / "benchmarks" / "models"
_SCALES: dict[str, Any] = {"offset": (0.1, -0.2, -9.8, 0.0, 0.01, 0.0), "inv_scale": (0.4, 0.4, 0.3, 2.0, 2.0, 3.0)}
SPECS: dict[str, PipelineSpec] = {
    # The model never says more than 0.3.
    "conv": dataclasses.replace(PRESETS["imu6"], **_SCALES, decision=DecisionSpec(enter=0.285, leave=0.28)),
    "dense": dataclasses.replace(PRESETS["arduino119"], **_SCALES),
}


def untrained(
    labels: tuple[str, ...], thinned_hz: float | None = None, tflm_arena_bytes: int | None = None
) -> Manifest:
    """Manifest of a model that was never trained."""
    counts = WindowCounts({part: dict.fromkeys(labels, 0) for part in PARTS}, 0, {}, {})
    score = Score(0, 0.0, 0.0, [[0] * len(labels) for _ in labels], (0.0, 0.0), dict.fromkeys(labels))
    tensor = QuantizedTensor(1.0, 0, (1,))
    return Manifest(
        model=TfliteModel("dense", 0, 0, (), 0, 0, tensor, tensor),
        memory=ArenaBytes(0, tflm_arena_bytes),
        training=Training(0, 1, 1, 1, 64, 0.003, [1.0], [1.0], TrainedOn("", "flight", counts, thinned_hz)),
        baseline=Thresholds([], [-2], [-2.0], [-1], [-1], [0], ""),
        tools={},
        int8_gate=QuantizationGate(0, 1.0, 0.0, 0.0),
        metrics=Metrics(labels, "", score, score, score, 1.0),
    )


def reference_bundle(
    name: str, golden: Feed | None = None, tflm_arena_bytes: int | None = None, **changes: Any
) -> ModelBundle:
    """A model of SPECS with its spec, changed. golden: feed for the golden vectors, if any."""
    spec = dataclasses.replace(SPECS[name], **changes)
    model = (MODELS / f"{name}.tflite").read_bytes()
    manifest = untrained(spec.labels, tflm_arena_bytes=tflm_arena_bytes)
    bundle = ModelBundle(spec=spec, model=model, float_model=b"none", manifest=manifest, golden={})
    return bundle if golden is None else dataclasses.replace(bundle, golden=make_golden(bundle.classifier(), golden))


def hostile_feed(seed: int, seconds: float) -> Feed:
    """At 240 Hz, with a barometer, a hole, a bad sample and a clock that steps back."""
    rng = np.random.default_rng(seed)
    time = (np.arange(0, seconds, 1 / 240) * 1e6 + 5e6).astype(np.uint64)
    n = len(time)
    imu = rng.normal(0, [2, 2, 3, 0.5, 0.5, 0.3], (n, 6)) + np.array([0, 0, -9.8, 0, 0, 0])
    imu += np.sin(time[:, None] / 3e5) * 2
    baro_time = time[::12].copy()
    before = np.searchsorted(np.arange(0, n, 12), np.arange(n), side="right")
    altitude = np.cumsum(rng.normal(0, 0.2, len(baro_time))) + 488.0
    time[n // 4 :] += np.uint64(300_000)
    time[n // 2 :] -= np.uint64(50_000)
    imu[n * 3 // 4, 2] = np.nan
    return Feed(time, imu.astype(np.float32), baro_time, altitude.astype(np.float32), before)
