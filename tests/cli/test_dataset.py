"""`dataset` at the command line: names, labels, windows left out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cli_workshop import CAPTURES, write_gestures, write_logs

from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import Dataset

PRESET = ("--preset", "arduino119")


def test_logs_of_the_same_name_stay_apart(run, tmp_path: Path) -> None:
    for day, seed in (("monday", 1), ("tuesday", 2)):
        write_gestures(tmp_path / day / "vert.csv", axis=2, captures=4, seed=seed)
        write_gestures(tmp_path / day / "hori.csv", axis=0, captures=4, seed=10 + seed)
    write_gestures(tmp_path / "monday" / "own_hori.csv", axis=0, captures=4, seed=30)
    assert run("dataset", tmp_path, *PRESET, "--out", tmp_path / "set").code == 0
    names = [flight.source for flight in Dataset.load(tmp_path / "set").flights]
    assert len(set(names)) == len(names)
    assert {"monday/vert.csv#1", "tuesday/vert.csv#1", "own_hori.csv#1"} <= set(names)


def test_a_log_given_twice_counts_once(run, tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "logs")
    assert run("dataset", logs, *PRESET, "--out", tmp_path / "once").code == 0
    shutil.copy(logs / "vert.csv", logs / "copy_vert.csv")
    result = run("dataset", logs, logs / "hori.csv", logs, *PRESET, "--out", tmp_path / "twice")
    once, twice = (Dataset.load(tmp_path / name) for name in ("once", "twice"))
    assert result.code == 0 and len(once.windows(PARTS)) == len(twice.windows(PARTS)) > 40
    same = [u for u in twice.about.unusable if u.why.startswith("the same file as ")]
    assert len(same) == CAPTURES and {Path(u.source).name.partition("#")[0] for u in same} == {"vert.csv"}


def test_labels_of_a_file_that_the_spec_does_not_know_are_left_out(run, fails, tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "logs")
    write_gestures(logs / "circle.csv", axis=1, captures=4, seed=7)
    result = run("dataset", logs, *PRESET, "--out", tmp_path / "set")
    assert result.code == 0 and result.out.count("circle.csv") <= 2  # not once for each capture
    assert "the file's own label 'circle' is not one of the spec's (vert, hori)" in result.out
    spans = tmp_path / "spans.csv"
    spans.write_text("file,start_s,end_s,label\ncircle.csv,,,hori\n")
    assert run("dataset", logs, *PRESET, "--labels", spans, "--out", tmp_path / "set").code == 0
    assert any(flight.source.startswith("circle.csv#") for flight in Dataset.load(tmp_path / "set").flights)
    spans.write_text("file,start_s,end_s,label\ncircle.csv,,,circle\n")
    assert "'circle' is not one of the spec's" in fails(
        1, "dataset", logs, *PRESET, "--labels", spans, "--out", tmp_path / "other"
    )
    spans.write_text("file,start_s,end_s,label\ncircel.csv,,,hori\n")
    assert "line 2 names 'circel.csv'" in fails(
        1, "dataset", logs, *PRESET, "--labels", spans, "--out", tmp_path / "other"
    )


def test_spans_match_names_with_brackets_and_hashes(run, tmp_path: Path) -> None:
    logs = tmp_path / "day #1"
    write_logs(logs)
    write_gestures(logs / "circle [2].csv", axis=1, captures=4, seed=7)
    spans = tmp_path / "spans.csv"
    spans.write_text("file,start_s,end_s,label\ncircle [2].csv#2,,,hori\n")
    assert run("dataset", logs, *PRESET, "--labels", spans, "--out", tmp_path / "set").code == 0
    names = [flight.source for flight in Dataset.load(tmp_path / "set").flights]
    assert [name for name in names if "circle" in name] == ["circle [2].csv#2"]


def test_a_bad_log_among_good_ones_is_reported_once(run, tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "logs")
    (logs / "bad.ulg").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    spans = tmp_path / "spans.csv"
    spans.write_text("file,start_s,end_s,label\n*.ulg,,,exclude\n")
    result = run("dataset", logs, *PRESET, "--labels", spans, "--out", tmp_path / "set")
    lines = [line for line in result.out.splitlines() if "bad.ulg" in line]
    assert result.code == 0 and len(lines) == 1 and lines[0].count("bad.ulg") == 1
    assert "{" not in result.out


def test_a_log_without_a_whole_window_is_reported_with_the_reason(run, tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "logs")
    rows = (logs / "vert.csv").read_text().splitlines()[:60]
    (logs / "cut_vert.csv").write_text("\n".join(rows) + "\n")
    result = run("dataset", logs, *PRESET, "--out", tmp_path / "set")
    lines = [line for line in result.out.splitlines() if "cut_vert.csv" in line]
    assert len(lines) == 1 and "no complete window (IMU 119.0 Hz" in lines[0] and "59 rows found" in lines[0]


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_names_that_are_not_utf8(run, tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "logs")
    odd = os.fsdecode(b"\xff_vert.csv")
    (logs / "vert.csv").rename(logs / odd)
    (logs / os.fsdecode(b"\xfe.ulg")).write_bytes(b"no log")
    result = run("dataset", logs, *PRESET, "--out", tmp_path / "set")
    assert result.code == 0 and "\\udcfe.ulg" in result.out
    data = Dataset.load(tmp_path / "set")
    assert any(flight.source.startswith(odd) for flight in data.flights) and len(data.windows(["train"]))
    json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
