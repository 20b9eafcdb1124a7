"""Small flights made of seeded noise, and a bundle whose network is the checked-in conv model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_models import MODELS, untrained

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import ArenaBytes, Metrics, TrainedFlight, TrainedOn, Training
from px4_tinyml.bundle.model_card import CardBackground, CardShare, CardVehicle, ModelCard
from px4_tinyml.dataset.build import Collected, build, prepare
from px4_tinyml.dataset.store import Dataset, UnusedLog
from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries, ReferenceSeries
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.training import baselines
from px4_tinyml.training.fit import fit_scaling
from px4_tinyml.training.metrics import summarize
from px4_tinyml.training.pipeline import describe_model
from px4_tinyml.training.quantize import run_int8
from px4_tinyml.units import STANDARD_GRAVITY_M_S2

HOSTILE = '<img src=x onerror=alert(1)>"&$x^$.ulg'
LEGS = ((-1.5, 0.05), (0.0, 0.05), (1.2, 0.05), (0.0, 0.3), (0.0, 0.15), (0.0, 0.05))
"""(velocity down m/s, EDR) of each leg of a flight."""


def make_flight(source: str, vehicle: str, seed: int, leg_s: float = 12.0, edr: bool = True) -> FlightLog:
    """A flight of six legs in a random order after some seconds on the ground. Gusts shake it by their EDR."""
    rng = np.random.default_rng(seed)
    rate = 100
    legs = [(0.0, 0.05, 0), *((*LEGS[i], 1) for i in rng.permutation(len(LEGS)))]
    count = round(leg_s * rate)
    down, true_edr, flying = (np.repeat([leg[i] for leg in legs], count) for i in range(3))
    down = np.convolve(np.pad(down, 25, "edge"), np.ones(51) / 51, "valid")
    time = 5_000_000 + np.arange(len(down)) * (1_000_000 // rate)
    gusts = np.convolve(rng.normal(0, 1, len(down) + 24), np.ones(25) / 5, "valid") * true_edr * 5
    accel = rng.normal(0, 0.3, (len(down), 3)) + gusts[:, None] * (0.4, -0.3, 1.0)
    accel[:, 2] += np.gradient(down, 1 / rate) - STANDARD_GRAVITY_M_S2
    gyro = rng.normal(0, 0.03, (len(down), 3)) + np.roll(gusts, 7)[:, None] * (0.05, 0.08, 0.01)
    altitude = 50 - np.cumsum(down) / rate
    ref = slice(None, None, 10)
    unknown = np.full(len(time[ref]), np.nan)
    reference = ReferenceSeries(
        time[ref], down[ref], flying[ref], flying[ref], true_edr[ref] if edr else unknown, unknown
    )
    baro = BaroSeries(time[::5], altitude[::5] + rng.normal(0, 0.05, len(altitude[::5])))
    warnings = ("clock: 2 µs of <jitter>",) if seed == 1 else ()
    imu = ImuSeries(time, accel, gyro)
    return FlightLog(f"logs/{source}", f"{seed:064x}", "ulog", vehicle, imu, baro, reference, warnings=warnings)


def make_dataset(folder: Path, spec: PipelineSpec, flights: list[FlightLog]) -> Dataset:
    """A stored data set, with one log that could not be used."""
    unusable = [UnusedLog("logs/<b>bad</b>.ulg", "<i>not</i> a ULog file: found a Git LFS pointer")]
    build(Collected([prepare(flight, spec) for flight in flights], unusable), spec, folder, seed=0)
    return Dataset.load(folder)


@pytest.fixture(scope="session")
def bundle(dataset: Dataset) -> ModelBundle:
    """The checked-in conv network with the data set's scaling, a fitted baseline and the metrics of both."""
    train, test = dataset.windows(["train"]), dataset.windows(["test"])
    spec, model = fit_scaling(train, dataset.spec), (MODELS / "conv.tflite").read_bytes()
    about, baseline = dataset.about, baselines.fit(train, dataset.spec, 0)
    flights = tuple(TrainedFlight(f.source, f.vehicle, f.part, f.labels) for f in dataset.flights)
    loss, validation_loss = [1.2, 0.8, 0.5, 0.4, 0.3], [1.1, 0.7, 0.45, 0.5, 0.6]
    bundle = ModelBundle(spec, model, b"", untrained(spec.labels), {})
    called = run_int8(model, test.x, spec).argmax(axis=1)
    sources = [flight.source for flight in flights]
    int8, physics = (
        summarize(test.y, calls, test.log_id, spec.labels, sources)
        for calls in (called, baselines.predict(baseline, test, spec))
    )
    between = run_int8(model, dataset.windows(["test"], between=True).x, spec).argmax(axis=1)
    calls = {name: int((between == i).sum()) for i, name in enumerate(spec.labels)}
    return bundle.with_manifest(
        model=describe_model("conv", bundle.graph, model, 988),
        memory=ArenaBytes(1504, None),
        training=Training(
            7, 9, 5, 3, 32, 0.003, loss, validation_loss,
            TrainedOn(dataset.spec.hash, about.split_by, about.counts, None, flights),
        ),
        baseline=baseline,
        tools={"px4-tinyml": "0.1.0", "tensorflow": "2.21.0", "numpy": "2.0.0"},
        metrics=Metrics(spec.labels, spec.hash, int8, int8, physics, 0.987, calls),
    )  # fmt: skip


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """An imu6 data set; the names of flights and vehicles are attacks."""
    flights = [make_flight(f"flight_{i}{HOSTILE}", f"quad {i} <u>", i) for i in range(10)]
    return make_dataset(tmp_path_factory.mktemp("report") / "dataset", PRESETS["imu6"], flights)


def replayed(bundle: ModelBundle, differing: int = 0, name: str = "a&b.ulg") -> dict[str, Any]:
    """What `replay --json` prints for one log."""
    first = f"{name}, window 3: the outputs are <not> the same" if differing else ""
    pairs = {"python:tflm": {"mismatches": 0, "first": ""}, "python:host": {"mismatches": differing, "first": first}}
    return {
        "model_sha256": bundle.sha256,
        "targets": ["python", "tflm", "host"],
        "windows": 12345,
        "mismatches": differing,
        "pairs": {pair: {"windows": 12345, "mismatches": of["mismatches"]} for pair, of in pairs.items()},
        "logs": [{"log": name, "windows": 12345, "mismatches": differing, "pairs": pairs}],
    }


def model_card() -> ModelCard:
    """With texts that are attacks."""
    recording = CardBackground("a<b>.ulg", "MIT (README <u>)", "some/<i>logs</i>", "0123456789abcdef", "quad & <u>")
    shares = CardShare(1, 8), CardShare(3, 4), CardShare(0, 0), CardShare(2, 12)
    vehicles = CardVehicle("known <u>", True, *shares), CardVehicle("x" * 60, False, *shares)
    return ModelCard((recording,), vehicles, ("Advisory <u>.",), ("Fixed wings.",), ("All but the recordings.",))
