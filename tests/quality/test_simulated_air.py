"""Figures on flights with the truth about the air: ranges, alarms, onset of steps up."""

from __future__ import annotations

import dataclasses
from collections.abc import Set

import numpy as np
import pytest

from px4_tinyml.flight_log import FlightLog, ImuSeries, ReferenceSeries
from px4_tinyml.quality import simulated_air as air
from px4_tinyml.quality.judged import Judged, Stage
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.spec import PRESETS, PipelineSpec

BANDS = PRESETS["bands"]
TURBULENCE = 3


class Double:
    """Turbulence in the windows that end at given seconds, once a second; EDR twice the truth."""

    def __init__(self, reporting: Set[int], uncertain: Set[int], edr: np.ndarray) -> None:
        self.spec: PipelineSpec = BANDS
        self._reporting, self._uncertain, self._edr = reporting, uncertain, edr

    def judged(self) -> Judged:
        end = np.arange(6, len(self._edr)).astype(np.uint64) * 1_000_000
        seconds = (end // 1_000_000).astype(int)
        index = np.where(np.isin(seconds, list(self._reporting)), TURBULENCE, 0)
        index = np.where(np.isin(seconds, list(self._uncertain)), UNCERTAIN, index).astype(np.int32)
        stage = Stage(index, np.zeros(len(end)), {})
        unknown = np.full(len(end), np.nan)
        start = end - np.uint64(5_000_000)
        edr = 2.0 * self._edr[((start + end) // 2_000_000).astype(int)].astype(np.float64)
        return Judged(start, end, stage, stage, index, unknown, edr)

    def classify(self, log: FlightLog) -> Classification:
        count = len(self._edr) - 6
        decisions = np.zeros(count, [("edr_e4", "<u2"), ("reasons", "u1")])
        decisions["edr_e4"] = np.rint(self.judged().edr_m23_s * 1e4)
        return Classification(np.zeros((count, 1), np.int8), np.zeros((count, 1), np.int8), decisions, {})


@dataclasses.dataclass
class BundleDouble:
    double: Double
    spec: PipelineSpec = BANDS

    def classifier(self, engine: str) -> Double:
        return self.double


def log_of(edr: np.ndarray) -> FlightLog:
    time = np.arange(len(edr)) * 1_000_000
    n = len(time)
    held = (np.zeros(n), np.ones(n), np.ones(n), edr, np.full(n, np.nan))
    return FlightLog("a", "0" * 64, "ulog", "quad", ImuSeries(time, np.zeros((n, 3)), np.zeros((n, 3))), None,
                     ReferenceSeries(time, *held))  # fmt: skip


def figures(monkeypatch, edr: np.ndarray, reporting: set[int], uncertain: Set[int] = frozenset()) -> air.SimulatedAir:
    double = Double(reporting, uncertain, edr)
    monkeypatch.setattr(air, "judged", lambda result, spec: double.judged())
    return air.simulated_air(BundleDouble(double), [log_of(edr)])


def test_ranges_alarms_and_onset(monkeypatch) -> None:
    edr = np.concatenate([np.full(60, 0.05), np.full(30, 0.25), np.full(30, 0.5), np.full(60, 0.05)])
    reporting = {20, 21, 30} | set(range(64, 122)) | {150}
    found = figures(monkeypatch, edr, reporting, {100, 101})
    stage = found.stages["filtered"]
    assert found.flights == 1 and found.windows == 174
    assert (stage.moderate_found.count, stage.moderate_found.of) == (29, 30)  # ends 63…92 have their middle in it
    assert (stage.strong_found.count, stage.strong_found.of) == (27, 30)  # ends 93…122, two uncertain, one late
    assert stage.calm_called.count == 4 and stage.calm_called.of == 114
    assert stage.alarms_per_hour == pytest.approx(3 / (114 * 0.64 / 3600))
    assert stage.factor_68 == pytest.approx(2.0, rel=1e-3)
    assert (found.uncertain["strong"].count, found.uncertain["calm"].count) == (2, 0)
    assert found.onset_median_s == 4.0 and found.onset_missed.count == 0 and found.onset_missed.of == 1


def test_a_step_that_is_never_reported_is_missed(monkeypatch) -> None:
    edr = np.concatenate([np.full(30, 0.05), np.full(30, 0.4), np.full(20, 0.05)])
    found = figures(monkeypatch, edr, {70})
    assert found.onset_median_s is None and (found.onset_missed.count, found.onset_missed.of) == (1, 1)


def test_only_steps_from_calm_air_that_last_count() -> None:
    time = np.arange(100) * 1_000_000
    ramp = np.concatenate([np.full(30, 0.05), np.linspace(0.05, 0.4, 20), np.full(50, 0.4)])
    assert air.steps_up(time, ramp) == []
    short = np.concatenate([np.full(30, 0.05), np.full(5, 0.4), np.full(65, 0.05)])
    assert air.steps_up(time, short) == []
    step = np.concatenate([np.full(30, 0.05), np.full(70, 0.4)])
    assert air.steps_up(time, step) == [(30_000_000, 99_000_001)]
    assert air.steps_up(time[::-1], step[::-1]) == [(30_000_000, 99_000_001)]
    assert air.steps_up(time, np.full(100, 0.4)) == []


def test_flights_without_the_truth_are_skipped(monkeypatch) -> None:
    found = figures(monkeypatch, np.full(30, np.nan), set())
    assert found.flights == 0 and found.windows == 0 and found.onset_missed.of == 0
    assert "missed" in air.as_lines(found)
