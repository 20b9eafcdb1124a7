"""PX4 SITL in the loop: `PX4_TINYML_PX4_BUILD=… pytest -m px4`. The build's module has the pretrained model."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymavlink.dialects.v20 import common
from vehicle_field import wait_until

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.build import prepare
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.errors import LinkError, ToolchainError
from px4_tinyml.logs import read_log
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.replay.run_all import Replay
from px4_tinyml_sitl.flight import plan_flight
from px4_tinyml_sitl.px4 import fly_px4 as flying
from px4_tinyml_sitl.px4.hil_loop import HilLoop
from px4_tinyml_sitl.px4.px4_process import GCS_PORT, Px4, Px4Build
from px4_tinyml_sitl.simulate import fly

pytestmark = pytest.mark.px4


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return ModelBundle.load(pretrained_bundle())


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated flight without PX4, to replay."""
    return fly(tmp_path_factory.mktemp("simulated"), 1, seconds=30.0, seed=2, edr=0.4, jobs=1)[0]


def udp_socket(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    return sock


class Listener(threading.Thread):
    """Receives what PX4 sends to a UDP port: as a ground station (with heartbeats), or between PX4 and MAVSDK."""

    def __init__(self, port: int, forward_to: int | None = None) -> None:
        super().__init__(daemon=True)
        self.received: defaultdict[str, list[Any]] = defaultdict(list)
        self._ending = threading.Event()
        self._px4 = udp_socket(port)
        self._other = None if forward_to is None else udp_socket(0)
        self._forward_to = forward_to
        self.start()

    def run(self) -> None:
        codec, station = common.MAVLink(None), common.MAVLink(None, srcSystem=255, srcComponent=190)
        codec.robust_parsing = True
        heartbeat = common.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3).pack(station)
        peer: Any = None
        heartbeat_s = 0.0
        sockets = [self._px4] if self._other is None else [self._px4, self._other]
        while not self._ending.is_set():
            for readable in select.select(sockets, [], [], 0.1)[0]:
                data, sender = readable.recvfrom(65536)
                if readable is self._other:
                    if peer:
                        self._px4.sendto(data, peer)
                    continue
                peer = sender
                if self._other is not None:
                    self._other.sendto(data, ("127.0.0.1", self._forward_to))
                for message in codec.parse_buffer(data) or ():
                    self.received[message.get_type()].append(message)
            if self._other is None and peer and time.monotonic() - heartbeat_s > 0.2:
                heartbeat_s = time.monotonic()
                self._px4.sendto(heartbeat, peer)

    def close(self) -> None:
        self._ending.set()
        self.join()
        for sock in (self._px4, self._other):
            if sock is not None:
                sock.close()

    def motion(self, kind: str) -> list[Any]:
        return [message for message in self.received[kind] if message.name == "MOTION"]


def free_udp_port() -> int:
    with udp_socket(0) as probe:
        return int(probe.getsockname()[1])


def px4_processes(build: Px4Build) -> set[int]:
    """Pids of this build's running px4."""
    pids = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "exe").resolve() == (build.folder / "bin/px4").resolve():
                pids.add(int(entry.name))
        except OSError:
            continue
    return pids


@pytest.fixture(autouse=True)
def no_px4_is_left_running(px4_build: Px4Build) -> Iterator[None]:
    before = px4_processes(px4_build)
    yield
    assert px4_processes(px4_build) <= before


def test_replay_agrees(px4_build: Px4Build, bundle: ModelBundle, simulated: Path) -> None:
    replay = Replay(bundle, ["python", "px4"], px4_build.folder)
    golden = replay.golden()
    assert golden.pairs["golden", "px4"].mismatches == 0
    done = replay.run(read_log(simulated)[0])
    pair = done.pairs["python on PX4's log", "px4"]
    assert pair.windows >= done.windows - 1 > 30
    assert (pair.mismatches, pair.first) == (0, "")


def test_command_replays(px4_build: Px4Build, simulated: Path) -> None:
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "replay", str(pretrained_bundle()), str(simulated)]
    options = ["--targets", "px4", "--px4", str(px4_build.folder), "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["mismatches"] == 0
    assert document["pairs"]["python on PX4's log:px4"]["windows"] > 30


def test_module_of_another_model_is_rejected(px4_build: Px4Build, bundle: ModelBundle) -> None:
    decision = replace(bundle.spec.decision, hold_windows=bundle.spec.decision.hold_windows + 1)
    changed = replace(bundle, spec=replace(bundle.spec, decision=decision))
    with pytest.raises(ToolchainError, match=r"its module has spec .* the bundle has .*generate px4"):
        Replay(changed, ["px4"], px4_build.folder)


def test_turbulent_flight(
    px4_build: Px4Build, bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flown, logged, labelled, reported on both links; decisions agree with the truth; no PX4 is left running."""
    listeners: list[Listener] = []
    pilot = flying.Pilot

    def between(port: int, loop: HilLoop) -> flying.Pilot:
        relayed = free_udp_port()
        listeners[:] = [Listener(port, relayed), Listener(GCS_PORT)]
        return pilot(relayed, loop)

    monkeypatch.setattr(flying, "Pilot", between)
    out = tmp_path / "flight.ulg"
    plan = plan_flight(3, 0, "mixed", "500", "changing", None, None, 60.0)
    try:
        flying.fly_px4(plan, px4_build, out)
    finally:
        for listener in listeners:
            listener.close()
    assert not out.with_name(f".{out.name}.px4").exists()
    assert "Disarmed by landing" in out.with_name(f"{out.name}.px4.txt").read_text(encoding="utf-8")

    decisions = UlogFile.read(out.read_bytes(), str(out)).topic("motion_classification")
    assert decisions is not None
    hop_us = 1_000_000 * bundle.spec.hop // bundle.spec.rate_hz
    assert {int(step) for step in decisions["timestamp_sample"][1:] - decisions["timestamp_sample"][:-1]} == {hop_us}
    assert {int(word) for word in decisions["spec_hash"]} == {int(bundle.spec.hash[:16], 16)}

    flight = prepare(read_log(out)[0], bundle.spec)
    assert flight.log.vehicle == "sim 500"
    truth = dict(zip(flight.windows.start_us.tolist(), flight.windows.y.tolist(), strict=True))
    window_us = 1_000_000 * bundle.spec.window // bundle.spec.rate_hz
    decided = zip(decisions["timestamp_sample"].tolist(), decisions["class_index"].tolist(), strict=True)
    compared = [(truth[end - window_us], index) for end, index in decided if truth.get(end - window_us, -1) >= 0]
    assert len(compared) > 50
    assert {bundle.spec.labels[true] for true, _ in compared} >= {"level", "turbulence"}
    assert sum(true == index for true, index in compared) > 0.8 * len(compared)

    onboard, ground = listeners
    logged = {int(end) for end in decisions["timestamp_sample"]}
    for link, share in ((onboard, 0.95), (ground, 0.4)):
        arrays = {m.time_usec: m for m in link.motion("DEBUG_FLOAT_ARRAY")}
        assert {end for end in arrays if end <= max(logged)} <= logged
        assert len(arrays) > share * len(logged)
        assert {m.array_id for m in arrays.values()} == {77}
        texts = [
            (m.severity, m.text.split("(")[0].strip()) for m in link.received["STATUSTEXT"] if "urbulence" in m.text
        ]
        assert texts[:2] == [(4, "Turbulence"), (6, "Turbulence ended")]
        vector = [int(m.x) for m in link.motion("DEBUG_VECT")]
        assert {bundle.spec.labels.index("turbulence"), bundle.spec.labels.index("level")} <= set(vector)


def test_two_flights_at_once(px4_build: Px4Build, tmp_path: Path) -> None:
    paths = fly(tmp_path, 2, mission="hover", seconds=25.0, seed=1, edr=0.3, jobs=2, px4=px4_build.folder)
    assert len(paths) == 2
    for path in paths:
        decisions = UlogFile.read(path.read_bytes(), str(path)).topic("motion_classification")
        assert decisions is not None
        assert len(decisions) > 30


def test_px4_that_dies_in_flight_is_reported(
    px4_build: Px4Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error quotes PX4 and names the folder that is kept."""
    mission = flying._mission

    def deadly(plan: Any, px4: Px4, loop: HilLoop) -> None:
        threading.Timer(6.0, os.kill, (px4.pid, signal.SIGKILL)).start()
        mission(plan, px4, loop)

    monkeypatch.setattr(flying, "_mission", deadly)
    plan = plan_flight(3, 0, "hover", "500", "calm", None, None, 60.0)
    with pytest.raises((LinkError, ToolchainError), match=r"(?s)PX4 .*output is in .*px4\.out; its last lines"):
        flying.fly_px4(plan, px4_build, tmp_path / "flight.ulg")
    assert (tmp_path / ".flight.ulg.px4" / "px4.out").exists()
    assert not (tmp_path / "flight.ulg").exists()


def start_flying(build: Px4Build, out: Path) -> subprocess.Popen[bytes]:
    """`fly --px4` in a process of its own, once its PX4 runs."""
    before = px4_processes(build)
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "fly", "--out", str(out), "--flights", "1"]
    process = subprocess.Popen([*command, "--px4", str(build.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: px4_processes(build) - before or process.poll() is not None)
    if process.poll() is not None:
        pytest.fail(f"no PX4 was started: {process.communicate()[1]!r}")
    return process


def test_interrupted_command_leaves_no_process(px4_build: Px4Build, tmp_path: Path) -> None:
    process = start_flying(px4_build, tmp_path)
    booted = "Startup script returned successfully"
    wait_until(lambda: any(booted in path.read_text("utf-8", "replace") for path in tmp_path.glob(".*/px4.out")))
    process.send_signal(signal.SIGINT)
    assert process.wait(60.0) == 130


def test_killed_command_leaves_no_process(px4_build: Px4Build, tmp_path: Path) -> None:
    """PX4 is killed when Python is killed."""
    before = px4_processes(px4_build)
    process = start_flying(px4_build, tmp_path)
    process.kill()
    process.wait(60.0)
    wait_until(lambda: px4_processes(px4_build) <= before)
