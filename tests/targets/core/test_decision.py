"""Properties of the decision filter that hold for every sequence of outputs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from px4_tinyml.signal.decision import UNCERTAIN, DecisionFilter, Flag, decide
from px4_tinyml.signal.spec import DecisionSpec, PipelineSpec

outputs = st.lists(st.tuples(*[st.integers(-128, 127)] * 4), min_size=1, max_size=60)


@st.composite
def specs(draw: st.DrawFn) -> PipelineSpec:
    leave = draw(st.floats(0.05, 0.9))
    decision = DecisionSpec(
        smoothing_q8=draw(st.integers(1, 256)),
        enter=draw(st.floats(leave, 0.95)),
        leave=leave,
        hold_windows=draw(st.integers(0, 6)),
    )
    return PipelineSpec(decision=decision)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(specs(), outputs)
def test_rules_for_every_sequence(spec: PipelineSpec, rows: list[tuple[int, ...]]) -> None:
    rule = spec.decision
    enter, leave = rule.threshold_q16(rule.enter), rule.threshold_q16(rule.leave)
    decision_filter = DecisionFilter(spec)
    decisions, smoothed = [], []
    for row in rows:
        decisions.append(decision_filter.update(row, baro_stale=False))
        smoothed.append(decision_filter.smoothed)
    since = 0
    for i, (row, decision, new_smoothed) in enumerate(zip(rows, decisions, smoothed, strict=True)):
        previous = decisions[i - 1]["class_index"] if i else UNCERTAIN
        seen = [(p + 128) * 256 for p in row]
        now = decision["class_index"]
        since = since + 1 if now == previous else 0
        assert bool(decision["flags"] & Flag.FIRST) == (i == 0)
        assert bool(decision["flags"] & Flag.UNCERTAIN) == (now == UNCERTAIN)
        # Smoothing stays between what was and what is seen (and is what is seen at first).
        before = smoothed[i - 1] if i else seen
        for old, new, goal in zip(before, new_smoothed, seen, strict=True):
            assert min(old, goal) <= new <= max(old, goal)
        if now == UNCERTAIN:
            assert decision["confidence_q16"] == max(new_smoothed)
            assert previous != UNCERTAIN or max(new_smoothed) < enter
        else:
            assert decision["confidence_q16"] == new_smoothed[now]
            if now != previous:
                assert new_smoothed[now] == max(new_smoothed) >= enter
            elif since >= rule.hold_windows:
                assert new_smoothed[now] >= leave
        if previous not in (UNCERTAIN, now):
            held = next(n for n in range(1, i + 1) if i - 1 - n < 0 or decisions[i - 1 - n]["class_index"] != previous)
            assert held >= rule.hold_windows


def test_a_window_that_alone_is_loud_does_not_change_the_class() -> None:
    spec = PipelineSpec(decision=DecisionSpec(smoothing_q8=64, enter=0.6, leave=0.4, hold_windows=2))
    calm, loud = (127, -128, -128, -128), (-128, -128, -128, 127)
    decision_filter = DecisionFilter(spec)
    reported = [decision_filter.update(row, False)["class_index"] for row in [calm] * 5 + [loud] + [calm] * 5]
    assert reported == [0] * 11
    decision_filter = DecisionFilter(spec)
    reported = [decision_filter.update(row, False)["class_index"] for row in [calm] + [loud] * 11]
    assert reported == [0] * 4 + [3] * 8  # class 3 at 0.25, 0.44, 0.58, 0.68 of the smoothed probability


def test_the_filter_is_reset_where_the_segment_changes() -> None:
    spec = PipelineSpec()
    rows = np.array([[127, -128, -128, -128]] * 3 + [[-128, 127, -128, -128]] * 3, np.int8)
    time = np.arange(6, dtype=np.uint64)
    for segment, want in (([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]), ([0] * 6, [0, 0, 0, 0, 1, 1])):
        reported = decide(rows, np.arange(6) == 4, np.array(segment), time, time + 1, spec)
        assert reported["class_index"].tolist() == want
        first = [i for i in range(6) if i == 0 or segment[i] != segment[i - 1]]
        assert np.flatnonzero(reported["flags"] & Flag.FIRST).tolist() == first
        assert np.flatnonzero(reported["flags"] & Flag.BARO_STALE).tolist() == [4]
