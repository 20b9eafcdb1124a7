"""The `bands` signal path: integers against floating point, a log at once against sample by sample, finite memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries
from px4_tinyml.signal.air_decision import AIR_DECISION, EDR_UNIT, AirFilter, edr_e4, ln_q16
from px4_tinyml.signal.classifier import Classifier, Model
from px4_tinyml.signal.energies import ENERGY_PER_STEP2, energies, fft128, log2_q8, slot_steps
from px4_tinyml.signal.slots import Feed, feed, make_slots
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.signal.spec_tables import EdrSpec, LimitsSpec, VerticalSpec
from px4_tinyml.signal.streaming import NumpyPipeline
from px4_tinyml.signal.vertical import UNKNOWN_MM_S
from px4_tinyml.signal.windows import Reason, make_windows

BANDS = PRESETS["bands"]
QUICK = dataclasses.replace(BANDS, vertical=VerticalSpec(restart_slots=96, mean_slots=32))
"""Filters that restart often: a short feed shows several restarts."""


class EngineDouble:
    """A linear function of the int8 input, with outputs over the whole range."""

    def __init__(self, outputs: int) -> None:
        self._outputs = outputs

    def invoke(self, x: np.ndarray) -> np.ndarray:
        weights = np.arange(x.shape[1] * self._outputs).reshape(x.shape[1], self._outputs) % 7 - 3
        return np.clip(x.astype(np.int64) @ weights // 4, -128, 127).astype(np.int8)


def fitted(spec: PipelineSpec) -> PipelineSpec:
    n = spec.input_shape[1]
    limits = LimitsSpec(centre=(3,) * n, whiten=tuple([7] * (n * (n + 1) // 2)), distance=3_000_000)
    return dataclasses.replace(spec, offset=(30.0,) * n, inv_scale=(0.3,) * n, limits=limits)


def model(spec: PipelineSpec) -> Model:
    return Model(EngineDouble(spec.outputs), 0.04, 1, *((1 / 256, -128) if spec.output == "classes" else (0.03, 5)))


def flight(seed: int, seconds: float = 60.0, rate_hz: float = 90.0) -> FlightLog:
    """Hover with climbs, gusts, holes, a clock step, a NaN, a silent barometer and a spell on the ground."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate_hz)
    time = np.cumsum(rng.normal(1e6 / rate_hz, 1500.0, n)) + 7e6
    time[rng.integers(0, n, 4)] += 30_000
    time[n // 3 :] += 300_000
    time[2 * n // 3 :] -= 2_000_000
    t = np.arange(n) / rate_hz
    imu = rng.normal(0, [[0.3, 0.3, 0.5, 0.05, 0.05, 0.02]], (n, 6)) * np.exp(np.sin(t / 9))[:, None] * 2
    imu[:, 2] += -9.80665 - 0.6 * np.sin(t / 2)
    imu[:, 3] += np.where((t > 22) & (t < 34), 1.5 * np.sin(4.0 * t), 0.0)
    imu[n // 2, 3] = np.nan
    baro_time = time[::7]
    altitude = 300.0 + 2.4 * (1 - np.cos(t[::7] / 2)) + rng.normal(0, 0.2, len(baro_time))
    silent = (t[::7] > 0.8 * seconds) & (t[::7] < 0.85 * seconds)
    series = ImuSeries(time.astype(np.uint64), imu[:, :3].astype(np.float32), imu[:, 3:].astype(np.float32))
    baro = BaroSeries(baro_time[~silent].astype(np.uint64), altitude[~silent].astype(np.float32))
    return FlightLog("test", "0" * 64, "test", "test", series, baro, on_ground=t < 8.0)


def stream(events: Feed, spec: PipelineSpec) -> np.ndarray:
    pipeline, decisions, pushed = NumpyPipeline(spec, model(spec)), [], 0
    for i, time_us in enumerate(events.imu_time_us.tolist()):
        for k in range(pushed, int(events.baro_before[i])):
            pipeline.push_baro(int(events.baro_time_us[k]), float(events.baro_altitude_m[k]))
        pushed = int(events.baro_before[i])
        pipeline.push_ground(bool(events.on_ground[i]))
        decisions += [d.decision for d in pipeline.push_imu(time_us, events.imu[i])]
    return np.array(decisions, AIR_DECISION)


def test_fft_is_the_spectrum_over_128() -> None:
    rng = np.random.default_rng(1)
    re, im = rng.integers(-(2**28), 2**28, (2, 50, 128))
    found_re, found_im = fft128(re, im)
    expected = np.fft.fft(re + 1j * im) / 128
    assert np.abs(found_re - expected.real).max() < 8 and np.abs(found_im - expected.imag).max() < 8
    full = np.full((1, 128), 2**29 - 1)
    assert max(np.abs(fft128(full, full)[0]).max(), np.abs(fft128(full, -full)[1]).max()) < 2**31


def test_energies_are_band_rms() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, [[[0.5, 0.5, 0.5, 0.1, 0.1, 0.1]]], (40, 128, 6)) + np.array([0.3, -0.2, -9.8, 0.02, 0.0, 0.1])
    taper = np.hanning(129)[:-1]
    spectrum = np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * taper[None, :, None], axis=1)
    power = 2 * np.abs(spectrum) ** 2 / (128 * (taper**2).sum())
    hz = np.fft.rfftfreq(128, 1 / 25)
    found = energies(slot_steps(x.astype(np.float32), BANDS.bands), BANDS) / ENERGY_PER_STEP2
    for group, channels in enumerate(((0, 1), (2,), (3, 4), (5,))):
        per_unit = 256 if group < 2 else 2048
        for band, (low, high) in enumerate(BANDS.bands.edges_hz):
            expected = power[:, (hz >= low) & (hz < high)][:, :, channels].sum(axis=(1, 2))
            assert np.allclose(found[:, group, band] / per_unit**2, expected, rtol=0.01)


def test_log2_is_within_a_hundredth() -> None:
    value = np.concatenate([np.arange(1, 5000), 2 ** np.arange(62), 2 ** np.arange(1, 62) - 1])
    assert np.abs(log2_q8(value) / 256 - np.log2(value.astype(np.float64))).max() < 0.0125


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("output", ["edr", "classes"])
def test_vectorised_equals_streaming(seed: int, output: str) -> None:
    spec = fitted(dataclasses.replace(QUICK, output=output))
    events = feed(flight(seed), spec)
    whole = Classifier(spec, model(spec)).run(events)
    assert np.array_equal(whole.decisions, stream(events, spec))
    found = np.bitwise_or.reduce(whole.reasons)
    assert found & Reason.ON_GROUND and found & Reason.MANOEUVRING and found & Reason.BARO_STALE
    assert whole.counts["reset_gap"] and whole.counts["reset_backwards"] and whole.counts["reset_non_finite"]


def test_memory_ends_after_two_restarts() -> None:
    spec = fitted(dataclasses.replace(QUICK, output="edr"))
    log = flight(3, 90.0)
    events = feed(dataclasses.replace(log, on_ground=None), spec)
    whole = make_windows(make_slots(events, spec), spec)
    memory_s = (2 * spec.vertical.restart_slots + spec.vertical.mean_slots + spec.window) / spec.rate_hz
    checked = 0
    for start in range(0, len(events.imu_time_us) // 2, 531):
        late = Feed(
            events.imu_time_us[start:], events.imu[start:], events.baro_time_us, events.baro_altitude_m,
            events.baro_before[start:],
        )  # fmt: skip
        part = make_windows(make_slots(late, spec), spec)
        ends = {int(end): i for i, end in enumerate(part.end_us)}
        after = int(events.imu_time_us[start]) + memory_s * 1e6
        rows = [i for i, end in enumerate(whole.end_us.tolist()) if end in ends and end > after]
        for i in rows:
            j = ends[int(whole.end_us[i])]
            assert whole.vertical_mm_s[i] == part.vertical_mm_s[j]
            assert np.array_equal(whole.x[i], part.x[j]) and whole.reasons[i] == part.reasons[j]
        checked += len(rows)
    assert checked > 50


def test_vertical_speed_is_of_a_known_climb() -> None:
    rng, rate = np.random.default_rng(4), 50
    t = np.arange(60 * rate) / rate
    speed = np.where((t > 30) & (t < 45), 2.0 * np.minimum(np.minimum(t - 30, 45 - t), 1.0), 0.0)
    accel = np.gradient(speed, t)
    imu = rng.normal(0, [[0.2, 0.2, 0.2, 0.02, 0.02, 0.02]], (len(t), 6))
    imu[:, 2] -= 9.80665 + accel
    altitude = np.cumsum(speed) / rate + rng.normal(0, 0.3, len(t))
    us = (t * 1e6 + 5e6).astype(np.uint64)
    series = ImuSeries(us, imu[:, :3].astype(np.float32), imu[:, 3:].astype(np.float32))
    log = FlightLog("test", "0" * 64, "test", "test", series, BaroSeries(us, altitude.astype(np.float32)))
    raw = make_windows(make_slots(feed(log, BANDS), BANDS), BANDS)
    end_s = raw.end_us.astype(np.float64) / 1e6 - 5.0
    found = raw.vertical_mm_s / 1000.0
    assert np.abs(found[(end_s > 20) & (end_s < 30)]).max() < 0.3
    assert np.abs(found[(end_s > 35) & (end_s < 44)] - 2.0).max() < 0.3
    assert (raw.vertical_mm_s != UNKNOWN_MM_S).all()


def test_edr_curve_is_applied_between_its_points() -> None:
    spec = dataclasses.replace(BANDS, edr=EdrSpec(read=(0.05, 0.2, 0.8), true=(0.1, 0.3, 0.8)))
    for read, true in ((0.05, 0.1), (0.1, np.sqrt(0.1 * 0.3)), (0.2, 0.3), (0.4, np.sqrt(0.3 * 0.8)), (0.025, 0.05)):
        assert edr_e4(ln_q16(read), spec) * EDR_UNIT == pytest.approx(true, rel=0.02)


def test_hysteresis_and_silence() -> None:
    air = AirFilter(BANDS, 0.05, 0)
    quiet, rough = [round(np.log(0.05) / 0.05)], [round(np.log(0.4) / 0.05)]

    def label(decision: np.void) -> int:
        return int(decision["class_index"])

    assert label(air.update(quiet, 0, 0, True, 0, 0)) == 0
    assert label(air.update(rough, 0, 900, True, 0, 0)) == 1  # climb: the smoothed EDR is 0.14
    assert label(air.update(rough, 0, 900, True, 0, 0)) == 3
    assert label(air.update(quiet, int(Reason.MANOEUVRING), -900, True, 0, 0)) == -1
    assert label(air.update(rough, 0, 0, True, 0, 0)) == 3
    for _ in range(BANDS.edr.forget_windows):
        air.update(rough, int(Reason.ON_GROUND), 0, True, 0, 0)
    after = air.update(quiet, 0, -501, True, 0, 0)
    assert label(after) == 2 and after["flags"] & 4
