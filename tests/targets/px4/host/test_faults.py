"""Faults of a vehicle: sensors stop, clocks jump, samples are lost, memory leaks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from px4_host_feeds import hover
from px4_host_flight import Flight, changed, cut, pick_imu

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.logs.ulog.read_ulog import INVALID_RELATIVE_TIME
from px4_tinyml.signal.classifier import Classifier
from px4_tinyml.signal.decision import Flag
from px4_tinyml.signal.slots import Feed, delivered_before
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.px4.run import Px4Host, add_feed, status_counts
from px4_tinyml.targets.px4.stand_in.script import Script

CPP = "MotionClassifier.cpp"
RATE_HZ = 200


def shifted(events: Feed, at: int, by_us: int) -> Feed:
    """Time jumps at an IMU sample, for the barometer too."""
    imu_us, baro_us = events.imu_time_us.copy(), events.baro_time_us.copy()
    first_baro = int(events.baro_before[at - 1])
    for times, start in ((imu_us, at), (baro_us, first_baro)):
        times[start:] = (times[start:].astype(np.int64) + by_us).astype(np.uint64)
    return dataclasses.replace(events, imu_time_us=imu_us, baro_time_us=baro_us)


@pytest.mark.parametrize(("by_s", "cause"), [(30.0, "gap"), (-15.0, "backwards"), (3600.0, "gap"), (0.05, None)])
def test_clock_jumps(host: Px4Host, python: Classifier, by_s: float, cause: str | None) -> None:
    flight = Flight(host)
    flight.feed(shifted(hover(30.0, (5.0, 25.0)), 3000, int(by_s * 1e6)))
    result, record = flight.end()
    expected = python.run(flight.events)
    assert compare(("python", "px4-host"), expected, result, host.spec).first == ""
    resets = {name: count for name, count in result.counts.items() if name.startswith("reset_") and count}
    assert resets == ({f"reset_{cause}": 1} if cause else {}) and len(result) > 30
    assert status_counts(record.printed())["reset_lost"] == 0
    reports = record.topics["debug_vect"]  # a decision lasts as long as a window, and not at all when time jumps back
    age_us = reports.clock_us.astype(np.int64) - reports["timestamp"].astype(np.int64)
    assert len(reports) > 40 and age_us.min() >= 0 and age_us.max() <= 2_560_000


def test_the_clock_reaches_its_end(host: Px4Host) -> None:
    """As damaged logs have it."""
    script = Script(host.harness)
    script.command(2**63, "start")
    for clock_us in (2**64 - 1_000_000, 2**64 - 1):
        script.wait(clock_us)
    script.command(2**64 - 1, "stop")
    assert [result.code for result in host.play(script).results] == [0, 0]


def test_a_sensor_stops_and_resumes(host: Px4Host, python: Classifier) -> None:
    events = hover(40.0, (10.0, 35.0))
    quiet = cut(events, 4000, 4000 + 10 * RATE_HZ)
    flight = Flight(host)
    flight.feed(cut(events, 0, 4000))
    event = flight.script.count
    flight.script.wait(int(quiet.imu_time_us[-1]))  # ten seconds without a sample, timers run
    flight.feed(cut(events, 4000 + 10 * RATE_HZ, len(events.imu)))
    result, record = flight.end()
    found = compare(("python", "px4-host"), python.run(flight.events), result, host.spec)
    assert found.first == "" and result.counts["reset_gap"] == 1 and len(result) > 30
    assert all(event not in topic.event for topic in record.topics.values())
    assert record.runs > len(flight.events.imu) + 20 - 2  # twice a second while there was nothing
    last = result.decisions["end_us"][result.decisions["end_us"] <= flight.events.imu_time_us[3999]][-1]
    reports = record.topics["debug_vect"]
    assert (reports.clock_us[reports["timestamp"] == last] <= last + 3_000_000).all()


@pytest.mark.parametrize("lost", [320, 368, 372, 496, 500])
def test_imu_stops_alone(host: Px4Host, python: Classifier, lost: int) -> None:
    """The barometer continues: its samples are in the first windows after the IMU resumes."""
    events = hover(20.0)
    wave = 3.0 * np.sin(events.baro_time_us / 3e5)
    there = np.ones(len(events.imu), np.bool_)
    there[1000 : 1000 + lost] = False
    lone = dataclasses.replace(
        pick_imu(events, there), baro_altitude_m=events.baro_altitude_m + wave.astype(np.float32)
    )
    expected = python.run(lone)
    assert compare(("python", "px4-host"), expected, host.run(lone), host.spec).first == ""
    assert expected.counts["reset_gap"] == 1 and len(expected) > 15


def test_non_finite_samples(host: Px4Host, python: Classifier) -> None:
    events = hover(30.0)
    for i, value in ((2000, np.nan), (3500, np.inf), (3501, -np.inf), (5000, 1e30)):
        events.imu[i, i % 6] = value
    events.baro_altitude_m[100:110] = [np.nan, np.inf] * 5
    result = host.run(events)
    assert compare(("python", "px4-host"), python.run(events), result, host.spec).first == ""
    assert result.counts["reset_non_finite"] == 4 and len(result) > 20


def test_barometer_lost_and_found(host: Px4Host, python: Classifier) -> None:
    events = hover(40.0, (5.0, 35.0))
    there = (events.baro_time_us < 30_000_000) | (events.baro_time_us > 45_000_000)
    baro_us = events.baro_time_us[there]
    before = delivered_before(events.imu_time_us, baro_us)
    lost = Feed(events.imu_time_us, events.imu, baro_us, events.baro_altitude_m[there], before)
    flight = Flight(host)
    flight.feed(lost)
    result, record = flight.end()
    assert compare(("python", "px4-host"), python.run(lost), result, host.spec).first == ""
    stale = result.decisions["flags"] & Flag.BARO_STALE != 0
    assert stale.any() and not stale[0] and not stale[-1]
    assert (record.decisions["flags"] & 1).sum() == stale.sum() and 3 in result.decisions["class_index"][stale]


@pytest.mark.parametrize("sample_us", [0, 1, 100_000_000])
def test_barometer_that_does_not_know_its_time(host: Px4Host, python: Classifier, sample_us: int) -> None:
    """timestamp_sample is not filled in, long ago, or in the future: the message's own time is taken."""
    events = hover(20.0)
    script = Script(host.harness)
    script.command(int(events.imu_time_us[0]), "start")
    add_feed(script, events, {"timestamp_sample": sample_us})
    result, _ = host.finish(script, int(events.imu_time_us[-1]))
    assert compare(("python", "px4-host"), python.run(events), result, host.spec).first == ""
    assert len(result) > 20 and not (result.decisions["flags"][3:] & Flag.BARO_STALE).any()


def test_gyroscope_without_accelerometer(host: Px4Host, python: Classifier) -> None:
    """A sensor_combined that is marked as without acceleration is skipped."""
    events = hover(20.0)
    flight = Flight(host)
    flight.feed(cut(events, 0, 2000))
    at = np.array([flight.now_us + 1000], np.uint64)
    alone = {"timestamp": at, "accelerometer_m_s2": np.nan, "accelerometer_timestamp_relative": INVALID_RELATIVE_TIME}
    flight.script.publish((flight.script.messages("sensor_combined", at, alone), np.zeros(1, np.int64)))
    flight.feed(cut(events, 2000, len(events.imu)))
    result, record = flight.end()
    assert compare(("python", "px4-host"), python.run(events), result, host.spec).first == "" and len(result) > 20
    assert status_counts(record.printed())["reset_lost"] == 0


def test_work_item_runs_late(host: Px4Host, python: Classifier, bundle: ModelBundle) -> None:
    """uORB keeps one sensor_combined: samples are lost while the work queue is busy, and the window is reset."""
    events = hover(30.0, (5.0, 25.0))
    flight = Flight(host)
    flight.feed(cut(events, 0, 2000))
    flight.script.hold(flight.now_us)
    flight.feed(cut(events, 2000, 2003), heard=False)
    flight.script.run(flight.now_us)  # it finds the third of them
    flight.feed(cut(events, 2003, 4000))
    flight.script.hold(flight.now_us)
    flight.feed(cut(events, 4000, 4001), heard=False)
    flight.script.run(flight.now_us)  # late, but nothing is lost
    flight.feed(cut(events, 4001, 6000))
    result, record = flight.end()
    assert status_counts(record.printed())["reset_lost"] == 1
    assert [result.counts[f"reset_{cause}"] for cause in ("gap", "backwards", "non_finite")] == [0, 0, 0]

    # The reference hears two feeds: until what was lost, and from the first sample after it. The barometer is not lost.
    before, after = python.run(cut(events, 0, 2000)), python.run(pick_imu(events, slice(2002, None)))
    count = len(before)
    assert len(result) == count + len(after) > 30
    assert (result.outputs == np.concatenate([before.outputs, after.outputs])).all()
    assert (result.decisions == np.concatenate([before.decisions, after.decisions])).all()
    assert result.decisions["flags"][count] & Flag.FIRST


def test_start_and_stop_a_thousand_times(host: Px4Host) -> None:
    """Built with the leak sanitizer, which ends the program with an error when anything is left."""
    events = hover(4.0)
    script = Script(host.harness)
    for i in range(1000):
        start_us = 10_000_000 * (i + 1)
        script.command(start_us, "start")
        if i % 50 == 0:
            flight = Flight(host)
            flight.script = script
            flight.feed(shifted(events, 1, start_us + 1000 - int(events.imu_time_us[1])))
        script.command(start_us + 5_000_000, "status")
        script.command(start_us + 6_000_000, "stop")
    record = host.play(script)
    assert len(record.results) == 3000 and {result.code for result in record.results} == {0}
    assert {result.blocks for result in record.results[2::3]} == {0}
    assert min(result.blocks for result in record.results[1::3]) > 1  # running, it has some
    assert len(record.decisions) >= 20


def test_a_leak_is_found(bundle: ModelBundle, cxx: list[str]) -> None:
    host = changed(bundle, CPP, r"\tperf_free\(_reset_gap_perf\);\n", "")
    script = Script(host.harness)
    for i in range(20):
        script.command(1_000_000 * i, "stop" if i % 2 else "start")
    blocks = [result.blocks for result in host.play(script).results[1::2]]
    assert np.diff(blocks).tolist() == [1] * 9


def test_stop_without_a_work_queue_is_forced(host: Px4Host) -> None:
    """As PX4 does after five seconds."""
    script = Script(host.harness)
    script.command(0, "start")
    script.hold(0)
    script.command(0, "stop")
    script.command(10_000_000, "status")
    record = host.play(script)
    assert [result.code for result in record.results] == [0, -1, -1]
    assert "timeout, forcing stop" in record.printed() and "not running" in record.printed()


def test_a_second_start_and_unknown_commands_are_rejected(host: Px4Host) -> None:
    script = Script(host.harness)
    for words in ("start", "start", "dance", "stop", "stop", "status"):
        script.command(1_000_000, words)
    record = host.play(script)
    assert [result.code for result in record.results][:2] == [0, -1] and record.results[-1].code == -1
    printed = record.printed()
    assert "already running" in printed and "unknown command" in printed and "selftest" in printed


@pytest.mark.parametrize(
    ("damage", "words"), [(b"\0" * 9, "cut short"), (b"\0" * 8 + b"\77" + b"\0" * 7, "of an unknown kind")]
)
def test_an_invalid_script_is_rejected(host: Px4Host, damage: bytes, words: str) -> None:
    script = Script(host.harness)
    script.command(0, "start")
    script._parts.append(damage)
    with pytest.raises(ToolchainError, match=f"ended with 1: px4-host: record 1 of the script: {words}"):
        host.play(script)
