"""Bad input at the command line: the right exit code, one line that helps, no traceback, nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_workshop import Workshop, write_gestures, write_logs

from px4_tinyml.dataset.store import Dataset

PRESET = ("--preset", "arduino119")


def edit(path: Path, change) -> None:
    """Change a JSON file by hand."""
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def dataset(workshop: Workshop, tmp_path: Path) -> Path:
    """A copy of the data set, to be damaged."""
    return shutil.copytree(workshop.dataset, tmp_path / "set")


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("nonsense",), ("train",), ("dataset", "x", "--out", "y", "--preset", "no"),
        ("train", "x", "--out", "y", "--epochs", "two"),
        ("dataset", "x", "--out", "y", "--seed", "-1"), ("dataset", "x", "--out", "y", "--spec", "s", *PRESET),
        ("train", "x", "--out", "y", "--epochs", "0"),
    ],
)  # fmt: skip
def test_usage_is_exit_code_2(run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.code == 2 and result.out == "" and "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate_hz = 0", "rate_hz = 0"),
        ("rate_hz = 'fast'", "rate_hz = 'fast'"),
        ("windows = 64", "unknown key 'windows'"),
        ("preset = 'imu7'", "preset 'imu7'"),
        ("channels = ['az', 'ax']", "in this order"),
        ("labels = ['level']", "2…8 different names"),
        ("labels = ['level', 'on ground']", "identifier"),
        ("labels = ['level', 'mixed']", "'mixed' is reserved"),
        ("labels = ['level', 'exclude']", "'exclude' is reserved"),
        ("labels = ['level', 'uncertain']", "'uncertain' is reserved"),
        ("[decision]\nenter = 0.2", "leave <= enter"),
        ("preset = 'arduino119'\noffset = [0, 0, 0, 0, 0, 0]\ninv_scale = [1, 1, 1, 1, 1, 1]", "remove them"),
        ("not toml", "not valid TOML"),
    ],
)
def test_an_invalid_spec_is_exit_code_2(fails, tmp_path: Path, text: str, message: str) -> None:
    spec = tmp_path / "pipeline.toml"
    spec.write_text(text)
    logs = write_gestures(tmp_path / "vert.csv", axis=2, captures=3)
    assert message in fails(2, "dataset", logs, "--spec", spec, "--out", tmp_path / "set")
    assert not (tmp_path / "set" / "dataset.json").exists()


def test_missing_files(fails, workshop: Workshop, tmp_path: Path) -> None:
    none, out = tmp_path / "none", tmp_path / "out"
    assert "no such file" in fails(1, "dataset", none, "--out", out)
    assert "no flight log in this folder" in fails(1, "dataset", tmp_path, "--out", out)
    assert "cannot be read" in fails(2, "dataset", workshop.logs, "--spec", none, "--out", out)
    assert "cannot be read" in fails(1, "dataset", workshop.logs, "--labels", none, "--out", out)
    assert "not a data set" in fails(1, "train", none, "--out", out)
    assert "not a data set" in fails(1, "train", workshop.bundle, "--out", out)
    assert "not a data set" in fails(1, "evaluate", workshop.bundle, none)
    for command in (("evaluate", none, workshop.dataset), ("classify", none, workshop.logs), ("replay", none, none)):
        assert "not a model bundle" in fails(1, *command)
    assert "not a model bundle" in fails(1, "evaluate", workshop.dataset, workshop.dataset)


def test_folders_of_something_else_are_left_alone(fails, workshop: Workshop, tmp_path: Path) -> None:
    thesis = tmp_path / "work" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of it")
    assert "is not a data set" in fails(1, "dataset", workshop.logs, *PRESET, "--out", thesis.parent)
    assert "is not a model bundle" in fails(1, "train", workshop.dataset, "--out", thesis.parent)
    for out in (thesis, thesis / "below"):
        assert "cannot be written" in fails(1, "dataset", workshop.logs, *PRESET, "--out", out)
        assert "cannot be written" in fails(1, "train", workshop.dataset, "--out", out)
        assert "cannot be written" in fails(2, "classify", workshop.bundle, workshop.logs, "--out", out / "x.csv")
        fails(1, "generate", "host", workshop.bundle, "--out", out)
    assert [path.name for path in thesis.parent.iterdir()] == ["thesis.txt"]
    assert thesis.read_text() == "years of it"


def test_a_data_set_is_replaced_as_a_whole_or_not_at_all(run, fails, dataset: Path, tmp_path: Path) -> None:
    (dataset / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file()}
    one_label = write_gestures(tmp_path / "vert.csv", axis=2, captures=1)
    assert "no labelled window" in fails(1, "dataset", one_label, "--out", dataset)
    assert {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file()} == before
    logs = write_logs(tmp_path / "logs")
    write_gestures(logs / "vert.csv", axis=2, captures=5, seed=9)
    assert run("dataset", logs, *PRESET, "--out", dataset).code == 0
    stored = {str(p.relative_to(dataset)) for p in dataset.rglob("*.parquet")}
    assert stored == {flight.file for flight in Dataset.load(dataset).flights}
    assert sorted(p.name for p in dataset.iterdir()) == ["dataset.json", "flights", "notes.txt"]


def test_a_damaged_data_set_is_rejected(fails, workshop: Workshop, dataset: Path) -> None:
    description, flight = dataset / "dataset.json", dataset / Dataset.load(dataset).flights[0].file
    text, whole = description.read_bytes(), flight.read_bytes()

    def message(*, train: bool = False) -> str:
        arguments = ("train", dataset, "--out", dataset.parent / "new") if train else ()
        line = fails(1, *(arguments or ("evaluate", workshop.bundle, dataset, "--part", "all")))
        description.write_bytes(text)
        flight.write_bytes(whole)
        return line

    flight.write_bytes(whole[: len(whole) // 2])
    assert flight.name in message(train=True)
    flight.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert "its content was changed" in message()
    flight.unlink()
    assert "cannot be read (No such file or directory)" in message()
    description.write_bytes(text[: len(text) // 2])
    assert "damaged" in message()
    description.write_bytes(b"[]")
    assert "not a data set of version" in message()
    for key in ("spec", "flights", "counts"):
        edit(description, lambda data, key=key: data.pop(key))
        assert f"damaged: the document: Object missing required field `{key}`" in message()
    edit(description, lambda data: data.update(dataset_version=99))
    assert "not a data set of version" in message()


def test_a_damaged_bundle_is_rejected(fails, workshop: Workshop, tmp_path: Path) -> None:
    bundle = shutil.copytree(workshop.bundle, tmp_path / "bundle")
    files = {path: path.read_bytes() for path in bundle.iterdir()}
    model, golden, manifest = bundle / "model.tflite", bundle / "golden.npz", bundle / "manifest.json"

    def message(command: str = "evaluate") -> str:
        line = fails(1, command, bundle, workshop.dataset if command == "evaluate" else workshop.logs)
        for path, data in files.items():
            path.write_bytes(data)
        return line

    for path in (model, golden, manifest):
        path.unlink()
        assert "not a model bundle" in message()
        path.write_bytes(b"")
        assert bundle.name in message("classify")
        path.write_bytes(files[path][: len(files[path]) // 2])
        assert bundle.name in message("replay")
    edit(manifest, lambda data: data["spec"]["decision"].update(enter=0.9))
    assert "hash of the spec" in message()


def test_a_bundle_for_another_signal_path_is_rejected(run, fails, workshop: Workshop, tmp_path: Path) -> None:
    spec = tmp_path / "pipeline.toml"
    spec.write_text("preset = 'arduino119'\nhop = 7\n")
    assert run("dataset", workshop.logs, "--spec", spec, "--out", tmp_path / "set").code == 0
    assert "hop is 7, the bundle has 17" in fails(1, "evaluate", workshop.bundle, tmp_path / "set")


def test_too_few_windows_to_train(fails, run, tmp_path: Path) -> None:
    two = write_gestures(tmp_path / "two" / "vert.csv", axis=2, captures=2)
    assert "at least 3 needed" in fails(1, "dataset", two, *PRESET, "--out", tmp_path / "out")
    one = write_gestures(tmp_path / "one" / "vert.csv", axis=2, captures=9)
    assert run("dataset", one, *PRESET, "--out", tmp_path / "one_label").code == 0
    assert "windows of one label only" in fails(1, "train", tmp_path / "one_label", "--out", tmp_path / "bundle")
    assert list((tmp_path / "bundle").iterdir()) == []
