"""From logs to a bundle, its scores and decisions, by the command line alone."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
from cli_workshop import CAPTURES, Workshop

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.metrics_table import print_metrics
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.training import evaluation, quantize


def test_the_trained_model_knows_the_gestures(workshop: Workshop) -> None:
    manifest = ModelBundle.load(workshop.bundle).manifest
    metrics, gate = manifest.metrics, manifest.int8_gate
    assert metrics.int8.macro_f1 > 0.9
    everything = Dataset.load(workshop.dataset).windows(PARTS)
    assert gate.windows == len(everything) > 40
    assert metrics.int8.windows < 20 and abs(gate.float_macro_f1 - gate.int8_macro_f1) <= 0.005
    assert (workshop.bundle / "report.html").stat().st_size > 10_000


def test_the_gate_shows_what_int8_costs_and_writes_no_bundle(run, workshop: Workshop, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_INT8_LOSS", -2.0)
    result = run("train", workshop.dataset, "--out", tmp_path / "bundle", "--arch", "dense", "--epochs", "1")
    line = result.err.splitlines()[-1]
    assert result.code == 3 and "points of macro-F1" in line and ("most on vert" in line or "most on hori" in line)
    assert "macro-F1" in result.out and "thresholds" in result.out and "trees" in result.out
    assert list((tmp_path / "bundle").iterdir()) == []


def test_calibration_is_of_training_windows_and_seeded(workshop: Workshop) -> None:
    part = Dataset.load(workshop.dataset).windows(["train"])
    known = {window.tobytes() for window in part.x}
    first, second, again = (quantize.calibration_windows(part, seed) for seed in (0, 1, 0))
    assert all(window.tobytes() in known for window in first) and np.array_equal(first, again)
    assert len(first) == min(quantize.CALIBRATION_WINDOWS, len(part)) and len(second) == len(first)


def test_evaluate(run, workshop: Workshop) -> None:
    table = run("evaluate", workshop.bundle, workshop.dataset)
    assert table.code == 0 and "macro-F1" in table.out and "vert.csv#" in table.out
    result = run("evaluate", workshop.bundle, workshop.dataset, "--part", "all", "--json")
    found = json.loads(result.out)
    assert result.code == 0 and result.err == ""
    windows = len(Dataset.load(workshop.dataset).windows(PARTS))
    for model in ("float", "int8", "baseline"):
        confusion = np.array(found[model]["confusion"])
        assert confusion.sum() == found[model]["windows"] == windows > 40
        assert found[model]["accuracy"] == np.trace(confusion) / windows
        flights = found[model]["by_flight"]
        assert len(flights) == windows == sum(f["windows"] for f in flights.values())
    assert found["spec_hash"] == ModelBundle.load(workshop.bundle).spec.hash


def test_a_label_without_windows_has_words_for_a_score(workshop: Workshop, capsys) -> None:
    metrics = evaluation.evaluate(ModelBundle.load(workshop.bundle), Dataset.load(workshop.dataset), PARTS)
    print_metrics(metrics, "all")
    assert "no windows" not in capsys.readouterr().out
    for score in metrics.scores.values():
        score.f1["hori"] = None
    for part, words in (
        ("test", "no test windows"),
        ("validation", "no validation windows"),
        ("train", "no training windows"),
        ("all", "no windows"),
    ):
        print_metrics(metrics, part)
        head, *rows = capsys.readouterr().out.splitlines()[: 1 + len(metrics.scores)]
        assert [words in row for row in rows] == [True] * 4
        assert {len(row) for row in rows} == {len(head)}


def test_classify_and_replay(run, workshop: Workshop, tmp_path) -> None:
    result = run("classify", workshop.bundle, workshop.logs / "hori.csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    hori = sum(f.labels["hori"] for f in Dataset.load(workshop.dataset).flights)
    assert result.code == 0 and len(rows) == hori > 20
    classes = [row["class"] for row in rows]
    assert classes.count("hori") > 15 and "vert" not in classes
    document = json.loads(run("classify", workshop.bundle, workshop.logs / "hori.csv", "--json").out)
    assert [row["class"] for log in document["logs"] for row in log["decisions"]] == classes
    assert "turbulence" not in result.err and result.err.splitlines()[-CAPTURES - 1].split()[:2] == ["log", "windows"]
    table = run("classify", workshop.bundle, workshop.logs / "hori.csv", "--out", tmp_path / "decisions.csv").out
    assert table.splitlines() == result.err.splitlines()[-CAPTURES - 1 :]
    assert (tmp_path / "decisions.csv").read_text() == result.out

    result = run("replay", workshop.bundle, workshop.logs, "--targets", "python,host", "--json")
    compared = json.loads(result.out)
    assert result.code == 0 and compared["mismatches"] == 0 and compared["windows"] > 40


def test_the_same_seed_gives_the_same_bundle(run, workshop: Workshop, tmp_path) -> None:
    again = tmp_path / "again"
    assert run("train", workshop.dataset, "--out", again, "--arch", "dense", "--epochs", "30").code == 0
    files = sorted(path.name for path in workshop.bundle.iterdir())
    assert files == ["float.tflite", "golden.npz", "manifest.json", "model.tflite", "report.html"]
    different = [name for name in files if (again / name).read_bytes() != (workshop.bundle / name).read_bytes()]
    assert different == []
