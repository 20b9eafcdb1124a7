"""The vectorised signal path against the document, on friendly and on hostile feeds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest

from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.slots import Feed, feed, make_slots
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.signal.windows import make_windows

SMALL = PipelineSpec(window=16, hop=4, max_repeated_slots=3, baro_stale_slots=8, baro_lag_slots=2)


F = np.float32


@dataclass
class Streaming:
    """Steps 1 to 3 of docs/signal_path.md written a second time: sample by sample, as the document reads."""

    spec: PipelineSpec
    baro: list[tuple[int, np.float32]] = field(default_factory=list)
    resets: dict[str, int] = field(default_factory=lambda: {"non_finite": 0, "backwards": 0, "gap": 0})
    emitted: list[tuple[int, list[np.float32], np.float32, bool, bool]] = field(default_factory=list)
    windows: list[tuple[int, list[tuple[int, list[np.float32], np.float32, bool, bool]]]] = field(default_factory=list)
    open_slot: int | None = None
    partial: bool = False
    last_time: int | None = None

    def push_baro(self, time_us: int, altitude: np.float32) -> None:
        if not np.isfinite(altitude) or abs(altitude) > F(100_000):
            return
        slot = self.spec.slot_of(time_us)
        if self.baro and slot < self.baro[-1][0]:
            self.baro.clear()
        if self.baro and slot == self.baro[-1][0]:
            self.baro[-1] = (slot, altitude)
        else:
            self.baro.append((slot, altitude))
        del self.baro[: -self.spec.baro_ring_slots]

    def push_imu(self, time_us: int, values: np.ndarray) -> None:
        if not (np.abs(values) <= F(10_000)).all():
            self.reset("non_finite")
            return
        if self.last_time is not None and time_us < self.last_time:
            self.reset("backwards")
        self.last_time = time_us
        slot = self.spec.slot_of(time_us)
        if self.open_slot is None:
            self.open(slot, partial=True)
        elif slot > self.open_slot:
            missing = slot - self.open_slot - 1
            if not self.partial:
                self.emit(self.open_slot, [s / F(self.count) for s in self.sums], False)
            if missing > self.spec.max_gap_slots:
                self.reset("gap")
                self.open(slot, partial=True)
            else:
                if not self.partial:
                    for step in range(missing):
                        self.emit(self.open_slot + 1 + step, self.emitted[-1][1], True)
                self.open(slot, partial=self.partial and missing > 0)
        self.sums = [a + b for a, b in zip(self.sums, values, strict=True)]
        self.count += 1

    def open(self, slot: int, partial: bool) -> None:
        self.open_slot, self.partial, self.sums, self.count = slot, partial, [F(0)] * 6, 0

    def reset(self, cause: str) -> None:
        self.resets[cause] += 1
        self.open_slot = None
        self.emitted = []

    def emit(self, slot: int, means: list[np.float32], repeated: bool) -> None:
        old = [entry for entry in self.baro if entry[0] <= slot - self.spec.baro_lag_slots]
        stale = not old or slot - old[-1][0] > self.spec.baro_stale_slots
        self.emitted.append((slot, means, F(0) if stale else old[-1][1], repeated, stale))
        if len(self.emitted) >= self.spec.window and (slot + 1) % self.spec.hop == 0:
            self.windows.append((slot, self.emitted[-self.spec.window :]))


def run_streaming(events: Feed, spec: PipelineSpec) -> Streaming:
    """Feed every event in order."""
    pipeline, done = Streaming(spec), 0
    for i, time_us in enumerate(events.imu_time_us.tolist()):
        for j in range(done, int(events.baro_before[i])):
            pipeline.push_baro(int(events.baro_time_us[j]), events.baro_altitude_m[j])
        done = int(events.baro_before[i])
        with np.errstate(all="ignore"):
            pipeline.push_imu(time_us, events.imu[i])
    return pipeline


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
    """Both implementations on one log; returns how many windows there were."""
    events = feed(log, spec)
    with np.errstate(all="ignore"):
        stream = make_slots(events, spec)
        got = make_windows(stream, spec)
    want = run_streaming(events, spec)
    assert stream.resets == want.resets
    assert [spec.slot_of(int(t)) - 1 for t in got.end_us] == [slot for slot, _ in want.windows]
    imu_columns = [i for i, c in enumerate(("ax", "ay", "az", "gx", "gy", "gz")) if c in spec.channels]
    for w, (_, content) in enumerate(want.windows):
        columns = [[row[1][i] for row in content] for i in imu_columns]
        if spec.imu_about_mean:
            columns = [mean_removed(column) for column in columns]
        stale = any(row[4] for row in content)
        assert bool(got.sparse[w]) == (sum(row[3] for row in content) > spec.max_repeated_slots)
        assert bool(got.baro_ok[w]) == (not (spec.uses_baro and stale))
        if spec.uses_baro:
            columns.append([np.float32(0)] * spec.window if stale else mean_removed([row[2] for row in content]))
        assert np.array_equal(got.x[w], np.array(columns, np.float32).T)
    return len(got)


@pytest.mark.parametrize("seed", range(24))
def test_vectorised_equals_the_document(seed: int) -> None:
    log = hostile_log(seed)
    specs = [SMALL, dataclasses.replace(SMALL, baro_lag_slots=0), PRESETS["default"]]
    specs += [dataclasses.replace(SMALL, rate_hz=119, hop=1, imu_about_mean=False)]
    specs += [dataclasses.replace(SMALL, max_gap_slots=0)]
    seen = [compare(log, spec) for spec in specs]
    assert len(seen) == len(specs)


def test_hostile_logs_reach_every_branch() -> None:
    total = {"non_finite": 0, "backwards": 0, "gap": 0}
    windows = sparse = stale = 0
    for seed in range(24):
        events = feed(hostile_log(seed), SMALL)
        with np.errstate(all="ignore"):
            stream = make_slots(events, SMALL)
            made = make_windows(stream, SMALL)
        windows, sparse, stale = (
            windows + len(made),
            sparse + made.sparse.sum(),
            stale + (~made.baro_ok).sum(),
        )
        total = {cause: total[cause] + n for cause, n in stream.resets.items()}
    assert min(total.values()) > 20 and windows > 500 and sparse > 20 and 50 < stale < windows - 50


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
    late = dataclasses.replace(
        log,
        imu=ImuSeries(*(a[skip:] for a in (log.imu.timestamp_us, log.imu.accel_m_s2, log.imu.gyro_rad_s))),
    )
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
    for log in (
        make_log([], np.zeros((0, 6))),
        make_log([5], np.zeros((1, 6))),
        make_log([5], [[np.nan] * 6]),
    ):
        for spec in (PRESETS["default"], PRESETS["imu6"]):
            events = feed(log, spec)
            assert len(make_windows(make_slots(events, spec), spec)) == 0


def test_rounding_rule() -> None:
    spec = dataclasses.replace(PRESETS["imu6"], offset=(0.0,) * 6, inv_scale=(1.0,) * 6, clip=100.0, window=8, hop=8)
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.5], np.float32)
    x = np.tile(values, (1, 8, 1))
    assert quantize(x, spec, 1.0, 0)[0, :6].tolist() == [0, 2, 2, 0, -2, 100]
    assert quantize(x, spec, 1.0, 100)[0, :6].tolist() == [100, 102, 102, 100, 98, 127]
