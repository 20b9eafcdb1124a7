"""The vectorised signal path against the streaming one, on friendly and on hostile feeds."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries
from px4_tinyml.signal.classifier import Model
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.slots import Feed, feed, make_slots
from px4_tinyml.signal.spec import IMU_CHANNELS, PRESETS, PipelineSpec
from px4_tinyml.signal.streaming import NumpyPipeline
from px4_tinyml.signal.windows import make_windows

SMALL = PipelineSpec(window=16, hop=4, max_repeated_slots=3, baro_stale_slots=8, baro_lag_slots=2)


class Recorder(NumpyPipeline):
    """The streaming pipeline, which keeps the rows of complete windows instead of classifying them."""

    def __init__(self, spec: PipelineSpec, events: Feed) -> None:
        super().__init__(spec, Model(None, 1.0, 0, 1 / 256, -128))
        self.windows: list[list] = []
        pushed = 0
        for time_us, imu, before in zip(events.imu_time_us.tolist(), events.imu, events.baro_before, strict=True):
            for i in range(pushed, int(before)):
                self.push_baro(int(events.baro_time_us[i]), events.baro_altitude_m[i])
            pushed = int(before)
            self.push_imu(time_us, imu)

    def _window(self) -> None:
        if len(self._rows) == self._spec.window and (self._rows[-1].slot + 1) % self._spec.hop == 0:
            self.windows.append(list(self._rows))


def make_log(time_us, imu, baro_time_us=(), altitude=(), complete=False) -> FlightLog:
    imu = np.asarray(imu, np.float32)
    baro = BaroSeries(np.asarray(baro_time_us, np.uint64), np.asarray(altitude, np.float32))
    series = ImuSeries(np.asarray(time_us, np.uint64), imu[:, :3], imu[:, 3:])
    return FlightLog("test", "0" * 64, "test", "test", series, baro if len(baro) else None, complete=complete)


def hostile_log(seed: int, samples: int = 1500) -> FlightLog:
    """Jitter, holes short and long, duplicates, clocks that jump back, NaN, a barometer that fails."""
    rng = np.random.default_rng(seed)
    rate = rng.choice([43.0, 50.0, 120.0, 250.0, 1000.0])
    step = rng.normal(1e6 / rate, rng.choice([0.0, 0.3]) * 1e6 / rate, samples)
    step[rng.random(samples) < 0.01] += rng.choice([25_000, 60_000, 90_000, 400_000])
    if seed % 3:
        step[rng.random(samples) < 0.003] -= rng.choice([200, 15_000, 3_000_000])
    time = np.maximum(np.cumsum(step) + 5e6 * rng.random() + 4e6, 0)
    time[rng.random(samples) < 0.05] = np.nan
    time = np.where(np.isnan(time), np.roll(np.nan_to_num(time), 1), time)
    imu = rng.normal(0, 5, (samples, 6)).astype(np.float32)
    bad = rng.random(samples) < (0.002 if seed % 2 else 0.0)
    imu[bad, rng.integers(0, 6, bad.sum())] = rng.choice([np.nan, np.inf, -np.inf])
    imu[rng.random(samples) < 0.001] = rng.choice([3e38, 1e4])
    keep = rng.random(samples) < 0.1
    baro_time = time[keep] + rng.normal(0, 3000, keep.sum()) * (seed % 4 == 0)
    altitude = np.cumsum(rng.normal(0, 0.3, keep.sum())) + rng.choice([0.0, 4000.0])
    altitude[rng.random(len(altitude)) < 0.02] = rng.choice([np.nan, 1e9])
    silent = (np.arange(len(altitude)) // 20) % 5 == 3
    return make_log(time, imu, np.maximum(baro_time, 0)[~silent], altitude[~silent])


def mean_removed(values: list[np.float32]) -> list[np.float32]:
    """A channel about its mean, as the document reads."""
    total = np.float32(0)
    for value in values:
        total = total + (value - values[0])
    mean = total / np.float32(len(values))
    return [(value - values[0]) - mean for value in values]


def compare(log: FlightLog, spec: PipelineSpec) -> int:
    """Both implementations on one log; returns the number of windows."""
    events = feed(log, spec)
    with np.errstate(all="ignore"):
        stream = make_slots(events, spec)
        got = make_windows(stream, spec)
        want = Recorder(spec, events)
    assert {f"reset_{cause}": n for cause, n in stream.resets.items()}.items() <= want.counts.items()
    assert [spec.slot_of(int(t)) - 1 for t in got.end_us] == [rows[-1].slot for rows in want.windows]
    imu_columns = [i for i, c in enumerate(IMU_CHANNELS) if c in spec.channels]
    for w, rows in enumerate(want.windows):
        columns = [[row.means[i] for row in rows] for i in imu_columns]
        if spec.imu_about_mean:
            columns = [mean_removed(column) for column in columns]
        stale = any(row.stale for row in rows)
        assert bool(got.sparse[w]) == (sum(row.repeated for row in rows) > spec.max_repeated_slots)
        assert bool(got.baro_ok[w]) == (not (spec.uses_baro and stale))
        if spec.uses_baro:
            columns.append([np.float32(0)] * spec.window if stale else mean_removed([row.altitude_m for row in rows]))
        assert np.array_equal(got.x[w], np.array(columns, np.float32).T)
    return len(got)


@pytest.mark.parametrize("seed", range(24))
def test_vectorised_equals_streaming(seed: int) -> None:
    for change in (
        {}, {"baro_lag_slots": 0}, {"rate_hz": 119, "hop": 1, "imu_about_mean": False}, {"max_gap_slots": 0},
    ):  # fmt: skip
        compare(hostile_log(seed), dataclasses.replace(SMALL, **change))
    compare(hostile_log(seed), PRESETS["default"])


def test_hostile_logs_reach_every_branch() -> None:
    total = Counter()
    with np.errstate(all="ignore"):
        for seed in range(24):
            stream = make_slots(feed(hostile_log(seed), SMALL), SMALL)
            made = make_windows(stream, SMALL)
            total.update(stream.resets, windows=len(made), sparse=made.sparse.sum(), stale=(~made.baro_ok).sum())
    windows, sparse, stale = (total.pop(name) for name in ("windows", "sparse", "stale"))
    assert len(total) == 3 and min(total.values()) > 20
    assert windows > 500 and sparse > 20 and 50 < stale < windows - 50


def steady(samples: int, rate: float = 250.0, start_us: int = 12_345_678) -> FlightLog:
    rng = np.random.default_rng(1)
    time = start_us + np.arange(samples) * 1e6 / rate
    baro = time[::12]
    return make_log(time, rng.normal(0, 1, (samples, 6)), baro, rng.normal(10, 1, len(baro)))


@pytest.mark.parametrize("skip", [1, 2, 37, 500, 1001])
def test_a_replay_that_starts_anywhere_gives_the_same_windows(skip: int) -> None:
    spec = PRESETS["default"]
    log = steady(3000)
    # The barometer is held, so it starts as early as the lag and the stale limit reach back.
    late = dataclasses.replace(log, imu=ImuSeries(*(a[skip:] for a in vars(log.imu).values())))
    whole, cut = (make_windows(make_slots(feed(x, spec), spec), spec) for x in (log, late))
    assert len(whole) > 5 and len(cut) >= len(whole) - skip // 160 - 1
    tail = len(cut)
    assert np.array_equal(whole.start_us[-tail:], cut.start_us) and np.array_equal(whole.x[-tail:], cut.x)


def test_a_closed_capture_is_one_whole_window() -> None:
    spec = PRESETS["arduino119"]
    time = [spec.slot_start_us(119 * 10 + i) + 4000 for i in range(119)]
    imu = np.arange(119 * 6).reshape(119, 6)
    got = make_windows(make_slots(feed(make_log(time, imu, complete=True), spec), spec), spec)
    assert len(got) == 1 and np.array_equal(got.x[0], imu)


def test_no_samples_give_no_windows() -> None:
    for log in (make_log([], np.zeros((0, 6))), make_log([5], np.zeros((1, 6))), make_log([5], [[np.nan] * 6])):
        for spec in (PRESETS["default"], PRESETS["imu6"]):
            assert len(make_windows(make_slots(feed(log, spec), spec), spec)) == 0


def test_rounding_rule() -> None:
    spec = dataclasses.replace(PRESETS["imu6"], offset=(0.0,) * 6, inv_scale=(1.0,) * 6, clip=100.0, window=8, hop=8)
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.5], np.float32)
    x = np.tile(values, (1, 8, 1))
    assert quantize(x, spec, 1.0, 0)[0, :6].tolist() == [0, 2, 2, 0, -2, 100]
    assert quantize(x, spec, 1.0, 100)[0, :6].tolist() == [100, 102, 102, 100, 98, 127]
