"""The module's messages, its parameters in flight, and its self-test."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
from px4_host_feeds import hover
from px4_host_flight import Flight, changed, cut, decided_with, pick_imu

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.mavlink_report import NAME, Text, TurbulenceNotice, VectorClock, report_vector
from px4_tinyml.mavlink.decision_array import report_array
from px4_tinyml.signal.classifier import Classifier
from px4_tinyml.signal.decision import Flag
from px4_tinyml.signal.spec import DecisionSpec
from px4_tinyml.signal.streaming import Decided
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.px4.run import Px4Host, status_counts
from px4_tinyml.targets.px4.stand_in.script import Script

NAMES = ("python", "px4-host")
MODEL, SPEC = "model/CompiledModel.cpp", "model/MotionSpec.hpp"


def decisions_spec(host: Px4Host, **changes: float) -> DecisionSpec:
    """Of the model, with changes as a float parameter holds them."""
    exact = {name: float(np.float32(v)) if isinstance(v, float) else v for name, v in changes.items()}
    return dataclasses.replace(host.spec.decision, **exact)  # type: ignore[arg-type]


def test_messages_hold_the_decision_and_nothing_is_allocated_in_flight(host: Px4Host) -> None:
    flight = Flight(host)
    flight.script.inference_time(flight.now_us, 321)
    flight.feed(hover(40.0, (8.0, 25.0)))
    result, record = flight.end()
    reported, arrays = record.decisions, record.topics["debug_array"]
    assert len(reported) == len(arrays) == len(result) > 50 and record.allocations == 0
    assert (reported["spec_hash"] == int(host.spec.hash[:16], 16)).all() and (reported["inference_time"] == 321).all()
    delay_us = reported["timestamp"].astype(np.int64) - reported["timestamp_sample"].astype(np.int64)
    assert (reported["timestamp"] == reported.clock_us).all() and (delay_us >= 0).all() and (delay_us < 20_000).all()
    assert (arrays["id"] == 77).all() and set(arrays["name"]) == {NAME}
    for decision, array, stamp in zip(result.decisions, arrays["data"], arrays["timestamp"], strict=True):
        assert array.tolist() == report_array(Decided(decision, 321), host.spec) and stamp == decision["end_us"]


@pytest.mark.parametrize("rate_hz", [2, 0, 10])
def test_debug_vect_repeats_the_last_decision(host: Px4Host, rate_hz: int) -> None:
    events = hover(30.0, (8.0, 18.0))
    flight = Flight(host)
    flight.script.parameter(flight.now_us, "MCLS_RATE_OUT", rate_hz)
    flight.feed(cut(events, 0, 3000))
    flight.script.wait(flight.now_us + 8_000_000)
    late = cut(events, 3000, len(events.imu))
    flight.feed(dataclasses.replace(late, imu_time_us=late.imu_time_us + np.uint64(10_000_000)))
    result, record = flight.end()
    vectors, clock = record.topics["debug_vect"], VectorClock(host.spec, rate_hz)
    made = dict(zip(record.decisions.event.tolist(), result.decisions, strict=True))
    expected, last = [], None
    times = dict(zip(flight.imu_actions, flight.events.imu_time_us.tolist(), strict=True))
    for action, sample_us in times.items():
        last = made.get(action, last)
        if last is not None and clock.due(int(last["end_us"]), sample_us):
            expected.append((int(last["end_us"]), *report_vector(last, host.spec)))
    found = [(int(v["timestamp"]), float(v["x"]), float(v["y"]), float(v["z"])) for v in vectors.rows]
    assert found == [(t, x, float(np.float32(y)), z) for t, x, y, z in expected]
    assert len(found) == 0 if rate_hz == 0 else len(found) > 15 * rate_hz and set(vectors["name"]) == {NAME}


def test_texts_on_entering_and_leaving_turbulence(host: Px4Host) -> None:
    """At most one in ten seconds; a change that was too soon is reported later."""
    events = hover(80.0, seed=5)
    for start, stop in ((5, 9), (12, 16), (19, 22), (30, 55)):
        shaking = hover(80.0, (float(start), float(stop)), seed=5)
        rows = (events.imu_time_us >= (20 + start) * 1_000_000) & (events.imu_time_us < (20 + stop) * 1_000_000)
        events.imu[rows] = shaking.imu[rows]
    flight = Flight(host)
    flight.feed(events)
    result, record = flight.end()
    notice, expected = TurbulenceNotice(host.spec), []
    for decision in result.decisions:
        text = notice.update(decision)
        if text is not None:
            percent = round(int(decision["confidence_q16"]) / 655.36)
            text_sent = f"Turbulence ({percent} %)" if text is Text.BEGAN else "Turbulence ended"
            expected.append((4 if text is Text.BEGAN else 6, text_sent.encode()))
    texts = record.topics["mavlink_log"]
    assert list(zip(texts["severity"].tolist(), texts["text"].tolist(), strict=True)) == expected
    assert len(expected) >= 4 and np.diff(texts["timestamp"].astype(np.int64)).min() > 9_900_000
    entered = np.diff((result.decisions["class_index"] == 3).astype(int)) != 0
    assert entered.sum() > len(expected)  # some changes were not reported


def test_messages_can_be_chosen(host: Px4Host) -> None:
    for bits in range(8):
        flight = Flight(host)
        flight.script.parameter(flight.now_us, "MCLS_MSG", bits)
        flight.feed(hover(15.0, (4.0, 12.0)))
        topics = flight.end()[1].topics
        sent = [bool(len(topics[name])) for name in ("debug_vect", "debug_array", "mavlink_log")]
        assert sent == [bool(bits & 1), bool(bits & 2), bool(bits & 4)] and len(topics["motion_classification"]) > 15


def test_thresholds_changed_in_flight(host: Px4Host, python: Classifier) -> None:
    events = hover(60.0, (4.0, 56.0))
    quiet = hover(60.0)
    for start in range(6, 56, 8):
        rows = slice(start * 200, (start + 4) * 200)
        events.imu[rows] = quiet.imu[rows]
    flight = Flight(host)
    changes, state, at = [], {}, 0
    for to, parameters in (
        (2400, {"MCLS_ENTER": 0.97}), (4100, {"MCLS_LEAVE": 0.93}), (5600, {"MCLS_HOLD": 12}), (7300, {"MCLS_HOLD": 0}),
        (9000, {"MCLS_ENTER": -1.0, "MCLS_LEAVE": -1.0, "MCLS_HOLD": -1}), (12000, {}),
    ):  # fmt: skip
        flight.feed(cut(events, at, to))
        at = to
        for name, value in parameters.items():
            flight.script.parameter(flight.now_us, name, value)
            state[{"MCLS_ENTER": "enter", "MCLS_LEAVE": "leave", "MCLS_HOLD": "hold_windows"}[name]] = value
        given = {name: value for name, value in state.items() if value >= 0}
        changes.append((flight.now_us, decisions_spec(host, **given)))
    result, record = flight.end()
    expected = decided_with(python, flight.events, changes)
    assert compare(NAMES, expected, result, host.spec).first == "" and "impossible" not in record.printed()
    plain = python.run(flight.events)
    assert (plain.outputs == result.outputs).all()
    for (start, _), (stop, _) in itertools.pairwise(changes[:5]):  # each change made a difference
        part = (plain.decisions["end_us"] > start) & (plain.decisions["end_us"] <= stop)
        assert (plain.decisions["class_index"][part] != result.decisions["class_index"][part]).any()


def test_invalid_thresholds_are_rejected(host: Px4Host, python: Classifier) -> None:
    events = hover(30.0, (8.0, 18.0))
    flight = Flight(host)
    flight.feed(cut(events, 0, 2000))
    flight.script.parameter(flight.now_us, "MCLS_LEAVE", 0.99)
    flight.feed(cut(events, 2000, 4000))
    flight.script.parameter(flight.now_us, "MCLS_RATE_OUT", 5)  # the same thresholds again: no text
    flight.feed(cut(events, 4000, len(events.imu)))
    result, record = flight.end()
    assert compare(NAMES, python.run(flight.events), result, host.spec).first == ""
    refused = [text for text in record.topics["mavlink_log"]["text"].tolist() if b"impossible" in text]
    assert len(refused) == 1 and len(refused[0]) <= 50 and "impossible" in record.printed(flight.script.count - 2)


def test_disabled_and_enabled_in_flight(host: Px4Host, python: Classifier) -> None:
    events = hover(40.0, (8.0, 36.0))
    flight = Flight(host)
    flight.feed(cut(events, 0, 3000))
    flight.script.parameter(flight.now_us, "MCLS_EN", 0)
    off_us = flight.now_us + 500_000  # it looks at parameters with each sample, and twice a second
    flight.feed(cut(events, 3000, 5000))
    flight.script.command(flight.now_us, "status")
    idle = flight.script.count - 1
    flight.script.parameter(flight.now_us, "MCLS_EN", 1)
    flight.feed(cut(events, 5000, 5300))
    flight.script.command(flight.now_us, "status")
    woken = flight.script.count - 1
    flight.feed(cut(events, 5300, 8000))
    result, record = flight.end()
    assert "no decision yet" in record.printed(woken)  # nor any reset: what was heard before is another time's
    assert sum(n for name, n in status_counts(record.printed(flight.script.count - 2)).items() if "reset" in name) == 0
    end_us = result.decisions["end_us"]
    on = int(np.flatnonzero(end_us > flight.events.imu_time_us[5000])[0])
    assert not ((end_us > off_us) & (end_us <= flight.events.imu_time_us[5000])).any()
    assert "idle" in record.printed(idle) and "running" in record.printed(flight.script.count - 2)
    assert result.decisions["flags"][on] & Flag.FIRST

    # It begins with the newest sample there is when the timer, on half seconds since the start, shows it the parameter.
    timer_us = 20_000_000 + -(-(int(events.imu_time_us[5000]) - 20_000_000) // 500_000) * 500_000
    first = int(np.searchsorted(events.imu_time_us, timer_us)) - 1
    fresh = python.run(pick_imu(events, slice(first, None)))
    ready = fresh.decisions["flags"] & Flag.BARO_STALE == 0
    assert len(fresh) == len(result) - on and (fresh.decisions[ready] == result.decisions[on:][ready]).all()
    plain = python.run(cut(events, 0, 3001))
    assert (result.decisions[: len(plain)] == plain.decisions).all() and on == len(plain)


def test_disabled_from_the_start(host: Px4Host) -> None:
    flight = Flight(host)
    flight.script = Script(host.harness)
    flight.script.parameter(0, "MCLS_EN", 0)
    flight.script.command(20_000_000, "start")
    flight.feed(hover(10.0))
    result, record = flight.end()
    assert len(result) == 0 and record.runs < 25  # twice a second


def test_disabled_it_is_not_called(host: Px4Host) -> None:
    events = hover(12.0)
    flight = Flight(host)
    flight.feed(cut(events, 0, 300))
    flight.script.parameter(flight.now_us, "MCLS_EN", 0)
    flight.feed(cut(events, 300, 2300))
    assert 300 < flight.end()[1].runs < 300 + 30 + 60  # IMU, barometer, and twice a second


def test_selftest(host: Px4Host, python: Classifier) -> None:
    """Ok when idle and in flight, which it does not disturb."""
    events = hover(20.0, (5.0, 15.0))
    flight = Flight(host)
    flight.feed(cut(events, 0, 2111))
    flight.script.command(flight.now_us, "selftest")
    tested = flight.script.count - 1
    flight.feed(cut(events, 2111, len(events.imu)))
    result, record = flight.end()
    assert compare(NAMES, python.run(flight.events), result, host.spec).first == ""
    assert re.search(r"selftest ok: \d+ model vectors and \d+ decisions", record.printed(tested))
    script = Script(host.harness)
    script.command(0, "selftest")
    alone = host.play(script)
    assert alone.results[0].code == 0 and len(alone.decisions) == 0
    script.command(1, "selftest")
    assert {result.blocks for result in host.play(script).results} == {0}  # its memory is given back


ERASED = (MODEL, r"(kWeights1\[\] = \{\n)(.*)", lambda numbers: re.sub(r"-?\d+", "-1", numbers))
BIAS = (MODEL, r"(Channel kChannels1\[\] = \{\s+\{)(-?\d+)", lambda bias: str(int(bias) + 4000))
SMOOTHING = (SPEC, r"(smoothing_q8 = )(\d+)", lambda factor: str(int(factor) + 1))


@pytest.mark.parametrize(("name", "pattern", "change"), [ERASED, BIAS, SMOOTHING], ids=["weights", "bias", "smoothing"])
def test_selftest_finds_damage(
    bundle: ModelBundle, cxx: list[str], name: str, pattern: str, change: Callable[[str], str]
) -> None:
    """Weights as erased flash has them, another bias, another rule."""
    host = changed(bundle, name, pattern, lambda m: f"{m[1]}{change(m[2])}")
    script = Script(host.harness)
    script.command(0, "selftest")
    record = host.play(script)
    assert record.results[0].code != 0
    assert re.search(r"selftest failed: .* is -?\d+, expected -?\d+", record.printed())
