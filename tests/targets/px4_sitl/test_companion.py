"""A companion computer on PX4 SITL: record, live, report and logs. `PX4_TINYML_PX4_BUILD=… pytest -m px4`.

PX4 flies a simulated vehicle in real time, commanded by its console. `live --report` listens on PX4's onboard link;
`record --ulog` is the ground station; logs are downloaded when both have ended.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.logs import read_log
from px4_tinyml.logs.tlog.tlog_file import TlogFile
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.signal.slots import feed
from px4_tinyml_sitl.flight import plan_flight
from px4_tinyml_sitl.px4.hil_flight import Px4Flight
from px4_tinyml_sitl.px4.hil_link import HilLink
from px4_tinyml_sitl.px4.hil_loop import HilLoop
from px4_tinyml_sitl.px4.px4_process import Px4, Px4Build, claim_instance
from px4_tinyml_sitl.px4.tuning import ALWAYS, flight_parameters
from px4_tinyml_sitl.turbulence import edr_from_w20

pytestmark = pytest.mark.px4

SEED = 8
"""Calm, then EDR 0.5 for a quarter of a minute, then calm again."""
TURBULENT_EDR = 0.2
ONSET_S, HOP_S = 3.0, 0.64
MOTION_ID = 77
GCS_LISTENS = 18570
COMPANION = 191


class Command:
    """A running px4-tinyml command."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "px4_tinyml.cli.main", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.out, self.err = self.process.communicate()

    def end(self, interrupt: bool = True) -> str:
        """Standard output, after exit code 0."""
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        self._reader.join(120.0)
        assert self.process.returncode == 0 and "Traceback" not in self.err, self.err
        return self.out

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass
class Flown:
    """Everything recorded of the flight."""

    folder: Path
    live: list[dict[str, Any]] = field(default_factory=list)
    recorded: dict[str, Any] = field(default_factory=dict)
    received_by_px4: str = ""
    listed: list[dict[str, Any]] = field(default_factory=list)
    downloaded: list[dict[str, Any]] = field(default_factory=list)
    logged: bytes = b""
    onset_us: int = 0

    def lines(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.live if line["type"] == kind]


def onset_us(flight: Px4Flight) -> int:
    """Onset of turbulence on PX4's clock."""
    flown = (row for row in flight.rows if row.height > 1.0)
    return round(next(row.time_s for row in flown if edr_from_w20(row.w20, row.height) > TURBULENT_EDR) * 1e6)


def take_off(px4: Px4, loop: HilLoop, flight: Px4Flight) -> None:
    """Take off as soon as PX4's checks pass."""
    for _ in range(60):
        px4.command("commander", "takeoff")
        if loop.wait(lambda: loop.controls is not None and loop.controls.armed, 2.0):
            break
    assert loop.wait(lambda: flight.rows[-1].height > 2.0, 30.0), px4.tail()


@pytest.fixture(scope="module")
def flown(px4_build: Px4Build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flown]:
    folder = tmp_path_factory.mktemp("companion")
    result = Flown(folder)
    plan = plan_flight(SEED, 0, "hover", "500", "changing", None, None, 60.0)
    flight = Px4Flight(plan)
    parameters = {**ALWAYS, **flight_parameters(plan.vehicle), "SDLOG_PROFILE": 0, "SDLOG_BACKEND": 3}
    parameters["MIS_TAKEOFF_ALT"] = 8.0
    with contextlib.ExitStack() as stack:
        instance = claim_instance()
        stack.callback(instance.close)
        link = HilLink(instance.listener, lag=1)
        px4 = stack.enter_context(Px4(px4_build, instance, folder / "px4", parameters))
        loop = stack.enter_context(HilLoop(flight, link, px4.check, 1.0))

        def start(*arguments: object) -> Command:
            command = Command(*arguments)
            stack.callback(command.kill)
            return command

        assert loop.wait(lambda: loop.controls is not None, 60.0)
        px4.wait_booted()
        onboard = f"udpin:127.0.0.1:{instance.onboard_port}"
        ground = f"udpout:127.0.0.1:{GCS_LISTENS + instance.number}"
        live = start("live", pretrained_bundle(), onboard, "--report", "--json", "--record", folder / "onboard")
        record = start("record", ground, "--out", folder / "ground", "--ulog", "--json")
        take_off(px4, loop, flight)
        assert loop.wait(lambda: flight.airborne_s > 45.0, 60.0)
        result.received_by_px4 = px4.require("listener", "debug_array")
        px4.require("commander", "land")
        assert loop.wait(lambda: loop.controls is not None and not loop.controls.armed, 60.0), px4.tail()
        result.live = [json.loads(line) for line in live.end().splitlines()]
        result.recorded = json.loads(record.end())
        px4.require("logger", "stop")
        result.listed = json.loads(start("logs", "list", onboard, "--json").end(interrupt=False))
        get = start("logs", "get", onboard, "--last", "--out", folder / "logs", "--json")
        result.downloaded = json.loads(get.end(interrupt=False))
        result.logged = px4.logs()[-1].read_bytes()
        result.onset_us = onset_us(flight)
        assert px4.stop()
    yield result


def test_every_sample_is_recorded(flown: Flown) -> None:
    """PX4's IMU at its full rate, on both links."""
    (end,) = flown.lines("end")
    assert end["lost"] == 0
    assert end["imu"]["source"] == "HIGHRES_IMU"
    for path in (end["recording"], flown.recorded["tlog"]):
        (log,) = [log for log in read_log(Path(path)) if len(log.imu)]
        steps_us = np.diff(log.imu.timestamp_us.astype(np.int64))[1000:]  # after the rate was requested
        assert len(steps_us) > 8000 and float(np.median(steps_us)) < 6000
        assert np.count_nonzero(steps_us > 7500) < 0.001 * len(steps_us)
    (vehicle,) = flown.recorded["vehicles"]
    assert vehicle["vehicle"].startswith("PX4 quad") and (vehicle["lost"], vehicle["reboots"]) == (0, 0)


def test_turbulence_is_reported_in_time(flown: Flown) -> None:
    """On PX4's clock, from the onset of turbulence in the simulated air."""
    decisions = flown.lines("decision")
    first = next(line for line in decisions if line["class"] == "turbulence" and line["end_us"] > flown.onset_us)
    assert (first["end_us"] - flown.onset_us) / 1e6 <= ONSET_S + HOP_S
    assert {line["class"] for line in decisions} >= {"level", "turbulence"}


def test_decisions_are_those_of_the_recording(flown: Flown) -> None:
    bundle = ModelBundle.load(pretrained_bundle())
    (end,) = flown.lines("end")
    (log,) = read_log(Path(end["recording"]))
    expected = bundle.classifier().run(feed(log, bundle.spec))
    decisions = flown.lines("decision")
    assert len(decisions) == len(expected) > 60
    for line, row in zip(decisions, expected.decisions, strict=True):
        names = ("start_us", "end_us", "flags")
        assert [line[name] for name in names] == [int(row[name]) for name in names]
        assert line["confidence"] == round(int(row["confidence_q16"]) / 65536, 6)


def test_the_report_arrives_in_px4_and_at_the_ground_station(flown: Flown) -> None:
    """PX4 publishes what the companion sends, streams it as its own, and forwards the companion's messages."""
    assert re.search(rf"id: {MOTION_ID}\b", flown.received_by_px4), flown.received_by_px4
    decisions = {line["end_us"]: line for line in flown.lines("decision")}
    labels = ModelBundle.load(pretrained_bundle()).spec.labels
    data = Path(flown.recorded["tlog"]).read_bytes()
    messages = list(messages_of(data))
    kinds = Counter((m.get_srcComponent(), m.get_type()) for m in messages)
    assert kinds[1, "DEBUG_FLOAT_ARRAY"] > 10, kinds
    assert kinds[COMPANION, "HEARTBEAT"] > 30
    arrays = [m for m in messages if m.get_type() == "DEBUG_FLOAT_ARRAY" and m.get_srcComponent() == COMPANION]
    assert len(arrays) > 0.9 * len(decisions), kinds
    for array in arrays:
        label = decisions[array.time_usec]["class"]
        assert array.data[0] == (labels.index(label) if label in labels else -1)
    texts = [m.text for m in messages if m.get_type() == "STATUSTEXT" and m.get_srcComponent() == COMPANION]
    assert any(text.startswith("Turbulence (") for text in texts)


def messages_of(data: bytes) -> Iterator[Any]:
    """Report and heartbeats of a .tlog, decoded."""
    from pymavlink.dialects.v20 import ardupilotmega

    decoder = ardupilotmega.MAVLink(None)
    decoder.robust_parsing = True
    frames = TlogFile.read(data).frames
    for start, end in zip(frames.offset.tolist(), frames.end.tolist(), strict=True):
        yield from decoder.parse_buffer(bytearray(data[start:end])) or ()


def test_the_log_is_downloaded_completely(flown: Flown) -> None:
    assert flown.listed and flown.listed[-1]["bytes"] == len(flown.logged)
    (downloaded,) = flown.downloaded
    assert Path(downloaded["file"]).read_bytes() == flown.logged
    (log,) = read_log(Path(downloaded["file"]))
    assert len(log.imu) > 8000


def test_the_streamed_log_is_a_log(flown: Flown) -> None:
    """`record --ulog`: all samples of the flight, or a dropout where some are missing."""
    (stream,) = flown.recorded["ulog"]
    path = Path(flown.recorded["tlog"]).with_name(stream["files"][0])
    assert path.stat().st_size == stream["bytes"] > 100_000
    samples = UlogFile.read(path.read_bytes(), str(path)).topic("sensor_combined")
    assert samples is not None and len(samples) > 4000
    gaps = [b - a for a, b in itertools.pairwise(samples["timestamp"].tolist())]
    assert stream["dropouts"] > 0 or max(gaps) < 100_000, (stream, max(gaps))
