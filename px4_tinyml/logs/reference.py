"""ReferenceSeries from a log's vertical speed, land detector, arming state and true turbulence.

A vertical speed is trusted only while its estimator is valid by its own flags, was not reset by much, and agrees with
the barometer or the GPS velocity (witnesses.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F64, BaroSeries, Bool, ReferenceSeries
from px4_tinyml.logs.checks import backward_steps, checked_times, count, hold, seconds
from px4_tinyml.logs.witnesses import contradiction
from px4_tinyml.units import US_PER_S

MAX_VERTICAL_SPEED_M_S = 100.0
BARO_SPAN_S = 6.0
BARO_DISAGREEMENT_M_S = 2.5
"""Largest mean difference over BARO_SPAN_S that propeller wash and pressure errors explain: good real flights stay
below 2.4 m/s (the strongest manoeuvres), diverged estimators reach 5 to 500."""
RESET_SPEED_M_S = 2.0
RESET_HEIGHT_M = 5.0
RESET_BEFORE_S = 7.0
RESET_AFTER_S = 10.0
"""After a reset of this size the estimator was wrong before and settles slowly."""
MOST = 0.5
"""A vertical speed that is contradicted for more than this share of the flight is not used at all."""
AIRBORNE_HEIGHT_M = 2.0
"""Without a land detector: armed and this far from the height of arming is airborne."""


@dataclass
class Signal:
    """One quantity as logged. place[N]: its order among other signals (file offset, or time in µs)."""

    place: NDArray[Any]
    values: NDArray[Any]


@dataclass
class Velocity:
    """Vertical speed as logged: NED down, m/s.

    untrusted: spans (µs) that the estimator marks as invalid. gps: the vertical speed that a GPS receiver measured
    (place: time in µs; down, m/s). truth: of a simulation, that no sensor contradicts.
    """

    source: str
    time_us: NDArray[Any]
    down_m_s: F64
    place: NDArray[Any]
    untrusted: list[tuple[float, float]] = field(default_factory=list)
    gps: Signal | None = None
    truth: bool = False


def _baro_error_m_s(time_us: NDArray[np.int64], down_m_s: F64, baro: BaroSeries) -> F64:
    """Mean of velocity minus barometer slope over BARO_SPAN_S around each sample (0 where unknown)."""
    t = time_us / US_PER_S
    tb = baro.timestamp_us.astype(np.float64) / US_PER_S
    if len(t) < 3 or len(tb) < 3 or (np.diff(t) < 0).any() or (np.diff(tb) < 0).any():
        return np.zeros(len(t))
    v = np.nan_to_num(down_m_s)
    step = np.clip(np.diff(t), 0.0, 1.0)
    down = np.concatenate([[0.0], np.cumsum(0.5 * (v[1:] + v[:-1]) * step)])
    half = BARO_SPAN_S / 2
    start, end = np.maximum(t - half, max(t[0], tb[0])), np.minimum(t + half, min(t[-1], tb[-1]))
    by_speed = np.interp(end, t, down) - np.interp(start, t, down)
    by_baro = np.interp(start, tb, baro.altitude_m) - np.interp(end, tb, baro.altitude_m)
    known = (end - start) > half
    return np.where(known, (by_speed - by_baro) / BARO_SPAN_S, 0.0)


def _inside(time_us: NDArray[np.int64], spans: list[tuple[float, float]]) -> Bool:
    inside: Bool = np.zeros(len(time_us), dtype=np.bool_)
    for start, end in spans:
        inside |= (time_us >= start) & (time_us < end)
    return inside


def _widen(bad: Bool, time_us: NDArray[np.int64], by_s: float) -> Bool:
    """True within by_s of a bad sample."""
    if not bad.any() or len(backward_steps(time_us)):
        return bad
    at = time_us[bad]
    reach = int(by_s * US_PER_S)
    first = np.searchsorted(at, time_us - reach)
    last = np.searchsorted(at, time_us + reach, side="right")
    return np.asarray(last > first)


def _trusted(
    velocity: Velocity, time_us: NDArray[np.int64], flying: Bool, baro: BaroSeries | None, warnings: list[str]
) -> F64:
    """The vertical speed, NaN where it is not trusted. Warns about these stretches."""
    down = velocity.down_m_s.astype(np.float64)
    with np.errstate(invalid="ignore"):
        too_fast = np.abs(down) > MAX_VERTICAL_SPEED_M_S
    if too_fast.any():
        warnings.append(
            f"{count(int(too_fast.sum()), 'vertical speed')} of {velocity.source} above "
            f"{MAX_VERTICAL_SPEED_M_S:.0f} m/s: not used"
        )
    down[too_fast] = np.nan
    reset = _inside(time_us, velocity.untrusted)
    disagrees = np.zeros(len(down), dtype=np.bool_)
    if baro is not None:
        disagrees = np.abs(_baro_error_m_s(time_us, down, baro)) > BARO_DISAGREEMENT_M_S
        disagrees = _widen(disagrees, time_us, BARO_SPAN_S / 2)
    baro_why = f"the barometer disagrees over {BARO_SPAN_S:.0f} s"
    why = [text for text, there in (("its estimator was reset", reset), (baro_why, disagrees)) if there.any()]
    if not velocity.truth:
        believed = np.where(reset | disagrees, np.nan, down)
        found = contradiction(time_us, believed, flying, baro, _gps(velocity.gps, warnings))
        why += [found.why] if found.where.any() else []
        disagrees = disagrees | found.where
        known = disagrees[flying & np.isfinite(down)]
        if MOST * len(known) < known.sum() < len(known):
            disagrees, why = np.ones_like(disagrees), [*why, "that is most of the flight"]
    bad = (reset | disagrees) & np.isfinite(down)
    if bad.any():
        first = time_us[int(np.flatnonzero(bad)[0])]
        warnings.append(
            f"vertical speed of {velocity.source} not trusted for {bad.mean():.0%} of the log, from "
            f"{seconds(first)} ({(first - time_us[0]) / US_PER_S:.1f} s in): {'; '.join(why)}"
        )
    down[reset | disagrees] = np.nan
    return down


def _gps(gps: Signal | None, warnings: list[str]) -> tuple[NDArray[np.int64], F64] | None:
    """Checked times and vertical speeds of a GPS receiver."""
    if gps is None or not len(gps.place):
        return None
    times, keep = checked_times(gps.place, "GPS", warnings)
    return times[keep], gps.values[keep].astype(np.float64)


def reference_series(
    velocity: Velocity | None,
    base: Signal,
    baro: BaroSeries | None,
    held: Mapping[str, Signal],
    warnings: list[str],
) -> ReferenceSeries | None:
    """All references on the time base of the vertical speed; None for a log without any.

    held: "airborne", "armed" (1, 0, -1), "edr_m23_s", "wind_speed_m_s" as logged.
    base: times (µs, as values) for logs without a vertical speed; every speed is NaN then.
    """
    if velocity is None or not len(velocity.time_us):
        if not held:
            return None
        velocity = Velocity("none", base.values, np.full(len(base.values), np.nan), base.place)
    times, keep = checked_times(velocity.time_us, velocity.source, warnings)
    velocity = replace(velocity, time_us=times[keep], down_m_s=velocity.down_m_s[keep], place=velocity.place[keep])
    times = times[keep]
    back = backward_steps(times)
    if len(back):
        warnings.append(f"clock of {velocity.source} runs backwards {count(len(back), 'time')}")

    place = velocity.place

    def at(name: str, unknown: float) -> NDArray[Any]:
        signal = held.get(name)
        if signal is None or not len(signal.place):
            return np.full(len(times), unknown)
        return hold(place, signal.place, signal.values, unknown)

    armed, airborne = at("armed", -1), at("airborne", -1)
    if "airborne" not in held and (armed >= 0).any():
        airborne = _airborne_by_height(times, armed, baro)
        if (airborne == 1).any():
            warnings.append(
                f"no land detector: airborne means armed and over {AIRBORNE_HEIGHT_M:.0f} m from the height of arming"
            )
    return ReferenceSeries(
        timestamp_us=times.astype(np.uint64),
        velocity_down_m_s=_trusted(velocity, times, airborne != 0, baro, warnings).astype(np.float32),
        airborne=airborne,
        armed=armed,
        edr_m23_s=at("edr_m23_s", np.nan),
        wind_speed_m_s=at("wind_speed_m_s", np.nan),
    )


def _airborne_by_height(time_us: NDArray[np.int64], armed: NDArray[Any], baro: BaroSeries | None) -> NDArray[Any]:
    """1 where armed and high, 0 where disarmed, -1 where armed and low (taking off, or hovering low)."""
    airborne = np.where(armed == 0, 0, -1)
    if baro is None or len(backward_steps(baro.timestamp_us)) or not (armed == 1).any():
        return airborne
    height = hold(time_us, baro.timestamp_us.astype(np.int64), baro.altitude_m, baro.altitude_m[0])
    start = height[int(np.flatnonzero(armed == 1)[0])]
    airborne[(armed == 1) & (np.abs(height - start) > AIRBORNE_HEIGHT_M)] = 1
    return airborne
