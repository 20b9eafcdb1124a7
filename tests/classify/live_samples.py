"""Samples for the tests of live: a small bundle, frames of vehicles, and what links do to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compiler"))  # models

from link_senders import ARDUPILOT, PX4, Vehicle, mavlink
from models import Builder
from reference_models import untrained

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import DecisionSpec, PipelineSpec

RECEIVED_US = 1_700_000_000_000_000
GRAVITY = 9.80665
WRAP_MS = 1 << 32


def small_spec() -> PipelineSpec:
    """Windows of 16 slots, one every 4, all channels; scales as a vehicle in rough air needs them."""
    return PipelineSpec(
        window=16, hop=4, max_repeated_slots=3, baro_stale_slots=15, baro_lag_slots=2,
        offset=(0.0,) * 7, inv_scale=(0.5, 0.5, 0.5, 2.0, 2.0, 2.0, 1.0),
        decision=DecisionSpec(smoothing_q8=200, enter=0.5, leave=0.4, hold_windows=1),
    )  # fmt: skip


def dense_model(spec: PipelineSpec, seed: int = 1) -> bytes:
    """A dense layer of random weights and a softmax: every input counts, and every class occurs."""
    rng = np.random.default_rng(seed)
    inputs, outputs = spec.window * len(spec.channels), len(spec.labels)
    b = Builder()
    source = b.tensor((1, inputs), 0.0157, 0)
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    hidden = b.tensor((1, outputs), 0.05, 0)
    operands = [source, b.constant(weights, [0.01] * outputs)]
    b.operator("FULLY_CONNECTED", operands, hidden, "FullyConnectedOptions", fusedActivationFunction=0)
    target = b.tensor((1, outputs), 1 / 256, -128)
    return b.finish(source, b.operator("SOFTMAX", [hidden], target, "SoftmaxOptions", beta=1.0))


def small_bundle(spec: PipelineSpec | None = None) -> ModelBundle:
    """A whole bundle around that model."""
    spec = spec or small_spec()
    model = dense_model(spec)
    time_us = np.arange(200, dtype=np.uint64) * np.uint64(10_000)
    imu = np.random.default_rng(2).normal(0, 1, (200, 6)).astype(np.float32)
    feed = Feed(time_us, imu, np.zeros(0, np.uint64), np.zeros(0, np.float32), np.zeros(200, np.int64))
    bundle = ModelBundle(spec=spec, model=model, float_model=b"none", manifest=untrained(spec.labels), golden={})
    return replace(bundle, golden=make_golden(bundle.classifier(), feed))


class Sender:
    """One component: packs messages into frames with sequence numbers."""

    m = mavlink

    def __init__(self, system: int, component: int = 1, version: int = 2) -> None:
        self._vehicle = Vehicle(system, component, version)

    def frame(self, message: Any, received_us: int = 0) -> Frame:
        return Frame(received_us, self._vehicle.pack(message), self._vehicle.version, message.get_msgId())

    def heartbeat(self, autopilot: int = PX4, armed: bool = True) -> Frame:
        return self.frame(self.m.MAVLink_heartbeat_message(2, autopilot, 128 * armed, 0, 4, 3))

    def highres(
        self, time_us: int, imu: Sequence[float], altitude_m: float, fields: int = 0x1FFF, id: int = 0
    ) -> Frame:
        values = (*imu, 0.2, 0.0, 0.4, 950.0, 0.0, altitude_m, 30.0, fields)
        return self.frame(self.m.MAVLink_highres_imu_message(time_us, *values, id=id))


def motion(rng: np.random.Generator, t_s: float) -> list[float]:
    """A sample of a vehicle in air that gets rough now and then."""
    rough = 0.2 + 2.0 * (np.sin(t_s / 3.0) > 0.3)
    accel, gyro = rng.normal(0, rough, 3), rng.normal(0, 0.3 * rough, 3)
    return [*(accel + np.array([0.0, 0.0, -GRAVITY])).tolist(), *gyro.tolist()]


def px4_flight(sender: Sender, rng: np.random.Generator, seconds: float, boot_us: int) -> Iterator[tuple[float, Frame]]:
    """PX4's ONBOARD stream as (time sent in s, frame): with fields not updated, a second IMU, a second barometer."""
    m = sender.m
    for i in range(int(seconds * 50)):
        t_s = i / 50
        now = boot_us + i * 20_000 + int(rng.integers(0, 500))
        altitude = 500.0 + 3.0 * np.sin(t_s)
        if i % 50 == 0:
            yield t_s, sender.heartbeat()
        if i % 25 == 0:
            yield t_s, sender.frame(m.MAVLink_scaled_pressure_message(now // 1000 % WRAP_MS, 955.0, 0.0, 2000))
        fields = 0x1FFF if rng.random() < 0.97 else int(rng.choice([0, 0x1C0, 0x3F, 0x0E07]))
        yield t_s, sender.highres(now, motion(rng, t_s), altitude, fields)
        if i % 10 == 3:
            yield t_s, sender.highres(now + 700, motion(rng, t_s), altitude, id=1)
        if i % 2:
            yield t_s, sender.frame(m.MAVLink_attitude_message(now // 1000 % WRAP_MS, 0, 0, 0, 0, 0, 0))


def ardupilot_flight(
    sender: Sender, rng: np.random.Generator, seconds: float, boot_us: int
) -> Iterator[tuple[float, Frame]]:
    """ArduPilot's streams: two IMUs in milli-g, pressure; now and then a value that no sensor reads."""
    m = sender.m
    for i in range(int(seconds * 50)):
        t_s = i / 50
        now = boot_us + i * 20_000
        if i % 50 == 7:
            yield t_s, sender.heartbeat(ARDUPILOT)
        values = np.array(motion(rng, t_s)) * ([1000 / GRAVITY] * 3 + [1000] * 3)
        raw = np.clip(values, -32000, 32000).astype(int).tolist()
        yield t_s, sender.frame(m.MAVLink_raw_imu_message(now, *raw, 0, 0, 0))
        yield t_s, sender.frame(m.MAVLink_scaled_imu2_message(now // 1000 % WRAP_MS, *raw, 0, 0, 0))
        if i % 5 == 0:
            hpa = 955.0 + float(np.sin(t_s)) if rng.random() < 0.98 else float("nan")
            yield t_s, sender.frame(m.MAVLink_scaled_pressure_message(now // 1000 % WRAP_MS, hpa, 0.0, 2000))


FLIGHTS = {"px4": px4_flight, "ardupilot": ardupilot_flight}


def delivered(
    sent: list[tuple[float, Frame]], rng: np.random.Generator, loss: float, duplicates: float, reordered: float
) -> list[Frame]:
    """Frames as a bad link delivers them, in the order of arrival, with the times of arrival."""
    arrivals: list[tuple[float, bytes, Frame]] = []
    for t_s, frame in sent:
        if rng.random() < loss:
            continue
        copies = 1 + (rng.random() < duplicates)
        for _ in range(copies):
            delay_s = rng.random() * 0.002
            if rng.random() < reordered:
                delay_s += float(rng.choice([0.03, 0.2, 1.5]))
            arrivals.append((t_s + delay_s, frame.data, frame))
    arrivals.sort(key=lambda arrival: arrival[0])
    return [Frame(RECEIVED_US + int(t_s * 1e6), data, f.version, f.message_id) for t_s, data, f in arrivals]


def clean_flight(sender: Sender, seconds: float) -> list[Frame]:
    """PX4's stream over a good link."""
    rng = np.random.default_rng(3)
    return delivered(list(px4_flight(sender, rng, seconds, 5_000_000)), rng, 0.0, 0.0, 0.0)
