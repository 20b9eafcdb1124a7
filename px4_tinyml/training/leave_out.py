"""A network for every vehicle of a data set, trained on all the others: how it does on aircraft it has never seen."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Metrics, Part
from px4_tinyml.dataset.split import split
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import DatasetError
from px4_tinyml.training.evaluation import QuantizationError, check_same_signal_path
from px4_tinyml.training.fit import TrainOptions
from px4_tinyml.training.pipeline import train

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VehicleLeftOut:
    """Scores on one vehicle's flights. metrics: None when the network failed the int8 gate; why: its message then."""

    vehicle: str
    metrics: Metrics | None
    why: str = ""


def options_of(bundle: ModelBundle) -> TrainOptions:
    """How a bundle was trained: its architecture, seed, epochs, batch and learning rate."""
    model, training = bundle.manifest.model, bundle.manifest.training
    return TrainOptions(
        arch=model.arch,
        seed=training.seed,
        epochs=training.epochs,
        batch=training.batch,
        learning_rate=training.learning_rate,
    )


def vehicles(dataset: Dataset, most: int | None = None) -> list[str]:
    """The vehicles of a data set, by name; with `most`, only those with the most labelled windows."""
    windows = Counter[str]()
    for flight in dataset.flights:
        windows[flight.vehicle] += sum(flight.labels.values())
    return sorted(name for name, _ in windows.most_common(most))


def without(dataset: Dataset, vehicle: str) -> Dataset:
    """The data set with one vehicle's flights as its test part, the others divided into training and validation."""
    others = [flight for flight in dataset.flights if flight.vehicle != vehicle]
    if len(others) == len(dataset.flights) or not others:
        raise DatasetError(f"{dataset.folder}: cannot leave out {vehicle!r}: flights of it and of others expected")
    counts = np.array([[flight.labels[name] for name in dataset.spec.labels] for flight in others])
    drawn, _ = split([f.vehicle for f in others], [f.sha256 for f in others], counts, dataset.about.seed)
    parts = iter(drawn)

    def part(name: str) -> Part:
        if name == vehicle:
            return "test"
        return "validation" if next(parts) == "validation" else "train"

    flights = tuple(msgspec.structs.replace(f, part=part(f.vehicle)) for f in dataset.flights)
    return replace(dataset, about=msgspec.structs.replace(dataset.about, flights=flights))


def leave_one_vehicle_out(bundle: ModelBundle, dataset: Dataset, most: int | None = None) -> Iterator[VehicleLeftOut]:
    """Train as the bundle was trained, once for each vehicle left out, and evaluate on its flights.

    most: at most this many vehicles, those with the most windows. Intervals are over the vehicle's flights.
    Raises DatasetError for a data set of another signal path, of one vehicle, or with fewer than three flights of
    others; ToolchainError without TensorFlow.
    """
    check_same_signal_path(bundle, dataset.spec)
    options = options_of(bundle)
    for vehicle in vehicles(dataset, most):
        rest = without(dataset, vehicle)
        log.info("training without %s", vehicle)
        with tempfile.TemporaryDirectory() as folder:
            try:
                trained = train(rest, Path(folder), options)
            except QuantizationError as error:
                yield VehicleLeftOut(vehicle, None, str(error))
                continue
        yield VehicleLeftOut(vehicle, trained.manifest.metrics)
