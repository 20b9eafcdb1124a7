"""Cost of the whole classifier per sample and per second: slots, windows, quantization, model, decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.base import PathCost
from px4_tinyml.targets.cortex_m.counting import I64, clock
from px4_tinyml.targets.cortex_m.run import COUNTING, run_image
from px4_tinyml.targets.host.run import encode_feed
from px4_tinyml.units import US_PER_S

IMU_HZ = (50, 200, 250)
BARO_HZ = 25
HOPS = 16
PROCESSORS_HZ = {
    "STM32F4 168 MHz": 168_000_000,
    "STM32F7 216 MHz": 216_000_000,
    "STM32H7 480 MHz": 480_000_000,
    "nRF52840 64 MHz": 64_000_000,
}


def rates(spec: PipelineSpec) -> list[int]:
    """IMU rates to measure: at least one sample a slot."""
    return sorted({spec.rate_hz, *(rate for rate in IMU_HZ if rate > spec.rate_hz)})


def path_cost(image: Path, spec: PipelineSpec, cpu: str, imu_hz: int) -> PathCost:
    """Run the image "path" on a steady feed."""
    events = _steady_feed(spec, imu_hz)
    files = run_image(image, cpu, {"feed": encode_feed(events)}, ["ticks"], COUNTING)
    ticks = np.frombuffer(files["ticks"], "<u4").reshape(-1, 3)
    total, called = clock(cpu).instructions(ticks[:, 2]), ticks[:, 0] > 0
    model = np.zeros_like(total)
    model[called] = clock(cpu).instructions(ticks[called, 1]) - clock(cpu).instructions(ticks[called, 0])

    imu_at = np.arange(len(events.imu)) + events.baro_before
    at = np.arange(len(total))
    is_imu = np.isin(at, imu_at)
    slots = np.array([spec.slot_of(int(t)) for t in events.imu_time_us])
    closes = np.isin(at, imu_at[1:][np.diff(slots) > 0])
    # From the first decision to the last one: a whole number of hops.
    first, *_, last = np.flatnonzero(called)
    steady = (at > first) & (at <= last)
    per_second = total[steady].sum() * spec.rate_hz / (spec.hop * (called.sum() - 1))
    return PathCost(
        imu_hz=imu_hz,
        sample=_mean(total[steady & is_imu & ~closes]),
        slot=_mean(total[steady & closes & ~called]),
        window=round((total - model)[called].mean()),
        model=round(model[called].mean()),
        baro=_mean(total[steady & ~is_imu]),
        per_second=round(per_second),
        share={name: round(float(100 * per_second / hz), 4) for name, hz in PROCESSORS_HZ.items()},
    )


def _mean(counts: I64) -> int | None:
    return round(counts.mean()) if len(counts) else None


def _steady_feed(spec: PipelineSpec, imu_hz: int) -> Feed:
    """A calm hover without faults, long enough for HOPS windows (seeded)."""
    rng = np.random.default_rng(0)
    seconds = (spec.window + spec.hop * (HOPS + 1)) / spec.rate_hz
    start_us = 10 * US_PER_S
    imu_us = start_us + np.arange(int(seconds * imu_hz)) * US_PER_S // imu_hz
    imu = rng.normal(0.0, 0.3, (len(imu_us), 6)) + np.array([0, 0, -9.81, 0, 0, 0])
    baro_us = start_us + np.arange(int(seconds * BARO_HZ) if spec.uses_baro else 0) * US_PER_S // BARO_HZ
    altitude = 488.0 + rng.normal(0.0, 0.1, len(baro_us))
    return Feed(
        imu_us.astype(np.uint64),
        imu.astype(np.float32),
        baro_us.astype(np.uint64),
        altitude.astype(np.float32),
        np.searchsorted(baro_us, imu_us, side="right"),
    )
