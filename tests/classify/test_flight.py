"""A simulated vehicle on a link: turbulence begins in flight, and the companion reports it to a ground station."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from link_senders import free_port
from live_process import Command, check_decisions
from pymavlink.dialects.v20 import ardupilotmega

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.link.connection import Frame, Link
from px4_tinyml.logs import read_log
from px4_tinyml.signal.slots import feed
from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

PRETRAINED = Path(__file__).resolve().parents[2] / "px4_tinyml" / "pretrained"
SPEED = 4.0
ONSET_S, HOP_S = 3.0, 0.64
EDR, TURBULENT_EDR = 0.4, 0.2
TURBULENCE = 3
DECODED = ("DEBUG_FLOAT_ARRAY", "DEBUG_VECT", "STATUSTEXT")


class Ground:
    """A ground station. now_s: the vehicle's time since boot, by its ATTITUDE messages. texts: of the companion."""

    def __init__(self, port: int) -> None:
        self.link = Link(f"udpin:127.0.0.1:{port}", system=255, component=190)
        self.mavlink = ardupilotmega
        self.now_s = 0.0
        self.texts: list[str] = []
        self.going: Callable[[], bool] = lambda: True
        self._beat = 0.0
        self._waiting: deque[Frame] = deque()

    def wait(self, wanted: Callable[[Any], bool], seconds: float) -> Any:
        """The next message that is wanted; only kinds that are asked for here are decoded."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.going():
            if time.monotonic() > self._beat:
                self.link.send(self.mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3))
                self._beat = time.monotonic() + 0.5
            self._waiting += self.link.receive(0.1)
            while self._waiting:
                frame = self._waiting.popleft()
                if frame.name == "ATTITUDE":
                    self.now_s = frame.fields.time_boot_ms / 1000.0
                elif frame.name in DECODED:
                    if from_companion(frame.message, "STATUSTEXT"):
                        self.texts.append(frame.message.text)
                    if wanted(frame.message):
                        return frame.message
        raise AssertionError(f"nothing of the kind within {seconds} s")

    def close(self) -> None:
        self.link.close()

    def wait_for_calm(self, decisions: int) -> None:
        """So many decisions in a row, in flight, that are not turbulence."""
        calm = 0

        def calm_for_long(message: Any) -> bool:
            nonlocal calm
            if from_companion(message, "DEBUG_FLOAT_ARRAY"):
                calm = calm + 1 if message.data[0] in (0, 1, 2) and self.now_s > 20.0 else 0
            return calm >= decisions

        self.wait(calm_for_long, 120.0)


def from_companion(message: Any, kind: str) -> bool:
    return message.get_type() == kind and (message.get_srcSystem(), message.get_srcComponent()) == (1, 191)


def set_turbulence(vehicle: EmbeddedVehicle, edr: float) -> int:
    """When the air will be halfway there, µs of the vehicle's clock: by then it counts as turbulent."""

    def command() -> int:
        parameters = vehicle.state.parameters
        assert not parameters.set("SIM_TURB_EDR", edr, 9)
        vehicle.set_air()
        return vehicle.state.now_us + round(parameters["SIM_TURB_RAMP"] * 1e6 * TURBULENT_EDR / EDR)

    began_us: int = vehicle.call(command)
    return began_us


def test_turbulence_is_reported_within_three_seconds(tmp_path: Path) -> None:
    """Twice in one flight, from where the air counts as turbulent to the end of the first window classified so.

    Windows are 2.56 s long and begin every 0.64 s, and two must agree: one of two onsets is reported within 3 s, the
    other may wait for one window more (docs/live.md has the share). Times are the vehicle's: how busy this computer is
    is not in them; what it adds in flight is latency_us, measured by benchmarks/bench_live.py.
    """
    ports = free_port(), free_port()
    options = ("--report", "--json", "--record", tmp_path / "rec")
    onsets_s = []
    with (
        contextlib.closing(Ground(ports[1])) as ground,
        Command(PRETRAINED, f"udpin:127.0.0.1:{ports[0]}", *options) as live,
        EmbeddedVehicle(
            [f"udpout:127.0.0.1:{port}" for port in ports], seed=7, speed=SPEED, mission="hover"
        ) as vehicle,
    ):
        ground.going = lambda: live.running

        def is_turbulence(message: Any) -> bool:
            return from_companion(message, "DEBUG_FLOAT_ARRAY") and message.data[0] == TURBULENCE

        for calm in (18, 34):  # so long that a text may be sent again
            ground.wait_for_calm(calm)
            ground.texts.clear()
            began_us = set_turbulence(vehicle, EDR)
            onsets_s.append((ground.wait(is_turbulence, 20.0).time_usec - began_us) / 1e6)
            ground.wait(lambda m: from_companion(m, "DEBUG_VECT") and m.x == TURBULENCE and m.z > 0.5, 10.0)
            ground.wait(lambda m: any(text.startswith("Turbulence (") for text in ground.texts), 10.0)
            set_turbulence(vehicle, 0.0)
        live.interrupt()
        assert live.end() == 0, live.err
    assert min(onsets_s) <= ONSET_S and max(onsets_s) <= ONSET_S + HOP_S, onsets_s

    (recording,) = (tmp_path / "rec").glob("*.tlog")
    (log,) = read_log(recording)
    bundle = ModelBundle.load(PRETRAINED)
    expected = bundle.classifier().run(feed(log, bundle.spec))
    assert len(expected) > 40
    check_decisions(live.json("decision"), expected, bundle.spec.labels)
