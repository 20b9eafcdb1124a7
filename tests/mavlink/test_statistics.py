"""Losses, duplicates and late frames from 8-bit sequence numbers, against the true counts."""

from __future__ import annotations

import random

import pytest

from px4_tinyml.mavlink.statistics import LinkStatistics, SenderStatistics

STEP_US = 3_000


def counted(arrivals: list[tuple[int, int]], into: SenderStatistics | None = None) -> SenderStatistics:
    """Count frames given as (true number, time in µs)."""
    statistics = into or SenderStatistics()
    for number, time_us in arrivals:
        statistics.note(number % 256, time_us, 20)
    return statistics


def steady(first: int, last: int, start_us: int = 1_000_000) -> list[tuple[int, int]]:
    """Frames first…last−1, one every STEP_US; number 0 would be at start_us."""
    return [(n, start_us + n * STEP_US) for n in range(first, last)]


def outcome(s: SenderStatistics) -> tuple[int, int, int]:
    return s.lost, s.duplicates, s.reordered


def test_a_link_without_losses() -> None:
    s = counted(steady(0, 5000))
    assert (s.frames, s.bytes, *outcome(s)) == (5000, 100_000, 0, 0, 0)
    assert s.rate_hz == pytest.approx(1e6 / STEP_US, rel=0.01)


@pytest.mark.parametrize("first", [0, 100, 255])
@pytest.mark.parametrize("gap", [1, 100, 127, 128, 200, 255, 260, 1000, 5000, 50_000])
def test_a_gap_of_any_length_is_counted_by_the_time_it_took(first: int, gap: int) -> None:
    s = counted(steady(first, 2000) + steady(2000 + gap, 4000 + gap))
    assert outcome(s) == (gap, 0, 0)
    assert s.outages == int((gap + 1) * STEP_US > 3_000_000)


@pytest.mark.parametrize("pause_us", [300_000, 2_000_000, 60_000_000])
def test_a_sender_that_pauses_loses_nothing(pause_us: int) -> None:
    """A busy vehicle, or a link that buffers frames: silence alone is no loss."""
    after = [(n, time_us + pause_us) for n, time_us in steady(2000, 4000)]
    assert outcome(counted(steady(0, 2000) + after)) == (0, 0, 0)
    assert outcome(counted(steady(0, 2000) + after[2:])) == (2, 0, 0)


def test_gaps_of_an_uneven_sender() -> None:
    """Times shake by 5 ms, as they do behind a radio."""
    rng = random.Random(3)
    arrivals = [(n, t + rng.randrange(5000)) for n, t in steady(0, 2000) + steady(3500, 6000)]
    assert outcome(counted(sorted(arrivals, key=lambda a: a[1])))[0] == 1500


def test_a_slow_sender_has_no_outage_between_its_heartbeats() -> None:
    beats = [(n, n * 1_000_000) for n in range(30) if n % 7]
    s = counted(beats)
    assert (*outcome(s), s.outages) == (4, 0, 0, 0)


def test_late_frames_are_not_lost() -> None:
    arrivals = steady(0, 300)
    late = arrivals.pop(100)
    arrivals.insert(200, (late[0], arrivals[199][1]))
    assert outcome(counted(arrivals)) == (0, 0, 1)


def test_a_frame_older_than_the_first_was_not_lost() -> None:
    assert outcome(counted([(10, 0), (9, 1), (11, 2), (9, 3)])) == (0, 1, 1)


@pytest.mark.parametrize("before", [40, 100, 150, 200, 255])
@pytest.mark.parametrize("silence_us", [1_000, 400_000, 2_500_000, 20_000_000])
def test_a_detected_reboot_undoes_its_false_losses(before: int, silence_us: int) -> None:
    statistics = LinkStatistics()
    s = statistics.sender(1, 1)
    counted([*steady(0, before - 3), *steady(before - 2, before)], s)
    start_us = s.last_us + silence_us
    counted([(n, start_us + n * STEP_US) for n in range(10)], s)
    statistics.rebooted(1)
    counted([(n, start_us + n * STEP_US) for n in range(10, 500)], s)
    assert outcome(s) == (1, 0, 0)
    assert statistics.reboots == 1


@pytest.mark.parametrize("seed", range(5))
def test_unchecked_frames_with_damaged_numbers_change_no_count(seed: int) -> None:
    """20 % lost, 10 % of the others unchecked, each with any number."""
    rng = random.Random(seed)
    s = SenderStatistics()
    received = [n for n in range(20_000) if n in (0, 19_999) or rng.random() > 0.2]
    for n in received:
        checked = n in (0, 19_999) or rng.random() > 0.1
        s.note(n % 256 if checked else rng.randrange(256), n * STEP_US, 20, checked=checked)
    assert (s.frames, *outcome(s)) == (len(received), 20_000 - len(received), 0, 0)


def test_json_is_plain_and_a_copy() -> None:
    statistics = LinkStatistics()
    counted(steady(0, 3), statistics.sender(1, 1))
    statistics.sender(2, 7).unknown += 1
    statistics.unknown_ids[999] += 1
    document = statistics.as_json()
    assert [(s["system"], s["component"], s["frames"]) for s in document["senders"]] == [(1, 1, 3), (2, 7, 0)]
    assert document["unknown_ids"] == {999: 1}
    document["unknown_ids"].clear()
    assert statistics.unknown_ids == {999: 1}
    assert not [key for s in document["senders"] for key in s if key.startswith("_")]
