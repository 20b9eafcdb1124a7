"""The messages of the MAVLink report and their rates; tests/targets/px4/module compares core/Report.hpp with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_samples import Sender, px4_flight

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.companion import Companion
from px4_tinyml.classify.mavlink_report import MavlinkReport, TurbulenceNotice, report_vector
from px4_tinyml.mavlink.decision_array import ARRAY_ID
from px4_tinyml.signal.decision import DECISION
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.streaming import Decided
from px4_tinyml.targets.host.library import HostPipeline

TURBULENCE = 3
HOP_US = 80_000


def decided(end_us: int, index: int, confidence: float = 0.87, probability: tuple[int, ...] = ()) -> Decided:
    decision = np.zeros(1, DECISION)
    decision["end_us"], decision["class_index"] = end_us, index
    decision["confidence_q16"], decision["label_count"] = round(confidence * 65536), 4
    decision["probability"][0, : len(probability)] = probability
    return Decided(decision[0], 12)


class Wire:
    """Takes messages while it has room."""

    def __init__(self, room: bool = True) -> None:
        self.room, self.messages = room, []  # type: tuple[bool, list[Any]]

    def send(self, message: Any) -> bool:
        if self.room:
            self.messages.append(message)
        return self.room

    def of(self, name: str) -> list[Any]:
        return [m for m in self.messages if m.get_type() == name]


def test_messages(bundle: ModelBundle) -> None:
    wire = Wire()
    report = MavlinkReport(bundle.spec, wire.send)
    report.decided([decided(5_000_000, TURBULENCE, 0.871, (1, 2, 3, 250))])
    report.repeat(5_000_000)
    text, array, vector = wire.messages
    assert (text.text, text.severity) == ("Turbulence (87 %)", 4)
    assert array.name == "MOTION" and array.array_id == ARRAY_ID and array.time_usec == 5_000_000
    assert array.data[:5] == [3.0, round(0.871 * 65536) / 65536, 0.0, float(bundle.spec.hash24), 12.0]
    assert array.data[8:12] == [p / 256 for p in (1, 2, 3, 250)] and not any(array.data[12:])
    assert vector.name == "MOTION" and vector.time_usec == 5_000_000
    assert (vector.x, vector.y, vector.z) == (3.0, array.data[1], 250 / 256)
    report.decided([decided(15_000_000, 0)])
    assert (wire.of("STATUSTEXT")[-1].text, wire.of("STATUSTEXT")[-1].severity) == ("Turbulence ended", 6)
    report.heartbeat(0.0)
    beat = wire.messages[-1]
    assert (beat.type, beat.autopilot, beat.system_status) == (18, 8, 4)
    assert report.sent == {"STATUSTEXT": 2, "DEBUG_FLOAT_ARRAY": 2, "DEBUG_VECT": 1, "HEARTBEAT": 1}


def test_never_more_than_one_per_period(bundle: ModelBundle, library: Path) -> None:
    """A stream in batches of all sizes: arrays a hop apart or more, vectors half a second, heartbeats a second."""
    rng = np.random.default_rng(2)
    frames = [frame for _, frame in px4_flight(Sender(1), rng, 30.0, 0)]
    wire = Wire()
    report = MavlinkReport(bundle.spec, wire.send)
    companion = Companion(HostPipeline(library, bundle.spec), 1, 1)
    beats, at, made = [], 0, 0
    while at < len(frames):
        size = int(rng.choice([1, 2, 5, 60]))
        now = companion.take(frames[at : at + size])
        made += len(now)
        report.decided(now)
        report.repeat(companion.newest_us)
        count = report.sent["HEARTBEAT"]
        report.heartbeat(companion.newest_us / 1e6)
        if report.sent["HEARTBEAT"] > count:
            beats.append(companion.newest_us)
        at += size
    arrays, vectors = ([m.time_usec for m in wire.of(name)] for name in ("DEBUG_FLOAT_ARRAY", "DEBUG_VECT"))
    assert made > 300 and 50 < len(arrays) < made and np.diff(arrays).min() >= HOP_US
    assert 20 <= len(vectors) <= 60 and 12 <= len(beats) <= 31
    assert np.diff(beats).min() > 500_000


def test_the_vector_stops_when_decisions_do(bundle: ModelBundle) -> None:
    wire = Wire()
    report = MavlinkReport(bundle.spec, wire.send)
    report.decided([decided(5_000_000, 0)])
    for now_us in range(5_000_000, 9_000_000, 20_000):
        report.repeat(now_us)
    window_us = bundle.spec.window * 20_000
    assert len(wire.of("DEBUG_VECT")) == 1 + window_us // 500_000


def test_a_full_link_drops_and_counts_and_a_text_is_sent_later(bundle: ModelBundle) -> None:
    wire = Wire(room=False)
    report = MavlinkReport(bundle.spec, wire.send)
    report.decided([decided(5_000_000, TURBULENCE)])
    report.repeat(5_000_000)
    report.decided([decided(5_080_000, TURBULENCE)])
    assert report.dropped == {"STATUSTEXT": 2, "DEBUG_FLOAT_ARRAY": 2, "DEBUG_VECT": 1} and not report.sent
    wire.room = True
    report.decided([])
    assert [m.text for m in wire.messages] == ["Turbulence (87 %)"]
    report.decided([])
    assert len(wire.messages) == 1


def test_labels_without_turbulence_send_no_text() -> None:
    spec = PipelineSpec(labels=("a", "b"))
    notice = TurbulenceNotice(spec)
    assert all(notice.update(decided(n * 20_000_000, n % 2).decision) is None for n in range(1, 10))
    assert report_vector(decided(1, 1, 0.5, (9, 9)).decision, spec) == (1.0, 0.5, 0.0)


@pytest.mark.parametrize("step_s", [0.1, 0.7, 3.0])
def test_heartbeats_keep_their_pace(bundle: ModelBundle, step_s: float) -> None:
    wire = Wire()
    report = MavlinkReport(bundle.spec, wire.send)
    for now_s in np.arange(100.0, 160.0, step_s).tolist():
        report.heartbeat(now_s)
    expected = 60.0 / max(1.0, step_s)
    assert abs(len(wire.messages) - expected) <= (1 if step_s != 0.7 else 3)
