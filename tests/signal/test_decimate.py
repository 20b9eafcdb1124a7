"""Logs as a telemetry link carries them: decimated; the flight stays one flight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.build import build, collect
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.emit.shipped import PRETRAINED, PRETRAINED_50HZ, pretrained_bundle
from px4_tinyml.flight_log import FlightLog, ImuSeries
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.signal.decimate import thinned
from px4_tinyml.signal.spec import PRESETS, load_spec

SPEC = PRESETS["link50"]


PHASES = ("00", "40", "c0", "f0")
"""First byte of a log's hash, which says where its periods begin: at slots' beginnings, 5, 15 and 18.75 ms later."""


def log(rate_hz: float, seconds: float = 10.0) -> FlightLog:
    time = (1_000_003 + np.arange(int(seconds * rate_hz)) * 1e6 / rate_hz).astype(np.uint64)
    rng = np.random.default_rng(0)
    imu = ImuSeries(time, rng.normal(0, 1, (len(time), 3)), rng.normal(0, 1, (len(time), 3)))
    return FlightLog("a.ulg", "0" * 64, "ulog", "quad", imu, baro_before=np.arange(len(time)) // 20)


@pytest.mark.parametrize("rate_hz", [100.0, 188.0, 250.0])
def test_one_sample_as_it_is_in_each_period(rate_hz: float) -> None:
    whole = log(rate_hz)
    thin = thinned(whole, 50)
    assert thin is not None and thin.source == "a.ulg@50Hz" and thin.sha256 == whole.sha256
    assert len(thin.imu) == 500
    assert np.array_equal(np.diff(thin.imu.timestamp_us // 20_000), np.ones(499))
    at = np.searchsorted(whole.imu.timestamp_us, thin.imu.timestamp_us)
    assert np.array_equal(thin.imu.accel_m_s2, whole.imu.accel_m_s2[at])
    assert np.array_equal(thin.imu.gyro_rad_s, whole.imu.gyro_rad_s[at])
    assert np.array_equal(thin.baro_before, at // 20)


@pytest.mark.parametrize("phase", PHASES)
def test_periods_begin_where_the_hash_says(phase: str) -> None:
    whole = replace(log(200.0), sha256=phase + "0" * 62)
    thin = thinned(whole, 50)
    assert thin is not None and len(thin.imu) in (500, 501)
    into_us = (thin.imu.timestamp_us[1:] - np.uint64(int(phase, 16) * 20_000 // 256)) % 20_000
    assert into_us.max() < 5000, "the first sample of each"


@pytest.mark.parametrize("phase", PHASES)
def test_samples_near_the_ends_of_slots_are_classified(shared: Path, phase: str) -> None:
    """188 Hz do not divide into 50: with some phases slots have two samples or none, and the default spec gives up."""
    (whole,) = read_log(shared / "data" / "ulg" / "ascend_test.ulg")
    thin = thinned(replace(whole, sha256=phase + "0" * 62), 50)
    assert thin is not None
    counts = {}
    for name in (PRETRAINED, PRETRAINED_50HZ):
        done = ModelBundle.load(pretrained_bundle(name)).classifier().classify(thin)
        counts[name] = done.counts
        turbulence = (done.decisions["class_index"] == 3).mean() if len(done) else np.nan
        assert name == PRETRAINED or turbulence < 0.12
    assert counts[PRETRAINED_50HZ]["sparse"] == 0 and counts[PRETRAINED_50HZ]["decisions"] > 40
    assert (counts[PRETRAINED]["decisions"] < 40) == (phase == "f0")


def test_vibration_aliases() -> None:
    """A propeller's 151 Hz: next to nothing in slot means, a slow swing in what a 50 Hz link carries."""
    whole = log(200.0)
    time_s = whole.imu.timestamp_us / 1e6
    shaken = np.zeros((len(time_s), 3))
    shaken[:, 2] = np.sin(2 * np.pi * 151 * time_s)
    whole = replace(whole, imu=ImuSeries(whole.imu.timestamp_us, shaken, shaken))
    thin = thinned(whole, 50)
    assert thin is not None and thin.imu.accel_m_s2[:, 2].std() > 0.6
    assert whole.imu.accel_m_s2[:1996, 2].reshape(-1, 4).mean(axis=1).std() < 0.05


def test_the_bundle_for_thin_links_does_not_take_aliased_vibration_for_turbulence(shared: Path) -> None:
    """Two calm flights of real quadrotors; the other bundle shows what the thinning does."""
    called = {}
    for name in (PRETRAINED, PRETRAINED_50HZ):
        bundle = ModelBundle.load(pretrained_bundle(name))
        turbulence = bundle.spec.labels.index("turbulence")
        for file in ("frrs_gps_interference.ulg", "ascend_test.ulg"):
            (whole,) = read_log(shared / "data" / "ulg" / file)
            thin = thinned(replace(whole, sha256="4" * 64), 50)
            assert thin is not None
            for rate, recording in (("all", whole), ("50 Hz", thin)):
                said = bundle.classifier().classify(recording).decisions["class_index"]
                called[name, rate, file] = float((said == turbulence).mean())
    fooled = {key for key, share in called.items() if share > 0.5}
    fine = {key for key, share in called.items() if share < 0.12}
    assert fooled == {key for key in called if key[:2] == (PRETRAINED, "50 Hz")}, called
    assert fine == set(called) - fooled, called


def test_a_log_that_is_slow_already_is_taken_once() -> None:
    assert thinned(log(99.0), 50) is None


def test_both_recordings_of_a_flight_are_in_one_part(tmp_path: Path) -> None:
    from px4_tinyml.cli.main import main

    flights = tmp_path / "flights"
    assert (
        main(["fly", "--out", str(flights), "--flights", "4", "--airframe", "450", "--seconds", "30", "--seed", "1"])
        == 0
    )
    once = build(collect(find_logs([str(flights)]), SPEC, []), SPEC, tmp_path / "once", seed=0)
    command = ["dataset", str(flights), "--preset", "link50", "--thinned"]
    assert main([*command, "50", "--out", str(tmp_path / "twice")]) == 0
    twice = Dataset.load(tmp_path / "twice")
    part = {flight.source: flight.part for flight in twice.flights}
    assert len(part) == 8 and twice.about.split_by == "flight"
    assert all(part[name] == part[f"{name}@50Hz"] for name in part if "@" not in name)
    for whole, thin in zip(twice.flights[::2], twice.flights[1::2], strict=True):
        # The first sample that a link carries comes a little later, and with it perhaps the first window.
        assert sum(whole.labels.values()) - 1 <= sum(thin.labels.values()) <= sum(whole.labels.values())
        assert sum(thin.labels.values()) > 20
    assert [flight.labels for flight in once.flights] == [flight.labels for flight in twice.flights[::2]]
    x = [twice.flight(i).x for i in (0, 1)]
    assert np.diff(x[1][:, :, 2], axis=1).std() > 2 * np.diff(x[0][:, :, 2], axis=1).std(), "vibration aliases"
    for rate in ("0", "nan"):
        with pytest.raises(SystemExit, match="2"):
            main([*command, rate, "--out", str(tmp_path / "none")])
    assert main([*command, "51", "--out", str(tmp_path / "none")]) == 2


def test_what_a_bands_bundle_replaces_is_warned_about_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from px4_tinyml.cli.main import main

    end = "one bundle of preset bands works at every IMU rate from 25 Hz up (docs/live.md)"
    toml = tmp_path / "link.toml"
    toml.write_text('preset = "link50"\n')
    assert load_spec(toml) == SPEC
    ModelBundle.load(Path(PRETRAINED_50HZ))
    ModelBundle.load(pretrained_bundle(PRETRAINED_50HZ))  # a path, not the name
    command = ["dataset", str(tmp_path / "none.ulg"), "--out", str(tmp_path / "out"), "--preset", "link50"]
    assert main([*command, "--thinned", "50"]) == 1
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == [
        f"preset link50 is deprecated: {end}",
        f"bundle pretrained-50hz is deprecated: {end}",
        f"--thinned is deprecated: use --preset bands: {end}",
        f"preset link50 is deprecated: {end}",
    ]
