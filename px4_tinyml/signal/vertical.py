"""Vertical speed from barometer and accelerometer, in integers: step 4 of a `bands` spec (docs/signal_path.md).

Each filter estimates the direction of gravity (gyroscope and accelerometer) and, with the vertical acceleration,
height, vertical speed and accelerometer bias (third order). Two filters are restarted in turn at absolute slots, and
the older one reports: the speed of a window depends on the last 2·(restart_slots + mean_slots) slots only.

Functions take arrays over filters: those of a whole log run side by side.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F32, I64, Bool
from px4_tinyml.signal.slots import SlotStream
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import STANDARD_GRAVITY_M_S2

ALTITUDE_Q10 = 1024.0
"""Steps of altitude per metre."""
Q20, Q24 = 20, 24
MAX_INNOVATION = 1 << 26
"""64 m in Q20: a larger difference of barometer and filter counts as this one."""
GRAVITY_Q = 12
"""The gravity vector is in 2⁻¹² of an accelerometer step."""
SLOPE_SHRINK_Q10 = 853
"""5/6: the slope has more noise than the filter; without it calm air reads as climb and descend."""
UNKNOWN_MM_S = -32768
MAX_MM_S = 32767


@dataclass(frozen=True)
class Gains:
    """Integer constants of a spec, computed once in double precision."""

    gravity_q24: int
    turn_q24: int
    k1_q24: int
    k2_q24: int
    k3_q24: int
    dt_q24: int
    step_q20: int
    one_g: int
    slope_q20: int

    @classmethod
    def of(cls, spec: PipelineSpec) -> Gains:
        """The constants of a spec."""
        tau, dt, per_g, n = spec.vertical.tau_s, 1.0 / spec.rate_hz, spec.bands.accel_per_unit, spec.vertical.mean_slots
        q24 = float(1 << Q24)
        return cls(
            gravity_q24=round(spec.vertical.gravity_gain * dt * q24),
            turn_q24=round(dt / spec.bands.gyro_per_unit * q24),
            k1_q24=round(3.0 / tau * dt * q24),
            k2_q24=round(3.0 / tau**2 * dt * q24),
            k3_q24=round(1.0 / tau**3 * dt * q24),
            dt_q24=round(dt * q24),
            step_q20=round(float(1 << Q20) / per_g),
            one_g=round(STANDARD_GRAVITY_M_S2 * per_g),
            # Σ(2i − n + 1)·altitude to m/s in Q20: 6/(n(n² − 1)) per slot.
            slope_q20=round(6.0 / (n * (n * n - 1)) * spec.rate_hz / ALTITUDE_Q10 * (1 << 40)),
        )


def altitude_steps(altitude_m: F32) -> I64:
    """Altitude to steps of 1/1024 m."""
    return np.asarray(np.rint(altitude_m * np.float32(ALTITUDE_Q10)), np.int64)


def slope_q20(altitude: I64, gains: Gains) -> I64:
    """Least-squares slope of altitudes [.., mean_slots] in steps, m/s in Q20."""
    n = altitude.shape[-1]
    weight = 2 * np.arange(n) - (n - 1)
    total = ((altitude - altitude[..., -1:]) * weight).sum(axis=-1)
    return np.asarray((total * gains.slope_q20) >> Q20, np.int64)


@dataclass
class Filters:
    """State of filters side by side, int64 [F]. Altitude and bias relative to the start; Q20 of m, m/s, m/s²."""

    gravity: I64
    height: I64
    speed: I64
    bias: I64
    energy: I64
    age: I64
    origin: I64

    @classmethod
    def start(cls, altitude: I64, gains: Gains) -> Filters:
        """Filters that start after a slot. altitude[F, mean_slots]: steps up to this slot."""
        count, n = altitude.shape
        slope = slope_q20(altitude, gains)
        zero = np.zeros(count, np.int64)
        origin = altitude[:, -1]
        mean = ((altitude - origin[:, None]).sum(axis=1) << 10) // n
        return cls(
            gravity=np.zeros((count, 3), np.int64),
            height=mean + (slope * gains.dt_q24 * (n - 1) >> (Q24 + 1)),
            speed=slope,
            bias=zero,
            energy=zero.copy(),
            age=zero.copy(),
            origin=origin,
        )

    def keep(self, count: int) -> None:
        """Drop all but the first filters."""
        if count < len(self.age):
            for field in fields(self):
                setattr(self, field.name, getattr(self, field.name)[:count])

    def update(self, steps: I64, altitude: I64, stale: Bool, gains: Gains) -> None:
        """One slot. steps[F, 6]: int16 steps; altitude[F] in steps, not used where stale[F]."""
        up = self._vertical_acceleration(steps, gains)
        innovation = ((altitude - self.origin) << 10) - self.height
        innovation = np.where(stale, 0, np.clip(innovation, -MAX_INNOVATION, MAX_INNOVATION))
        self.bias = self.bias + (innovation * gains.k3_q24 >> Q24)
        self.speed = self.speed + (innovation * gains.k2_q24 >> Q24) + ((up + self.bias) * gains.dt_q24 >> Q24)
        self.height = self.height + (innovation * gains.k1_q24 >> Q24) + (self.speed * gains.dt_q24 >> Q24)
        self.energy = self.energy + (((innovation >> 10) ** 2 - self.energy) >> 8)
        self.age = self.age + 1

    def _vertical_acceleration(self, steps: I64, gains: Gains) -> I64:
        """Upward acceleration, m/s² in Q20, after the direction of gravity was updated."""
        force, rate, g = steps[:, :3], steps[:, 3:], self.gravity
        # The mean of the first slots, then an exponential one.
        gain = np.maximum(gains.gravity_q24, (1 << Q24) // (self.age + 1))[:, None]
        turned = np.roll(g, -1, axis=1) * np.roll(rate, -2, axis=1) - np.roll(g, -2, axis=1) * np.roll(rate, -1, axis=1)
        self.gravity = g + (turned * gains.turn_q24 >> Q24) + (((force << GRAVITY_Q) - g) * gain >> Q24)
        direction = self.gravity >> 9
        norm = np.floor(np.sqrt((direction**2).sum(axis=1).astype(np.float64))).astype(np.int64)
        along = (force * direction).sum(axis=1)
        quotient = np.abs(along) // np.maximum(norm, 1)
        return np.asarray((np.sign(along) * quotient - gains.one_g) * gains.step_q20, np.int64)


def reported_mm_s(speed_q20: NDArray[np.int64]) -> I64:
    """m/s in Q20 to mm/s, rounded down, clipped to what an int16 holds."""
    return np.asarray(np.clip(speed_q20 * 1000 >> Q20, -MAX_MM_S, MAX_MM_S), np.int64)


def speed_m_s(mm_s: I64) -> F32:
    """Reported speeds in m/s, NaN for UNKNOWN_MM_S."""
    return np.where(mm_s == UNKNOWN_MM_S, np.float32(np.nan), mm_s.astype(np.float32) / np.float32(1000.0))


def slope_m_s(stream: SlotStream, end: I64, baro_ok: Bool, spec: PipelineSpec) -> F32:
    """Slope of the barometer over the last mean_slots slots of windows, m/s up; NaN without a barometer.

    end[W]: row of the last slot of each; baro_ok[W].
    """
    if not spec.uses_baro or not len(end):
        return np.full(len(end), np.nan, np.float32)
    rows = end[:, None] + np.arange(1 - spec.vertical.mean_slots, 1)
    slope = slope_q20(altitude_steps(stream.altitude_m)[rows], Gains.of(spec))
    return np.where(baro_ok, speed_m_s(reported_mm_s(slope)), np.float32(np.nan))


def window_mm_s(steps: I64, stream: SlotStream, end: I64, spec: PipelineSpec, aliased: Bool | None = None) -> I64:
    """Vertical speed of each window that ends at a row of the stream, mm/s up; UNKNOWN_MM_S without a barometer.

    steps[S, 6]: int16 steps of the slots. aliased: windows whose accelerometer is not to be integrated.
    """
    n, gains = spec.vertical.mean_slots, Gains.of(spec)
    altitude = altitude_steps(stream.altitude_m)
    fresh = _all_of_last(~stream.stale, stream.segment, n)
    speed, energy, valid = _reported(steps, altitude, stream, fresh, spec, gains)
    total = np.concatenate([[0], np.cumsum(np.where(valid, speed, 0))])
    mean = (total[end + 1] - total[end + 1 - n]) // n
    heard = ~_all_of_last(stream.stale, stream.segment, n)[end]
    steady = _all_of_last(valid, stream.segment, n)[end] & heard & (energy[end] <= innovation_limit(spec))
    if aliased is not None:
        steady = steady & ~aliased
    slope = slope_q20(altitude[end[:, None] + np.arange(1 - n, 1)], gains)
    return _choose(steady, fresh[end], mean, slope)


def _choose(steady: Bool, fresh: Bool, mean: I64, slope: I64) -> I64:
    """mm/s of the filter where it is steady, else of the barometer's slope, shrunk, where that is known."""
    result = np.where(steady, reported_mm_s(mean), reported_mm_s(slope * SLOPE_SHRINK_Q10 >> 10))
    return np.asarray(np.where(steady | fresh, result, UNKNOWN_MM_S), np.int64)


def innovation_limit(spec: PipelineSpec) -> int:
    """Largest mean square of the innovation, in (m/1024)², at which the filter is reported."""
    return round((spec.vertical.innovation_m * ALTITUDE_Q10) ** 2)


def _all_of_last(good: Bool, segment: I64, n: int) -> Bool:
    """Whether a slot and the n − 1 before it are good and of one segment."""
    position = np.arange(len(good))
    fault = np.maximum.accumulate(np.where(good, -1, position)) if len(good) else position
    start = np.searchsorted(segment, segment)
    return np.asarray(position - np.maximum(fault, start - 1) >= n, np.bool_)


def is_due(which: int, slot: int, spec: PipelineSpec) -> bool:
    """Whether a filter is restarted after a slot."""
    turn, rest = divmod(slot + 1, spec.vertical.restart_slots)
    return rest == 0 and turn % 2 == which


def filter_spans(stream: SlotStream, fresh: Bool, spec: PipelineSpec) -> list[tuple[int, int, int]]:
    """(which, start row, end row) of every filter; its first update is the row after its start.

    At the end of a hop a filter that is due is dropped. Then a missing one starts, when the last mean_slots slots have
    a barometer.
    """
    spans: list[tuple[int, int, int]] = []
    running: list[int | None] = [None, None]
    hop_ends = np.flatnonzero((stream.index + 1) % spec.hop == 0)
    last_of_segment = np.searchsorted(stream.segment, stream.segment, side="right") - 1
    for row in hop_ends.tolist():
        for which, start in enumerate(running):
            over = start is not None and last_of_segment[start] < row
            if start is not None and (over or is_due(which, int(stream.index[row]), spec)):
                spans.append((which, start, min(row, int(last_of_segment[start]))))
                running[which] = None
            if running[which] is None and fresh[row]:
                running[which] = row
    spans += [(which, start, int(last_of_segment[start])) for which, start in enumerate(running) if start is not None]
    return spans


def _reported(
    steps: I64, altitude: I64, stream: SlotStream, fresh: Bool, spec: PipelineSpec, gains: Gains
) -> tuple[I64, I64, Bool]:
    """Speed (Q20), mean square innovation and validity of the older filter at each slot."""
    count, n = len(stream.index), spec.vertical.mean_slots
    speed, energy, age = np.zeros((2, count), np.int64), np.zeros((2, count), np.int64), np.full((2, count), -1)
    spans = sorted(filter_spans(stream, fresh, spec), key=lambda span: span[1] - span[2])  # the longest first
    which, start, end = np.array(spans, np.int64).reshape(-1, 3).T
    filters = Filters.start(altitude[start[:, None] + np.arange(1 - n, 1)], gains)
    for step in range(1, int((end - start).max(initial=0)) + 1):
        alive = int((end - start >= step).sum())
        filters.keep(alive)
        rows, side = start[:alive] + step, which[:alive]
        filters.update(steps[rows], altitude[rows], stream.stale[rows], gains)
        speed[side, rows], energy[side, rows], age[side, rows] = filters.speed, filters.energy, filters.age
    older = (age[1] > age[0]).astype(np.int64)
    at = np.arange(count)
    return speed[older, at], energy[older, at], age[older, at] >= n


class VerticalStream:
    """The same, slot by slot."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec, self._gains = spec, Gains.of(spec)
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        n = self._spec.vertical.mean_slots
        self._altitude, self._speed = deque[int](maxlen=n), deque[int](maxlen=n)
        self._stale, self._valid = deque[bool](maxlen=n), deque[bool](maxlen=n)
        self._energy = 0
        self._filters: list[Filters | None] = [None, None]

    def push(self, slot: int, steps: I64, altitude_m: np.float32, stale: bool) -> None:
        """One emitted slot. steps[6]: its int16 steps."""
        spec, n = self._spec, self._spec.vertical.mean_slots
        altitude = altitude_steps(np.array([altitude_m], np.float32))
        self._altitude.append(int(altitude[0]))
        self._stale.append(stale)
        running = [f for f in self._filters if f is not None]
        for each in running:
            each.update(steps[None], altitude, np.array([stale]), self._gains)
        older = max(running, key=lambda f: int(f.age[0]), default=None)
        self._speed.append(int(older.speed[0]) if older else 0)
        self._valid.append(older is not None and int(older.age[0]) >= n)
        self._energy = int(older.energy[0]) if older else 0
        if (slot + 1) % spec.hop:
            return
        for which in range(2):
            if is_due(which, slot, spec):
                self._filters[which] = None
            if self._filters[which] is None and self._fresh():
                self._filters[which] = Filters.start(np.array([self._altitude], np.int64), self._gains)

    def _fresh(self) -> bool:
        return len(self._stale) == self._stale.maxlen and not any(self._stale)

    def mm_s(self, aliased: bool) -> int:
        """Vertical speed of the window that ends with the newest slot."""
        n, altitude = self._spec.vertical.mean_slots, np.array(self._altitude, np.int64)
        heard = not all(self._stale) and not aliased
        steady = len(self._valid) == n and all(self._valid) and heard and self._energy <= innovation_limit(self._spec)
        speed = np.array(sum(s for s, v in zip(self._speed, self._valid, strict=True) if v) // n)
        chosen = _choose(np.array(steady), np.array(self._fresh()), speed, slope_q20(altitude, self._gains))
        return int(chosen)
