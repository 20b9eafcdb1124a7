"""`px4-tinyml live` over real sockets and a pty, on a computer without TensorFlow."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from link_senders import Pty, free_port, wait_until
from live_process import Command, UdpVehicle, check_decisions, is_free, play_to_live
from live_samples import Sender, clean_flight, delivered, px4_flight
from reference_models import untrained

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.logs import read_log
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.slots import feed


def offline(bundle: ModelBundle, path: Path, part: str) -> Classification:
    """Decisions of `classify` for one recording in a file."""
    logs = {log.source.removeprefix(str(path)): log for log in read_log(path)}
    return bundle.classifier().run(feed(logs[part], bundle.spec))


def test_live_decides_on_a_bad_link_as_classify_does(bundle: ModelBundle, folder: Path, tmp_path: Path) -> None:
    """Two vehicles on the port, one reboots; 3 % lost, 5 % twice, 5 % late: `live` decides as `classify` does."""
    rng = np.random.default_rng(11)
    sender, other = Sender(1), Sender(7)
    sent = list(px4_flight(sender, rng, 12.0, 90_000_000))
    sent += [(12.5 + t_s, frame) for t_s, frame in px4_flight(sender, rng, 8.0, 3_000_000)]
    sent += list(px4_flight(other, rng, 20.0, 50_000_000))
    sent.sort(key=lambda item: item[0])
    frames = delivered(sent, rng, 0.03, 0.05, 0.05)
    options = ("--json", "--system", 1, "--record", tmp_path / "rec", "--engine", "host")
    live, _ = play_to_live(folder, frames, [sender.heartbeat(), other.heartbeat()], *options)
    (recording,) = (tmp_path / "rec").glob("*.tlog")
    expected = offline(bundle, recording, "#1.1")
    assert len(expected) > 120
    check_decisions(live.json("decision"), expected, bundle.spec.labels)
    (end,) = live.json("end")
    assert end["counts"] == expected.counts and end["counts"]["reset_backwards"] >= 1
    assert end["duplicates"] > 20 and end["late"] > 20 and end["lost"] > 10 and end["recording"] == str(recording)
    (start,) = live.json("start")
    assert start["engine"] == "host" and start["spec_hash"] == bundle.spec.hash and start["system"] == 1
    assert len(live.json("status")) >= 4


def test_report_text_and_cuts(bundle: ModelBundle, folder: Path, tmp_path: Path) -> None:
    """One line per change on a pipe; component 191 of the vehicle's system reports to it."""
    sender, options = Sender(5), ("--report", "--keep-uncertain", tmp_path / "keep")
    frames, heartbeats = clean_flight(sender, 24.0), [sender.heartbeat()]
    live, received = play_to_live(folder, frames, heartbeats, *options, speed=6.0, text="engine compiled")
    names = [*bundle.spec.labels, "uncertain"]
    lines = [re.fullmatch(r"\d\d:\d\d:\d\d +([\d.]+) s  (\w+) +(\d+) %(?:  \(was (\w+)\))?", line) for line in live.out]
    assert len(lines) > 5 and all(line is not None and line[2] in names for line in lines)
    for before, after in itertools.pairwise(lines):
        assert before is not None and after is not None
        assert after[4] == before[2] != after[2] and float(after[1]) > float(before[1])
    ours = [m for m in received if m.get_srcComponent() == 191 and m.get_srcSystem() == 5]
    counts = Counter(m.get_type() for m in ours)
    assert counts["DEBUG_FLOAT_ARRAY"] > 100 and counts["STATUSTEXT"] >= 1 and counts["HEARTBEAT"] >= 4
    arrays = [m for m in ours if m.get_type() == "DEBUG_FLOAT_ARRAY"]
    assert {(m.name, m.array_id, m.data[3]) for m in arrays} == {("MOTION", 77, float(bundle.spec.hash24))}
    assert all(0 <= m.data[4] < 50_000 for m in arrays) and any(m.data[4] > 0 for m in arrays)
    assert 24 <= counts["DEBUG_VECT"] <= 2 * 24 + 1  # fewer than two a second where frames came late together
    assert next(m.text for m in ours if m.get_type() == "STATUSTEXT").startswith("Turbulence (")
    assert (tmp_path / "keep" / "labels.csv").is_file()
    assert "system 5: " in live.err[-1] and "turbulence" in live.err[-1]


def test_a_slow_serial_link_drops_and_counts(folder: Path, tmp_path: Path) -> None:
    """The other end of the pty never reads: reports are dropped and counted, decisions continue."""
    rng, sender = np.random.default_rng(3), Sender(1)

    def write(frame: Frame) -> None:
        with contextlib.suppress(BlockingIOError):
            cable.write(frame.data)

    def dropped(line: str) -> bool:
        status = json.loads(line)
        return status["type"] == "status" and status["report"]["dropped"].get("DEBUG_FLOAT_ARRAY", 0) > 20

    device = tmp_path / "ttyS0"
    with Pty(device) as cable, Command(folder, f"serial:{device}:57600", "--report", "--json") as live:
        while live.running and not live.out:
            write(sender.heartbeat())
            time.sleep(0.1)
        for _, frame in px4_flight(sender, rng, 300.0, 5_000_000):
            write(frame)
            time.sleep(0.002)
            if not live.running or any(dropped(line) for line in live.out[-3:]):
                break
        live.interrupt()
        assert live.end() == 0, live.err
    (end,) = live.json("end")
    decisions = len(live.json("decision"))
    assert end["report"]["sent"]["DEBUG_FLOAT_ARRAY"] > 5 and end["report"]["dropped"]["DEBUG_FLOAT_ARRAY"] > 20
    assert decisions >= sum(end["report"][what]["DEBUG_FLOAT_ARRAY"] for what in ("sent", "dropped"))


def test_classification_continues_when_the_recording_fails(bundle: ModelBundle, folder: Path, tmp_path: Path) -> None:
    sender, file = Sender(1), tmp_path / "file"
    file.write_text("")
    options = ("--json", "--record", file)
    live, _ = play_to_live(folder, clean_flight(sender, 6.0), [sender.heartbeat()], *options, code=1)
    assert len(live.json("decision")) > 30
    assert sum("recording stopped" in line for line in live.err) == 1


def test_a_folder_name_that_is_not_utf8(folder: Path, tmp_path: Path) -> None:
    port, flights = free_port(), tmp_path / os.fsdecode(b"fl\xfcge")
    options = (folder, f"udpin:127.0.0.1:{port}", "--json", "--record", flights)
    with Command(*options) as live, UdpVehicle(port) as vehicle:
        vehicle.introduce([Sender(1).heartbeat()] * 2, live)
        vehicle.send(Sender(1).heartbeat())
        live.wait_for("recording to")
        live.interrupt()
        assert live.end() == 0, live.err
    (end,) = live.json("end")
    assert Path(end["recording"]).parent == flights and Path(end["recording"]).stat().st_size


def test_a_pipe_that_is_not_read_does_not_delay_the_report(folder: Path) -> None:
    """The output of --json is not read: reports continue, dropped lines are counted, the others are unbroken."""
    sender, port = Sender(1), free_port()
    out, into = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
    few = "import px4_tinyml.cli.output as output; output.MAX_LINES = 20"
    options = (folder, f"udpin:127.0.0.1:{port}", "--report", "--json")
    with out, into:
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
        with Command(*options, before=few, stdout=into.fileno()) as live, UdpVehicle(port) as vehicle:
            into.close()
            vehicle.introduce([sender.heartbeat()], live, "engine compiled")
            vehicle.play(clean_flight(sender, 16.0), speed=4.0)
            reports = sum(m.get_type() == "DEBUG_FLOAT_ARRAY" for m in vehicle.received)
            assert reports > 100
            live.interrupt()
            lines = [json.loads(line) for line in out]
            assert live.end() == 0, live.err
    decisions = [line for line in lines if line["type"] == "decision"]
    assert 5 < len(decisions) < reports
    assert not any(line["type"] == "end" for line in lines) or lines[-1]["lines_dropped"] >= reports - len(decisions)


def test_ctrl_c_while_waiting_for_a_vehicle(folder: Path) -> None:
    port = free_port()
    with Command(folder, f"udpin:127.0.0.1:{port}", "--wait", 60) as live:
        wait_until(lambda: not is_free(port))
        live.interrupt()
        assert live.end() == 130
    assert live.err[-1] == "interrupted"


@pytest.mark.parametrize(
    ("rate_hz", "thinned_hz", "warning", "end"),
    [
        (
            10,
            None,
            "IMU samples a second, the bundle needs 41: windows with many gaps are not classified",
            "no complete window",
        ),
        (60, None, "HIGHRES_IMU a second are decimated without filtering: vibration aliases", "uncertain"),
        (60, 50, None, "uncertain"),
    ],
)
def test_an_imu_that_is_too_slow_for_the_bundle_is_warned_about(
    bundle: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    rate_hz: int, thinned_hz: float | None, warning: str | None, end: str,
) -> None:  # fmt: skip
    """By `live`, and by `classify` of its recording."""
    folder = tmp_path / "bundle"
    replace(bundle, manifest=untrained(bundle.spec.labels, thinned_hz)).save(folder)
    sender, port = Sender(1), free_port()
    patience = "import px4_tinyml.classify.live_session as live; live.SLOW_S = 2.0"
    options = (folder, f"udpin:127.0.0.1:{port}", "--seconds", 6, "--record", tmp_path / "rec")
    with Command(*options, before=patience) as live, UdpVehicle(port) as vehicle:
        vehicle.introduce([sender.heartbeat()], live, "engine compiled")
        began, sent = time.monotonic(), 0
        while live.running:
            while sent < (time.monotonic() - began) * rate_hz:
                vehicle.send(sender.highres(sent * 1_000_000 // rate_hz, [0, 0, -9.8, 0, 0, 0], 0.0))
                sent += 1
            time.sleep(0.01)
        assert live.end() == 0
    warnings = [line for line in live.err if "WARNING" in line and "IMU" in line and "requesting again" not in line]
    assert len(warnings) == (warning is not None) and (warning or "") in "".join(warnings), live.err
    assert end in live.err[-1]
    assert main(["classify", str(folder), str(tmp_path / "rec"), "--out", str(tmp_path / "decisions.csv")]) == 0
    assert ("vibration aliases" in caplog.text) == (thinned_hz is None)


@pytest.mark.parametrize(
    ("code", "options", "message"),
    [
        (1, ("--wait", 0.3), "nothing received within 0.3 s"),
        (2, ("--rate", 0), "argument --rate: 0: 1 to 1000 expected"),
        (2, ("--keep", "uncertain"), "--keep uncertain needs a folder: --keep-uncertain DIR"),
        (2, ("--engine", "tensorflow"), "invalid choice"),
        (1, ("--signing-key", "/no/such/key"), "signing key /no/such/key"),
    ],
)
def test_errors_are_one_line(folder: Path, code: int, options: tuple[object, ...], message: str) -> None:
    with Command(folder, f"udpin:127.0.0.1:{free_port()}", *options) as live:
        assert live.end() == code
    assert message in live.err[-1] and not any("Traceback" in line for line in live.err)


def test_two_vehicles_need_a_choice(folder: Path) -> None:
    port = free_port()
    with Command(folder, f"udpin:127.0.0.1:{port}") as live, UdpVehicle(port) as vehicle:
        vehicle.introduce([Sender(1).heartbeat(), Sender(2).heartbeat()], live, "choose one with --system N")
        assert live.end() == 1
