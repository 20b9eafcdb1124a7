"""The C++ core against the NumPy reference: every int8 and every field of every decision."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.errors import LogError
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.signal.decision import DECISION_FIELDS, Flag
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.targets.host.run import run_host

WARNINGS = ["-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Wfloat-equal", "-Wcast-align", "-Werror"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *WARNINGS]
CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
FMA = ["-O3", "-mavx2", "-mfma", "-ffp-contract=fast"]


def assert_same(got, want) -> None:
    assert got.counts == want.counts
    assert np.array_equal(got.inputs, want.inputs)
    assert np.array_equal(got.outputs, want.outputs)
    for name in DECISION_FIELDS:
        assert np.array_equal(got.decisions[name], want.decisions[name]), name


def test_every_spec_on_hostile_feeds(spec, build, reference, feeds) -> None:
    command = build(spec, SANITIZE)
    for events in feeds(range(12)):
        assert_same(run_host(command, events), reference(spec, events))


@pytest.mark.parametrize(
    "flags",
    [["-O0"], ["-Os"], ["-O3"], FMA, ["-O2", "-funsafe-math-optimizations", "-fno-unsafe-math-optimizations"]],
    ids=" ".join,
)
def test_compiler_options_change_nothing(flags, specs, build, reference, feeds) -> None:
    if flags is FMA and " fma " not in CPU:
        pytest.skip("this processor has no FMA")
    command = build(specs["hop1"], [*flags, *WARNINGS])
    for events in feeds(range(20, 28)):
        assert_same(run_host(command, events), reference(specs["hop1"], events))


def test_the_feeds_reach_every_branch(specs, reference, feeds) -> None:
    done = [reference(specs["small"], events) for events in feeds(range(12))]
    total = {key: sum(d.counts[key] for d in done) for key in done[0].counts}
    assert total.pop("engine_failures") == 0 and min(total.values()) > 5
    decisions = np.concatenate([d.decisions for d in done])
    for flag in Flag:
        share = np.mean(decisions["flags"] & flag != 0)
        assert 0.005 < share < 0.995, flag
    assert set(decisions["class_index"].tolist()) == {-1, 0, 1, 2, 3}
    inputs = np.concatenate([d.inputs for d in done])
    assert inputs.min() == -128 and inputs.max() == 124  # ±clip / scale, shifted by the zero point of −3


def test_a_filled_hole_completes_several_windows_at_once(specs, build, reference) -> None:
    spec = dataclasses.replace(specs["imu6"], window=8, hop=1, max_repeated_slots=8)
    time = np.arange(0, 40, dtype=np.uint64) * np.uint64(20_000)
    time[20:] += np.uint64(60_000)
    imu = np.random.default_rng(3).normal(0, 3, (40, 6)).astype(np.float32)
    none = np.zeros(0, np.uint64)
    events = Feed(time, imu, none, none.astype(np.float32), np.zeros(40, np.int64))
    want = reference(spec, events)
    assert len(want) == 1 + 38 + 3 - 8  # slots 1…38 and the three of the hole
    assert_same(run_host(build(spec, SANITIZE), events), want)


def test_times_at_the_ends_of_64_bits(specs, build, reference, feeds) -> None:
    command = build(specs["small"], SANITIZE)
    for base in (0, 2**63 - 4_000_000, 2**64 - 20_000_000):
        imu_time = np.arange(800, dtype=np.uint64) * np.uint64(20_000) + np.uint64(base)
        imu = np.random.default_rng(4).normal(0, 2, (800, 6)).astype(np.float32)
        altitude = np.arange(800, dtype=np.float32)
        events = Feed(imu_time, imu, imu_time, altitude, np.arange(1, 801))
        want = reference(specs["small"], events)
        assert len(want) > 190
        assert_same(run_host(command, events), want)


@pytest.mark.parametrize("name", ["default", "hop17"])
def test_a_replay_that_starts_anywhere_gives_the_same_windows(name, specs, build) -> None:
    spec = dataclasses.replace(specs[name], max_gap_slots=3)
    command = build(spec, ["-O2"])
    rng = np.random.default_rng(6)
    time = (np.arange(6000) * 4003 + 77_777_777).astype(np.uint64)
    imu = rng.normal(0, 3, (6000, 6)).astype(np.float32)
    baro_time = time[::11]
    altitude = rng.normal(100, 2, len(baro_time)).astype(np.float32)
    whole = run_host(command, Feed(time, imu, baro_time, altitude, np.arange(6000) // 11 + 1))
    for skip in (1, 3, 500, 777, 2500, 4001):
        before = np.arange(skip, 6000) // 11 + 1
        late = Feed(time[skip:], imu[skip:], baro_time, altitude, before)
        part = run_host(command, late)
        assert 0 < len(part) <= len(whole)
        assert np.array_equal(part.decisions["start_us"], whole.decisions["start_us"][-len(part) :])
        assert np.array_equal(part.inputs, whole.inputs[-len(part) :])
        # The first window that could be complete is there: nothing more is lost than one slot and the hop.
        lost_us = int(part.decisions["start_us"][0]) - int(time[skip])
        assert lost_us <= (spec.hop + 1) * 1_000_000 // spec.rate_hz + 1


def test_real_logs_with_a_barometer(specs, build, reference, shared) -> None:
    command = build(specs["default"], ["-O2"])
    windows = stale = 0
    for path in find_logs([str(shared / "data" / "ulg"), str(shared / "data" / "bin"), str(shared / "data" / "tlog")]):
        try:
            flights = read_log(path)
        except LogError:
            continue
        for flight in flights:
            events = feed(flight, specs["default"])
            want = reference(specs["default"], events)
            assert_same(run_host(command, events), want)
            windows += len(want)
            stale += int((want.decisions["flags"] & Flag.BARO_STALE != 0).sum())
    assert windows > 1000 and 0 < stale < windows / 2
