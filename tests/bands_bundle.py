"""A bundle of spec version 2 that was never trained, and a flight that shows every part of its decisions."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent / "compiler"))  # models
from models import Builder
from reference_models import untrained

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.signal.spec_tables import EdrSpec

CENTRE, PER_LOG2 = 30.0, 0.3
CLIMB_M_S = 1.5


def bands_spec() -> PipelineSpec:
    """The preset, fitted; the curve doubles the EDR that the network reads."""
    bands = PRESETS["bands"]
    n = bands.input_shape[1]
    return dataclasses.replace(
        bands, offset=(CENTRE,) * n, inv_scale=(PER_LOG2,) * n, edr=EdrSpec(read=(0.05, 0.5), true=(0.1, 1.0))
    )


def bands_bundle(spec: PipelineSpec | None = None) -> ModelBundle:
    """The network's output is ln of an EDR in proportion to the geometric mean of all band RMS."""
    spec = spec or bands_spec()
    n = spec.input_shape[1]
    b = Builder()
    in_scale, weight = 0.045, 0.5 * np.log(2.0) / PER_LOG2 / n
    source = b.tensor((1, n), in_scale, 0)
    target = b.tensor((1, 1), 0.03, 50)
    weights = b.constant(np.full((1, n), 100, np.int8), [weight / 100])
    bias = b.constant(np.array([round(-3.9 / (in_scale * weight / 100))], np.int32), [in_scale * weight / 100])
    b.operator("FULLY_CONNECTED", [source, weights, bias], target, "FullyConnectedOptions", fusedActivationFunction=0)
    model = b.finish(source, target)
    return ModelBundle(spec=spec, model=model, float_model=b"none", manifest=untrained(spec.labels), golden={})


def air_flight(rate_hz: float = 200.0) -> FlightLog:
    """On the ground until 15 s, calm until 40 s, a climb until 52 s, rough air from 65 s to 90 s."""
    rng = np.random.default_rng(5)
    t = np.arange(int(90.0 * rate_hz)) / rate_hz
    climb = np.where((t > 40.0) & (t < 52.0), CLIMB_M_S * np.minimum(np.minimum(t - 40.0, 52.0 - t), 1.0), 0.0)
    gust = np.where(t > 65.0, 8.0, 1.0)[:, None]
    waves = sum(np.sin(2 * np.pi * f * t[:, None] + np.arange(6) * f) / f for f in (0.6, 1.4, 2.6, 4.4, 7.0))
    imu = gust * (rng.normal(0, 1.0, (len(t), 6)) + waves) * np.array([0.05, 0.05, 0.05, 0.01, 0.01, 0.01])
    imu[:, 2] -= 9.80665 + np.gradient(climb, t)
    altitude = 100.0 + np.cumsum(climb) / rate_hz + rng.normal(0, 0.1, len(t))
    us = np.rint(t * 1e6 + 5e6).astype(np.uint64)
    series = ImuSeries(us, imu[:, :3].astype(np.float32), imu[:, 3:].astype(np.float32))
    baro = BaroSeries(us[::8], altitude[::8].astype(np.float32))
    return FlightLog("air", "0" * 64, "test", "test", series, baro, on_ground=t < 15.0)
