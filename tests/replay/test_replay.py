"""One feed through numpy, tflm and host: equal results, and the report of a difference."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from reference_models import hostile_feed
from toolchains import need_wheel

import px4_tinyml.logs
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify import classify_logs
from px4_tinyml.cli.main import main
from px4_tinyml.errors import ConversionError, LogError, ParityError, SpecError, ToolchainError
from px4_tinyml.flight_log import FlightLog, ImuSeries
from px4_tinyml.replay.run_all import Replay
from px4_tinyml.signal.decision import Flag
from px4_tinyml.signal.golden import check_golden, make_golden, read_golden
from px4_tinyml.targets.base import Runner
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.cortex_m.build import CPUS
from px4_tinyml.targets.host.build import build_host
from px4_tinyml.targets.host.generate import generate_host, host_files
from px4_tinyml.targets.registry import RUNNERS

ALL = ["numpy", "tflm", "host"]


@pytest.fixture
def replay(bundle: ModelBundle, cxx: list[str]) -> Replay:
    need_wheel("tflite_micro", "it is one of the targets")
    return Replay(bundle, ALL)


def test_all_targets_agree(replay: Replay) -> None:
    golden = replay.golden()
    done = replay.run_feed("made", hostile_feed(7, 60.0))
    assert golden.mismatches == done.mismatches == 0
    assert golden.windows > 10 and done.windows > 40
    assert list(golden.pairs) == [("golden", name) for name in ALL]
    assert list(done.pairs) == [("numpy", "tflm"), ("numpy", "host"), ("tflm", "host")]
    assert min(done.counts[f"reset_{cause}"] for cause in ("non_finite", "backwards", "gap")) == 1


def test_random_windows_agree(bundles) -> None:
    """Windows full of anything, saturated ones among them: only the engines matter here."""
    bundle = bundles["conv"]
    feed = hostile_feed(11, 120.0)
    loud = feed.imu * np.random.default_rng(2).choice([0.1, 1, 30], len(feed.imu))[:, None].astype(np.float32)
    done = Replay(bundle, ALL).run_feed("loud", dataclasses.replace(feed, imu=loud))
    assert done.windows > 100 and done.mismatches == 0


def change_tree(monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str) -> None:
    """Make the host target build from a tree with one thing changed."""

    def tampered(bundle: ModelBundle) -> dict[str, str]:
        files = host_files(bundle)
        assert files[file].count(old) == 1
        return {**files, file: files[file].replace(old, new)}

    monkeypatch.setattr("px4_tinyml.targets.host.build.host_files", tampered)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("core/InputQuantizer.hpp", "round_half_even(y *", "round_half_even(0.75f + y *", "int8 inputs differ"),
        ("model/MotionSpec.hpp", "clip = 2.0f", "clip = 0.5f", "int8 inputs differ"),
        ("core/SlotAverager.hpp", "_sum[axis] = 0.0f", "_sum[axis] = 1e-2f", "int8 inputs differ"),
        ("core/SlotTime.hpp", "+ ceil_us(within + 1)", "+ ceil_us(within + 1) + 3000", "int8 inputs differ"),
        ("model/MotionSpec.hpp", "enter_q16 = 18678", "enter_q16 = 70000", "the decision is not"),
        ("model/MotionSpec.hpp", "smoothing_q8 = 128", "smoothing_q8 = 129", "the decision is not"),
        ("model/MotionSpec.hpp", "max_gap_slots = 3", "max_gap_slots = 50", "starts at"),
        ("core/Pipeline.hpp", "++_counters.reset_gap", "++_counters.reset_backwards", "reset_gap 1 in numpy, 0"),
    ],
)
def test_a_tampered_target_is_found(bundles, monkeypatch, file, old, new, words) -> None:
    change_tree(monkeypatch, file, old, new)
    replay = Replay(bundles["conv"], ["numpy", "host"])
    done = replay.run_feed("made", hostile_feed(7, 60.0))
    assert done.mismatches > 0 and replay.golden().mismatches > 0
    assert words in done.pairs["numpy", "host"].first


def test_a_tampered_weight_is_found(bundles, monkeypatch) -> None:
    weights = "kWeights7[] = {\n\t"
    text = host_files(bundles["conv"])["model/CompiledModel.cpp"]
    first = text[text.index(weights) + len(weights) :].split(",")[0]
    change_tree(monkeypatch, "model/CompiledModel.cpp", weights + first, f"{weights}{int(first) // 2}")
    pair = Replay(bundles["conv"], ["numpy", "host"]).run_feed("made", hostile_feed(7, 60.0)).pairs["numpy", "host"]
    assert pair.mismatches > 0 and pair.input_values == 0 < pair.output_values
    assert "the int8 outputs (level, climb, descend, turbulence) are not" in pair.first


def test_a_comparison_locates_the_difference(bundles) -> None:
    bundle = bundles["conv"]
    classifier = bundle.classifier()
    a, b = classifier.run(hostile_feed(7, 60.0)), classifier.run(hostile_feed(7, 60.0))
    assert compare(("a", "b"), a, b, bundle.spec).mismatches == 0
    b.inputs[5, 6 * 40 + 2] ^= 1
    found = compare(("a", "b"), a, b, bundle.spec)
    assert (found.mismatches, found.input_values, found.output_values, found.decisions) == (1, 1, 0, 0)
    slot_us = int(a.decisions["start_us"][5]) + 40 * 20_000
    assert f"window 5 ({a.decisions['start_us'][5] / 1e6:.6f} s)" in found.first
    assert f"slot 40 ({slot_us} µs), channel az" in found.first
    short = dataclasses.replace(a, inputs=a.inputs[:-2], outputs=a.outputs[:-2], decisions=a.decisions[:-2])
    assert compare(("a", "b"), a, short, bundle.spec).mismatches == 2


def test_golden_vectors_are_whole_and_repeatable(bundle: ModelBundle, tmp_path) -> None:
    again = make_golden(bundle.classifier(), hostile_feed(1, 20.0))
    assert all(np.array_equal(again[name], bundle.golden[name], equal_nan=True) for name in bundle.golden)
    bundle.save(tmp_path)
    feed, expected = read_golden(ModelBundle.load(tmp_path).golden, bundle.spec)
    assert check_golden(bundle.golden, bundle.classifier()) == len(expected)
    changed = {**bundle.golden, "output": bundle.golden["output"] ^ np.int8(1)}
    with pytest.raises(ParityError, match="mismatch in output"):
        check_golden(changed, bundle.classifier())
    assert len(feed.imu) == 4800 and len(expected) == len(expected.inputs) > 10
    assert expected.decisions["flags"][0] & Flag.FIRST
    broken = dict(bundle.golden)
    del broken["decision_flags"]
    with pytest.raises(ConversionError, match="decision_flags"):
        read_golden(broken, bundle.spec)


def test_targets_that_do_not_exist_or_cannot_run(bundle: ModelBundle, monkeypatch, caplog) -> None:
    with pytest.raises(SpecError, match="'cray' is not known"):
        Replay(bundle, ["numpy", "cray"])

    def missing(bundle: ModelBundle) -> Runner:
        raise ToolchainError("no compiler")

    for name in ("host", "px4-host", *CPUS):
        monkeypatch.setitem(RUNNERS, name, missing)
    with pytest.raises(ToolchainError, match="no compiler"):
        Replay(bundle, ["numpy", "host"])
    monkeypatch.setitem(RUNNERS, "tflm", lambda bundle: bundle.classifier().run)
    assert list(Replay(bundle).runners) == ["numpy", "tflm"] and "host is skipped" in caplog.text


def test_a_model_that_does_not_fit_the_spec_is_rejected(bundles, tmp_path) -> None:
    wrong = dataclasses.replace(bundles["conv"], spec=bundles["dense"].spec)
    for use in (lambda: wrong.classifier(), lambda: generate_host(wrong, tmp_path)):
        with pytest.raises(ConversionError, match="768 inputs, the spec needs 714"):
            use()
    assert not any(tmp_path.iterdir())


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """TEST DOUBLE of the log readers: "bad*" cannot be read, "short*" is too short, others are made."""

    def read(path, columns=None) -> list[FlightLog]:
        if path.name.startswith("bad"):
            raise LogError(f"{path}: not a log")
        feed = hostile_feed(3, 1.0 if path.name.startswith("short") else 30.0)
        series = ImuSeries(feed.imu_time_us, feed.imu[:, :3], feed.imu[:, 3:])
        return [FlightLog(str(path), "0" * 64, "made", "made", series)]

    for module in (px4_tinyml.logs, classify_logs):
        monkeypatch.setattr(module, "find_logs", lambda names: [*map(Path, names)])
        monkeypatch.setattr(module, "read_log", read)


def test_replay_command(bundles, logs, tmp_path, capsys, monkeypatch) -> None:
    bundles["conv"].save(tmp_path / "bundle")
    command = ["replay", str(tmp_path / "bundle"), "--targets", "python,host"]
    assert main([*command, "one", "two"]) == 0
    assert "0 mismatches" in capsys.readouterr().out
    assert main([*command, "--json", "one", "bad"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["mismatches"] == 0 and document["windows"] == sum(item["windows"] for item in document["logs"]) > 20
    assert document["pairs"]["python:host"] == {"windows": document["logs"][1]["windows"], "mismatches": 0}
    assert document["unusable"] == [{"log": "bad", "error": "bad: not a log"}]
    assert main([*command, "short"]) == 1
    assert "nothing was compared" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "bundle"), "--targets", "cray", "one"]) == 2

    change_tree(monkeypatch, "model/MotionSpec.hpp", "clip = 2.0f", "clip = 0.5f")
    assert main([*command, "one"]) == 3
    assert "int8 inputs differ" in capsys.readouterr().out
    assert main([*command, "--json", "one", "bad"]) == 3
    assert json.loads(capsys.readouterr().out)["pairs"]["python:host"]["mismatches"] > 0


def test_classify_command(bundles, logs, tmp_path, capsys) -> None:
    bundles["conv"].save(tmp_path / "bundle")
    command = ["classify", str(tmp_path / "bundle"), "one", "bad", "short"]
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "log,start_us,end_us,class,confidence,flags,p_level,p_climb,p_descend,p_turbulence"
    assert main([*command, "--json"]) == 1
    one, short = json.loads(capsys.readouterr().out)["logs"]
    assert one["windows"] == len(lines) - 1 == len(one["decisions"]) > 10 and short["windows"] == 0
    assert sum(one["seconds"].values()) == pytest.approx(one["windows"] * 0.64)
    assert [f"{d['start_us']},{d['end_us']},{d['class']}" for d in one["decisions"]] == [
        ",".join(line.split(",")[1:4]) for line in lines[1:]
    ]
    assert main([*command, "--out", str(tmp_path / "out.csv")]) == 1
    assert (tmp_path / "out.csv").read_text().splitlines() == lines
    ranking = [row.split()[:2] for row in capsys.readouterr().out.splitlines()]
    assert ranking == [["log", "windows"], ["one", str(one["windows"])], ["short", "0"]]
    assert main([*command, "--out", str(tmp_path / "none" / "out.csv")]) == 2


def test_generate_command(bundles, cxx, tmp_path, capsys) -> None:
    bundles["dense"].save(tmp_path / "bundle")
    command = ["generate", "host", str(tmp_path / "bundle"), "--out", str(tmp_path / "tree")]
    assert main(command) == 0
    hash24 = bundles["dense"].spec.hash24
    assert f"hash24 = 0x{hash24:06x};" in (tmp_path / "tree/model/MotionSpec.hpp").read_text()
    assert "vert, hori" in (tmp_path / "tree/README.md").read_text()
    assert main(command) == 0
    assert " 0 files written" in capsys.readouterr().out
    assert build_host(bundles["dense"], tmp_path).name == "motion_classify"


def test_real_logs_agree(bundles, shared) -> None:
    """Every usable log of the shared ones, through the imu6 model."""
    find, read = px4_tinyml.logs.find_logs, px4_tinyml.logs.read_log
    replay = Replay(bundles["conv"], ALL)
    windows = 0
    for path in find([str(shared / "data" / "ulg"), str(shared / "data" / "bin")]):
        try:
            flights = read(path)
        except LogError:
            continue
        for flight in flights:
            done = replay.run(flight)
            windows += done.windows
            assert done.mismatches == 0, (flight.source, [p.first for p in done.pairs.values()])
    assert windows > 500
