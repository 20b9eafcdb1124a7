"""Unsure windows are kept as cuts that give the same windows again, once each, and within the room there is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from live_samples import RECEIVED_US, Sender, motion, px4_flight

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.companion import Companion
from px4_tinyml.classify.keep import UncertainKeeper, unsure
from px4_tinyml.cli.main import main
from px4_tinyml.dataset.spans import read_spans, rows_for
from px4_tinyml.errors import LogError
from px4_tinyml.logs import read_log
from px4_tinyml.logs.tlog.tlog_file import tlog_records
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.signal.decision import DECISION
from px4_tinyml.signal.slots import feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import make_windows
from px4_tinyml.targets.host.library import HostPipeline


def flight(seconds: float, seed: int = 1, armed: bool = True, landed: int = 2) -> list[Frame]:
    """Calm air with a rough stretch every 40 s, as received."""
    rng, sender, frames = np.random.default_rng(seed), Sender(1), []
    for i in range(int(seconds * 50)):
        t_s = i / 50
        received_us = RECEIVED_US + i * 20_000
        if i % 50 == 0:
            frames.append(sender.frame(sender.m.MAVLink_extended_sys_state_message(0, landed), received_us))
            frames.append(sender.frame(sender.m.MAVLink_heartbeat_message(2, 12, 128 * armed, 0, 4, 3), received_us))
        imu = motion(rng, 1.0 if t_s % 40 < 3 else 0.0)
        frames.append(sender.highres(7_000_000 + i * 20_000, imu, 100.0))
        frames[-1].received_us = received_us
    return frames


def kept(folder: Path, frames: list[Frame], bundle: ModelBundle, library: Path, **options: float) -> UncertainKeeper:
    """A flight through classifier and keeper. In this test the classifier is unsure in rough air only."""
    keeper = UncertainKeeper(folder, bundle.spec, bundle.sha256, (1, 1), **options)
    companion = Companion(HostPipeline(library, bundle.spec), 1, 1)
    for i in range(0, len(frames), 3):
        made = companion.take(frames[i : i + 3])
        rough = [d.decision for d in made if (int(d.decision["end_us"]) - 7_000_000) % 40_000_000 < 3_200_000]
        keeper.take(frames[i : i + 3], rough)
    keeper.close()
    return keeper


def cuts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tlog"))


def windows_of(path: Path, spec: PipelineSpec) -> dict[int, np.ndarray]:
    (log,) = read_log(path)
    raw = make_windows(make_slots(feed(log, spec), spec), spec)
    return dict(zip(raw.start_us.tolist(), raw.x, strict=True))


def test_a_window_is_unsure_below_the_threshold_of_every_class(bundle: ModelBundle) -> None:
    row = np.zeros(1, DECISION)[0]
    row["flags"], row["probability"][0] = 0, 128
    assert bundle.spec.decision.enter == 0.5 and not unsure(row, bundle.spec)
    row["probability"][0] = 127
    assert unsure(row, bundle.spec)
    row["flags"], row["probability"][0] = 2, 200
    assert unsure(row, bundle.spec)


def test_cuts_hold_every_unsure_window_once_and_as_it_was(bundle: ModelBundle, library: Path, tmp_path: Path) -> None:
    frames = flight(100.0)
    keeper = kept(tmp_path / "keep", frames, bundle, library, around_s=5.0)
    whole = tmp_path / "whole.tlog"
    whole.write_bytes(tlog_records(frames))
    everything = windows_of(whole, bundle.spec)
    paths = cuts(tmp_path / "keep")
    assert len(paths) == keeper.counts["cuts"] == 3
    seen: list[int] = []
    for path in paths:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        assert sidecar["spec_hash"] == bundle.spec.hash and sidecar["model_sha256"] == bundle.sha256
        assert sidecar["file"] == path.name and (sidecar["system"], sidecar["component"]) == (1, 1)
        there = windows_of(path, bundle.spec)
        starts = [w["start_us"] for w in sidecar["windows"]]
        for start in starts:
            assert np.array_equal(there[start], everything[start])
        seen += starts
        (log,) = read_log(path)
        assert log.warnings == () and 7.0 < log.imu.span_s < 15.0
        assert log.reference is not None and (log.reference.armed == 1).all()
    assert len(seen) == len(set(seen)) == keeper.counts["windows"] > 20


def test_cuts_and_labels_are_ready_for_dataset(
    bundle: ModelBundle, library: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keep"
    kept(folder, flight(180.0), bundle, library)
    labels = folder / "labels.csv"
    rows = read_spans(labels)
    assert {row.label for row in rows} == {"exclude"} and all(rows_for(str(path), rows) for path in cuts(folder))
    for path in cuts(folder):
        (log,) = read_log(path)
        for window in json.loads(path.with_suffix(".json").read_text())["windows"]:
            for edge in ("start", "end"):
                seconds = (window[f"{edge}_us"] - int(log.imu.timestamp_us[0])) / 1e6
                assert window[f"{edge}_s"] == pytest.approx(seconds, abs=0.006)
    labels.write_text(labels.read_text().replace("exclude", "turbulence"))
    spec = tmp_path / "pipeline.toml"
    spec.write_text("window = 16\nhop = 4\nmax_repeated_slots = 3\n")
    arguments = ["dataset", folder, "--labels", labels, "--spec", spec, "--out", tmp_path / "set"]
    assert main([str(a) for a in arguments]) == 0, capfd.readouterr().err
    made = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert "turbulence" in json.dumps(made) and len(list((tmp_path / "set").rglob("*.parquet"))) == len(cuts(folder))


def test_rows_are_appended_to_labels_without_a_last_newline(bundle: ModelBundle, library: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    kept(tmp_path, flight(50.0), bundle, library)
    labels.write_text(labels.read_text().replace("exclude", "level").rstrip("\n"))
    kept(tmp_path, flight(50.0, seed=9), bundle, library)
    rows = read_spans(labels)
    assert [row.label for row in rows] == ["level"] * 2 + ["exclude"] * 2
    assert all(rows_for(str(path), rows) for path in cuts(tmp_path)) and len(cuts(tmp_path)) == 4


def test_an_existing_cut_is_not_written_again(bundle: ModelBundle, library: Path, tmp_path: Path) -> None:
    kept(tmp_path, flight(50.0), bundle, library)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = kept(tmp_path, flight(50.0), bundle, library)
    assert again.counts["known"] == len(cuts(tmp_path)) == 2 and again.counts["cuts"] == 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_long_unsure_stretch_is_several_cuts_and_no_window_is_in_two(
    bundle: ModelBundle, library: Path, tmp_path: Path
) -> None:
    rng, sender = np.random.default_rng(1), Sender(1)
    frames = []
    for t_s, frame in px4_flight(sender, rng, 200.0, 0):
        frame.received_us = RECEIVED_US + int(t_s * 1e6)
        frames.append(frame)
    keeper = UncertainKeeper(tmp_path, bundle.spec, "0", (1, 1))
    companion = Companion(HostPipeline(library, bundle.spec), 1, 1)
    unsure_windows = 0
    for frame in frames:
        decisions = [d.decision for d in companion.take([frame])]
        unsure_windows += sum(unsure(decision, bundle.spec) for decision in decisions)
        keeper.take([frame], decisions)
    keeper.close()
    sidecars = [json.loads(path.read_text())["windows"] for path in tmp_path.glob("uncertain-*.json")]
    starts = [w["start_us"] for windows in sidecars for w in windows]
    assert 3 <= len(sidecars) <= 5 and len(starts) == len(set(starts)) == unsure_windows
    inside: list[int] = []
    for path in cuts(tmp_path):
        inside += windows_of(path, bundle.spec)
        assert path.stat().st_size < 1_000_000
    assert set(starts) <= set(inside) and len(inside) - len(set(inside)) <= len(sidecars)


def test_the_folder_is_not_filled_beyond_its_limit(
    bundle: ModelBundle, library: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = kept(tmp_path, flight(400.0), bundle, library, limit_mb=0.2)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 0.1e6 < size <= 0.2e6 and keeper.counts["full"] > 3 and keeper.counts["cuts"] > 1
    assert caplog.text.count("no more windows are kept") == 1
    assert len(keeper._frames) < 25 * 55, "memory is bounded, too"
    more = kept(tmp_path, flight(50.0, seed=9), bundle, library, limit_mb=0.2)  # existing files count
    assert more.counts["full"] == 2 and more.counts["cuts"] == 0


@pytest.mark.parametrize(("armed", "landed"), [(False, 0), (True, 1)])
def test_nothing_is_kept_on_the_ground(
    bundle: ModelBundle, library: Path, tmp_path: Path, armed: bool, landed: int
) -> None:
    keeper = kept(tmp_path, flight(60.0, armed=armed, landed=landed), bundle, library)
    assert keeper.counts["on_ground"] > 10 and list(tmp_path.iterdir()) == []


def test_a_folder_that_fails_is_logged_and_counted(
    bundle: ModelBundle, library: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LogError, match=r"--keep-uncertain .*file: cannot be used"):
        UncertainKeeper(file, bundle.spec, "0", (1, 1))
    folder = tmp_path / "keep"
    keeper = UncertainKeeper(folder, bundle.spec, "0", (1, 1))
    folder.rmdir()
    folder.write_text("")  # gone in flight
    companion = Companion(HostPipeline(library, bundle.spec), 1, 1)
    frames = flight(20.0)
    keeper.take(frames, [d.decision for d in companion.take(frames)])
    keeper.close()
    assert keeper.counts["failed"] == 1 and "cannot write this cut" in caplog.text
