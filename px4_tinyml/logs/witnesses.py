"""Where a vertical speed is contradicted by barometer and GPS velocity.

A short window only bounds gross errors (wash and pressure errors move a barometer by metres), so witnesses are compared
over SPAN_S, and over the whole flight. A reference is contradicted when every witness that is known there disagrees:
where one agrees, the other witness is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F64, BaroSeries, Bool
from px4_tinyml.logs.checks import backward_steps
from px4_tinyml.units import US_PER_S

SPAN_S = 10.0
HALF_US = int(SPAN_S * US_PER_S / 2)
COVERAGE = 0.8
"""A mean over SPAN_S needs this share of its time and of its samples, and MIN_SAMPLES."""
MIN_SAMPLES = 5
BOTH_DISAGREE_M_S = 0.5
"""Limit of a mean over SPAN_S where two witnesses are known: the least speed that is labelled climb or descend."""
ONE_DISAGREES_M_S = 0.75
"""The same for a single witness. Barometers of good real flights reach 0.6 m/s (strong vibration)."""
FLIGHT_S = 30.0
"""A flight shorter than this is too short for a bias or a correlation."""
MAX_BIAS_M_S = 0.2
"""Largest mean difference over a flight. Good real flights stay below 0.1 m/s, of barometer and GPS alike."""
MOVING_M_S = 0.4
MIN_CORRELATION = 0.5
"""Least correlation of the means over SPAN_S, where those of the witness vary by MOVING_M_S (standard deviation)."""


@dataclass(frozen=True)
class Contradiction:
    """where[N]: samples of the reference that are contradicted; why: text for a warning, "" where none is."""

    where: Bool
    why: str


def contradiction(
    time_us: NDArray[np.int64],
    down_m_s: F64,
    flying: Bool,
    baro: BaroSeries | None,
    gps: tuple[NDArray[np.int64], F64] | None,
) -> Contradiction:
    """Samples of a vertical speed (N times in µs, m/s down, NaN where unknown) that its witnesses contradict.

    flying[N]: not known to be on the ground; only these count for the whole flight. gps: times and m/s down.
    """
    nothing = Contradiction(np.zeros(len(time_us), np.bool_), "")
    if len(backward_steps(time_us)) or not flying.any():
        return nothing
    mean = _means(time_us, down_m_s, time_us)
    witnesses = {
        "the barometer": None if baro is None else _slopes(baro, time_us),
        "the GPS velocity": None if gps is None else _means(*gps, time_us),
    }
    errors = {name: mean - w for name, w in witnesses.items() if w is not None and np.isfinite(mean - w).any()}
    if not errors:
        return nothing
    names = " and ".join(errors)
    verb = "disagree" if len(errors) > 1 else "disagrees"
    wrong = [_wrong_flight(e[flying], mean[flying], time_us[flying]) for e in errors.values()]
    known = [w for w in wrong if w is not None]
    if known and all(known):
        return Contradiction(np.ones(len(time_us), np.bool_), f"{names} {verb} over the whole flight")
    apart = np.array([np.abs(e) for e in errors.values()])
    number = np.isfinite(apart).sum(axis=0)
    limit = np.where(number > 1, BOTH_DISAGREE_M_S, ONE_DISAGREES_M_S)
    least = np.where(np.isfinite(apart), apart, np.inf).min(axis=0)
    return Contradiction((number > 0) & (least > limit), f"{names} {verb} over {SPAN_S:.0f} s")


def _wrong_flight(error: F64, mean: F64, time_us: NDArray[np.int64]) -> bool | None:
    """Whether a witness disagrees over the flight by bias or correlation; None when it is known too shortly."""
    known = np.isfinite(error)
    step_s = np.median(np.diff(time_us)) / US_PER_S if len(time_us) > 1 else 0.0
    if known.sum() * step_s < FLIGHT_S:
        return None
    witness = mean[known] - error[known]
    if abs(float(error[known].mean())) > MAX_BIAS_M_S:
        return True
    if witness.std() < MOVING_M_S:
        return False
    moving = mean[known].std() > 0.0
    return not moving or float(np.corrcoef(mean[known], witness)[0, 1]) < MIN_CORRELATION


def _means(time_us: NDArray[np.int64], values: F64, at_us: NDArray[np.int64]) -> F64:
    """Mean of the finite values within SPAN_S around each time; NaN where too few are known."""
    finite = np.isfinite(values)
    t, v = time_us[finite], values[finite]
    if not len(t) or len(backward_steps(time_us)):
        return np.full(len(at_us), np.nan)
    total = _window(time_us, at_us)[2]
    first, last, number = _window(t, at_us)
    covered = (t[np.maximum(last - 1, 0)] - t[np.minimum(first, len(t) - 1)]) / US_PER_S
    known = (number >= MIN_SAMPLES) & (number >= COVERAGE * total) & (covered >= COVERAGE * SPAN_S)
    known &= _inside(time_us, at_us)
    sums = np.concatenate([[0.0], np.cumsum(v)])
    return np.where(known, (sums[last] - sums[first]) / np.maximum(number, 1), np.nan)


def _slopes(baro: BaroSeries, at_us: NDArray[np.int64]) -> F64:
    """Vertical speed (down, m/s) by the altitudes at both ends of SPAN_S; NaN where unknown, or the altitude froze."""
    t, altitude = baro.timestamp_us.astype(np.int64), baro.altitude_m.astype(np.float64)
    if len(backward_steps(t)):
        return np.full(len(at_us), np.nan)
    first, last, number = _window(t, at_us)
    changes = np.concatenate([[0], np.cumsum(np.diff(altitude, prepend=altitude[:1]) != 0)])
    moved = changes[last] - changes[np.minimum(first + 1, last)]
    slope = (np.interp(at_us - HALF_US, t, altitude) - np.interp(at_us + HALF_US, t, altitude)) / SPAN_S
    return np.where(_inside(t, at_us) & (number >= MIN_SAMPLES) & (moved > 0), slope, np.nan)


def _window(
    time_us: NDArray[np.int64], at_us: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """First and end index, and number, of the samples within SPAN_S around each time."""
    first = np.searchsorted(time_us, at_us - HALF_US)
    last = np.searchsorted(time_us, at_us + HALF_US, side="right")
    return first, last, last - first


def _inside(time_us: NDArray[np.int64], at_us: NDArray[np.int64]) -> Bool:
    """Whether SPAN_S around each time is within a series."""
    return np.asarray((at_us - HALF_US >= time_us[0]) & (at_us + HALF_US <= time_us[-1]))
