"""A vehicle left out: none of its flights are trained on, and all of them are measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.dataset.build import build_dataset
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import DatasetError
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.training.fit import TrainOptions
from px4_tinyml.training.leave_out import leave_one_vehicle_out, vehicles, without
from px4_tinyml.training.pipeline import train
from px4_tinyml_sitl.simulate import fly


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A bundle of a short training and its data set of ten flights."""
    folder = tmp_path_factory.mktemp("leave-out")
    logs = fly(folder / "flights", 10, seconds=40.0, seed=5)
    dataset = build_dataset(logs, PRESETS["default"], folder / "set")
    train(dataset, folder / "bundle", TrainOptions(arch="dense", epochs=4, batch=32))
    return folder / "bundle", dataset


def test_parts_without_a_vehicle(made: tuple[Path, Dataset]) -> None:
    _, dataset = made
    names = vehicles(dataset)
    assert names == sorted({flight.vehicle for flight in dataset.flights}) and len(names) >= 5
    for name in names:
        rest = without(dataset, name)
        assert [f.source for f in rest.flights] == [f.source for f in dataset.flights]
        assert all((f.part == "test") == (f.vehicle == name) for f in rest.flights)
        assert {f.part for f in rest.flights} == {"train", "validation", "test"}
    with pytest.raises(DatasetError, match="cannot leave out 'none of them'"):
        without(dataset, "none of them")


def test_the_vehicles_with_the_most_windows(made: tuple[Path, Dataset]) -> None:
    _, dataset = made
    windows = dict.fromkeys(vehicles(dataset), 0)
    for flight in dataset.flights:
        windows[flight.vehicle] += sum(flight.labels.values())
    kept = vehicles(dataset, 2)
    assert len(kept) == 2
    assert min(windows[name] for name in kept) >= max(n for name, n in windows.items() if name not in kept)


def test_every_window_of_the_vehicle_is_measured(
    made: tuple[Path, Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, dataset = made
    bundle = ModelBundle.load(folder)
    (row,) = leave_one_vehicle_out(bundle, dataset, most=1)
    assert [row.vehicle] == vehicles(dataset, 1)
    arguments = ["evaluate", str(folder), str(dataset.folder), "--leave-one-vehicle-out", "--vehicles", "1"]
    code = main([*arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    if row.metrics is None:  # four epochs may fail the int8 gate
        assert code == 3 and "int8 loses" in row.why and document["minimum"] == {}
        return
    flights = [f for f in dataset.flights if f.vehicle == row.vehicle]
    assert row.metrics.int8.windows == sum(sum(f.labels.values()) for f in flights)
    assert set(row.metrics.int8.by_flight) == {f.source for f in flights}
    assert code == 0 and document["vehicles"][0]["vehicle"] == row.vehicle
    assert np.isclose(document["minimum"]["int8"], row.metrics.int8.macro_f1)  # the same seed, the same network
