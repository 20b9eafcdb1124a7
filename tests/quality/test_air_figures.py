"""Rates by vehicle, with numbers counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from px4_tinyml.quality.air_figures import LogAir, Share, auc, log_air, vehicle_air
from px4_tinyml.quality.air_truth import CALM, MANOEUVRE, TURBULENT, Stretch
from px4_tinyml.quality.judged import STAGES, Judged, Stage
from px4_tinyml.signal.decision import UNCERTAIN

LEVEL, TURBULENCE = 0, 3
S = 1_000_000


def judged_windows(alone: list[int], filtered: list[int], score: list[float], gated: list[int] = ()) -> Judged:
    """Windows of 2 s, one a second from 0 s on. gated: those uncertain for manoeuvring."""
    start = np.arange(len(alone), dtype=np.uint64) * np.uint64(S)
    unknown = np.full(len(alone), np.nan)
    manoeuvring = np.isin(np.arange(len(alone)), gated)
    stages = []
    for index in (np.array(alone, np.int32), np.array(filtered, np.int32)):
        uncertain = index == UNCERTAIN
        reasons = {"manoeuvring": uncertain & manoeuvring, "low_confidence": uncertain & ~manoeuvring}
        stages.append(Stage(index, np.array(score), reasons))
    vertical = np.full(len(alone), UNCERTAIN, np.int32)
    return Judged(start, start + np.uint64(2 * S), *stages, vertical, unknown, unknown)


def stretch(start_s: float | None, end_s: float | None, air: int) -> Stretch:
    return Stretch(2, "a.ulg", "", "quad", start_s, end_s, air)


@pytest.fixture
def log() -> LogAir:
    """Calm 0-4 s, turbulent 4-7 s, calm 8-11 s, manoeuvre 11-15 s. Windows start at 0, 1, … 13 s.

    Air by window: 0 1 2 calm; 3 4 5 6 turbulent; 7 left out; 8 9 calm; 10 left out; 11 12 13 manoeuvre.
    """
    t, u, v = TURBULENCE, UNCERTAIN, LEVEL
    alone = [v, t, v, u, t, t, v, t, v, u, t, t, v, v]
    filtered = [v, v, v, v, u, t, t, t, t, u, t, v, v, v]
    score = [1, 5, 2, np.nan, 8, 9, 3, 9, 4, np.nan, 9, 9, 2, 2]
    rows = [stretch(None, 4, CALM), stretch(4, 7, TURBULENT), stretch(8, 11, CALM), stretch(11, 15, MANOEUVRE)]
    return log_air("a.ulg", judged_windows(alone, filtered, score, gated=[3]), rows, 0)


def test_windows_and_stretches(log: LogAir) -> None:
    assert log.air.tolist() == [0, 0, 0, 1, 1, 1, 1, -1, 0, 0, -1, 2, 2, 2]
    figures = vehicle_air([log], TURBULENCE, STAGES)
    assert figures.windows == {"calm": 5, "turbulent": 4, "manoeuvre": 3} and figures.left_out == 2
    assert figures.stretches == {"calm": 2, "turbulent": 1, "manoeuvre": 1} and figures.logs == 1


def test_rates_of_each_stage(log: LogAir) -> None:
    stages = vehicle_air([log], TURBULENCE, STAGES).stages
    alone, filtered = stages["alone"], stages["filtered"]
    assert (alone.calm_called, filtered.calm_called) == (Share(1, 5), Share(1, 5))
    # Two of four: the uncertain window counts as missed.
    assert (alone.turbulent_found, filtered.turbulent_found) == (Share(2, 4), Share(2, 4))
    assert (alone.manoeuvre_called, filtered.manoeuvre_called) == (Share(1, 3), Share(0, 3))
    assert str(alone.manoeuvre_called) == "0.33 (1/3)" and str(Share(0, 0)) == "–" and Share(0, 0).rate is None
    assert alone.stretches_reporting == {"calm": Share(1, 2), "turbulent": Share(1, 1), "manoeuvre": Share(1, 1)}
    assert filtered.stretches_reporting == {"calm": Share(1, 2), "turbulent": Share(1, 1), "manoeuvre": Share(0, 1)}


def test_uncertain_by_reason(log: LogAir) -> None:
    alone = vehicle_air([log], TURBULENCE, STAGES).stages["alone"].uncertain
    assert alone["calm"] == {"total": Share(1, 5), "low_confidence": Share(1, 5), "manoeuvring": Share(0, 5)}
    assert alone["all"] == {"total": Share(2, 14), "low_confidence": Share(1, 14), "manoeuvring": Share(1, 14)}


def test_onset_is_to_the_end_of_the_first_window_that_reports(log: LogAir) -> None:
    stages = vehicle_air([log], TURBULENCE, STAGES).stages
    # The stretch starts at 4 s; window 4 ends at 6 s, window 5 at 7 s.
    assert stages["alone"].onset.median_s == stages["alone"].onset.max_s == 2.0
    assert stages["filtered"].onset.median_s == 3.0 and stages["filtered"].onset.missed == Share(0, 1)


def test_a_stretch_never_found() -> None:
    quiet = judged_windows([LEVEL] * 8, [LEVEL] * 8, [0.0] * 8)
    rows = [stretch(0, 2, TURBULENT), stretch(4, 6, TURBULENT), stretch(100, 110, TURBULENT)]
    stage = vehicle_air([log_air("a", quiet, rows, 0)], TURBULENCE, STAGES).stages["alone"]
    assert stage.onset.median_s is None and stage.onset.missed == Share(2, 2)  # the third has no window
    assert stage.calm_called == Share(0, 0) and stage.auc is None


def test_auc_counts_ties_half_and_leaves_out_windows_without_a_score(log: LogAir) -> None:
    alone = vehicle_air([log], TURBULENCE, STAGES).stages["alone"]
    # Turbulent 8 9 3 against calm 1 5 2 4: 4 + 4 + 2 of 12 pairs; one window of each has no score.
    assert alone.auc == pytest.approx(10 / 12) and alone.not_scored == 2
    assert auc(np.array([1.0]), np.array([1.0, 0.0, 2.0])) == pytest.approx(0.5)
    assert auc(np.array([]), np.array([1.0])) is None


def test_logs_of_one_vehicle_are_added(log: LogAir) -> None:
    figures = vehicle_air([log, log], TURBULENCE, STAGES)
    assert figures.windows == {"calm": 10, "turbulent": 8, "manoeuvre": 6} and figures.logs == 2
    assert figures.stages["alone"].turbulent_found == Share(4, 8)
    assert figures.stages["alone"].auc == pytest.approx(10 / 12)
