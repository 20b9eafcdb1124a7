"""A ranking of several logs by the share of turbulence."""

from __future__ import annotations

from dataclasses import replace

from px4_tinyml.classify.classify_logs import LogSummary, ranked_table
from px4_tinyml.signal.spec import PRESETS


def summary(name: str, **seconds: float) -> LogSummary:
    spec = PRESETS["default"]
    by_class = dict.fromkeys((*spec.labels, "uncertain"), 0.0) | seconds
    return LogSummary(name, round(sum(seconds.values()) / 0.5), by_class, {"decisions": 3, "reset_gap": 2})


def test_the_most_turbulent_log_is_first_and_one_without_windows_last() -> None:
    logs = [
        summary("calm.ulg", level=60.0),
        summary("empty.ulg"),
        summary("long.ulg", level=300.0, turbulence=100.0),
        summary("/a/folder/with/a/name/that/is/longer/than/the/column/rough.ulg", turbulence=9.0, uncertain=3.0),
        summary("unsure.ulg", level=30.0, uncertain=30.0),
    ]
    head, *rows = ranked_table(logs, PRESETS["default"]).splitlines()
    assert head.split() == ["log", "windows", *PRESETS["default"].labels, "uncertain"]
    first, *others = [row.split()[0] for row in rows]
    assert first.startswith("…") and first.endswith("column/rough.ulg")
    assert others == ["long.ulg", "unsure.ulg", "calm.ulg", "empty.ulg"]
    assert rows[0].endswith("25 %") and "9.0 s" in rows[0] and rows[-1].endswith("0 %")
    assert len({len(line) for line in (head, *rows)}) == 1


def test_own_classes_rank_by_all_but_the_first() -> None:
    spec = replace(PRESETS["arduino119"], labels=("still", "shake", "tap"))
    logs = [LogSummary(name, 4, {"still": s, "shake": 1.0, "tap": 0.0, "uncertain": 0.0}, {}) for name, s in
            (("a", 9.0), ("b", 1.0))]  # fmt: skip
    assert [line.split()[0] for line in ranked_table(logs, spec).splitlines()] == ["log", "b", "a"]


def test_a_summary_names_what_was_not_classified() -> None:
    assert str(summary("a", level=2.0)) == "level 2.0 s (2 reset_gap)"
    assert str(summary("a")) == "no complete window (2 reset_gap)"
