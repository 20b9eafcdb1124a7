"""Level, climb and descend against references, with scores counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries, ReferenceSeries
from px4_tinyml.quality.judged import Judged, Stage, vertical_class
from px4_tinyml.quality.motion import (
    LogMotion,
    barometer_slope_m_s,
    log_motion,
    motion_rows,
    reference_labels,
    slope_class,
)
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.signal.spec_tables import LimitsSpec

SPEC = PipelineSpec()
LEVEL, CLIMB, DESCEND, TURBULENCE = range(4)
HOP_US, WINDOW_US = 640_000, 2_560_000


def flight(seconds: float = 60.0, edr: float = np.nan) -> FlightLog:
    """Level for 20 s, climb at 2 m/s for 20 s, then level; references at 10 Hz, barometer at 20 Hz. Starts at 5 s."""
    imu_us = (5_000_000 + np.arange(0, seconds, 0.005) * 1e6).astype(np.uint64)
    time_us = (5_000_000 + np.arange(0, seconds, 0.1) * 1e6).astype(np.uint64)
    baro_us = (5_000_000 + np.arange(0, seconds, 0.05) * 1e6).astype(np.uint64)
    down = np.where((time_us >= 25_000_000) & (time_us < 45_000_000), -2.0, 0.0)
    altitude = np.clip(2.0 * (baro_us.astype(np.float64) / 1e6 - 25.0), 0.0, 40.0)
    ones = np.ones(len(time_us))
    reference = ReferenceSeries(time_us, down, ones, ones, ones * edr, ones * np.nan)
    accel = np.tile([0.0, 0.0, -9.8], (len(imu_us), 1))
    imu = ImuSeries(imu_us, accel, np.zeros_like(accel))
    return FlightLog("a.ulg", "0" * 64, "ulog", "quad", imu, BaroSeries(baro_us, altitude), reference)


def times(length_us: int = WINDOW_US) -> tuple[np.ndarray, np.ndarray]:
    end = np.arange(12_000_000, 60_000_001, HOP_US).astype(np.uint64)
    return end - np.uint64(length_us), end


def reported(start: np.ndarray, end: np.ndarray, index: np.ndarray, vertical: np.ndarray) -> Judged:
    unknown = np.full(len(start), np.nan)
    stage = Stage(index.astype(np.int32), unknown, {})
    return Judged(start, end, stage, stage, vertical.astype(np.int32), unknown, unknown)


def test_labels_are_those_of_the_last_two_and_a_half_seconds() -> None:
    four, vertical = reference_labels(flight(), *times(), SPEC)
    longer, longer_vertical = reference_labels(flight(), *times(2 * WINDOW_US), SPEC)
    assert np.array_equal(four, longer) and np.array_equal(vertical, longer_vertical)
    assert np.array_equal(four, vertical) and set(four.tolist()) >= {LEVEL, CLIMB}
    _, end = times()
    climbing = (end >= 25_000_000 + WINDOW_US) & (end <= 45_000_000)
    assert (vertical[climbing] == CLIMB).all() and (vertical[end <= 25_000_000] == LEVEL).all()
    assert (vertical[(end > 25_600_000) & (end < 26_900_000)] < 0).all()  # mixed


def test_turbulence_is_that_of_the_whole_window_and_leaves_the_vertical_label() -> None:
    four, vertical = reference_labels(flight(edr=0.5), *times(2 * WINDOW_US), SPEC)
    assert (four == TURBULENCE).all() and {LEVEL, CLIMB} <= set(vertical.tolist())


def test_the_slope_of_a_steady_climb() -> None:
    start, end = times()
    slope = barometer_slope_m_s(flight().baro, end)
    steady = (start >= 25_300_000) & (end <= 45_000_000)
    assert steady.sum() > 20
    assert slope[steady] == pytest.approx(2.0, abs=0.05)  # the barometer's samples are held for 50 ms
    assert slope[end <= 25_000_000] == pytest.approx(0.0)
    assert slope_class(slope)[steady].tolist() == [CLIMB] * int(steady.sum())
    assert slope_class(np.array([0.6, 0.61, -0.6, -0.61, np.nan])).tolist() == [0, 1, 0, 2, UNCERTAIN]


def test_no_slope_without_fresh_samples() -> None:
    baro = flight().baro
    assert baro is not None
    end = np.array([4_000_000, 7_000_000, 12_000_000, 64_900_000, 66_000_000], np.uint64)
    assert np.isnan(barometer_slope_m_s(baro, end)).tolist() == [True, True, False, False, True]
    assert np.isnan(barometer_slope_m_s(None, end)).all()


def test_reported_vertical_speed_is_level_up_to_half_a_metre_a_second() -> None:
    assert vertical_class(np.array([0.0, 0.5, -0.5, 0.51, -0.51, np.nan])).tolist() == [0, 0, 0, 1, 2, UNCERTAIN]


def test_uncertain_is_wrong_in_every_score() -> None:
    log, (start, end) = flight(), times()
    four, vertical = reference_labels(log, start, end, SPEC)
    right = reported(start, end, four, vertical)
    found = log_motion("a.ulg", "ulg", log, right, SPEC)
    assert found is not None and found.windows == int((vertical >= 0).sum())
    row = motion_rows([found])[0]
    assert row.macro_f1["four_alone"] == row.macro_f1["vertical"] == 1.0

    # 14 of 29 climbs uncertain: 15 right of 29, none wrongly reported. F1 of climb is 30/44, of level 1.
    climbs = np.flatnonzero(vertical == CLIMB)
    assert len(climbs) == 29
    partly = vertical.copy()
    partly[climbs[:14]] = UNCERTAIN
    less = log_motion("a.ulg", "ulg", log, reported(start, end, partly, partly), SPEC)
    assert less is not None
    scores = motion_rows([less])[0].macro_f1
    assert scores["vertical"] == scores["four_alone"] == scores["four_filtered"] == pytest.approx((1.0 + 30 / 44) / 2)


def test_logs_without_a_reference_or_a_label_have_no_row() -> None:
    log, (start, end) = flight(), times()
    windows = reported(start, end, np.zeros(len(start)), np.zeros(len(start)))
    without = FlightLog(log.source, log.sha256, log.kind, log.vehicle, log.imu, log.baro)
    assert log_motion("a", "", without, windows, SPEC) is None
    assert log_motion("a", "", log, windows, PipelineSpec(labels=("calm", "turbulence"))) is None
    late = reported(start + np.uint64(10**9), end + np.uint64(10**9), np.zeros(len(start)), np.zeros(len(start)))
    assert log_motion("a", "", log, late, SPEC) is None


def matrix(level: int, climb: int, level_as_climb: int = 0) -> np.ndarray:
    counts = np.zeros((4, 4), np.int64)
    counts[0, 0], counts[1, 1], counts[0, 1] = level, climb, level_as_climb
    return counts


def test_rows_by_log_by_folder_and_over_all() -> None:
    def log(name: str, folder: str, counts: np.ndarray) -> LogMotion:
        columns = ("four_alone", "four_filtered", "vertical", "slope")
        return LogMotion(name, folder, int(counts.sum()), dict.fromkeys(columns, counts))

    rows = motion_rows([log("a", "x", matrix(4, 0)), log("b", "x", matrix(0, 0, 4)), log("c", "y", matrix(2, 2))])
    by_name = {row.name: (row.windows, row.macro_f1["vertical"]) for row in rows}
    # All: level 6 right of 10, climb 2 right and 4 wrongly reported: F1 of level 12/16, of climb 4/8.
    assert by_name == {
        "a": (4, 1.0),
        "b": (4, 0.0),
        "c": (4, 1.0),
        "all of x": (8, pytest.approx(2 / 3)),
        "all logs, one confusion": (12, pytest.approx((0.75 + 0.5) / 2)),
        "mean over logs": (12, pytest.approx(2 / 3)),
    }
    assert [row.name for row in motion_rows([log("a", "x", matrix(1, 1))])] == ["a"]


def test_the_vertical_of_a_trained_edr_bundle_is_scored() -> None:
    bands = PRESETS["bands"]
    limits = LimitsSpec(centre=(0,) * 20, whiten=(1,) * 210, distance=9)
    trained = replace(bands, offset=(0.0,) * 20, inv_scale=(1.0,) * 20, limits=limits)
    log, at = flight(), times(2 * WINDOW_US)
    found, expected = reference_labels(log, *at, trained), reference_labels(log, *at, bands)
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    assert (found[1] >= 0).any()
