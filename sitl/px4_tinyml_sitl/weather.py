"""The air of one flight: mean wind and turbulence over time, drawn or given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from px4_tinyml_sitl.autopilot import OUTER_HZ, clip
from px4_tinyml_sitl.turbulence import edr_from_w20, mean_wind_factor, w20_from_edr

CALM_EDR, TURBULENT_EDR = 0.10, 0.20
"""At or below the first: calm; at or above the second: turbulence (the label scheme of the data set)."""
DRAWN_EDR = (0.25, 0.65)
"""Range of drawn turbulence: from MIL-F-8785C's light (15 kt: 0.25 at 20 m) to beyond its moderate (30 kt: 0.5)."""

_TYPICAL_HEIGHT_M = 10.0
_WIND_M_S2 = 1.0
"""Rate at which a commanded mean wind is reached."""

Condition = Literal["calm", "turbulent", "changing", "between"]
DRAWN_CONDITIONS: tuple[Condition, ...] = ("calm", "turbulent", "changing")


@dataclass(frozen=True)
class Weather:
    """edr_knots: (time from take-off in s, EDR) with straight lines between, or None when W20 is held instead.

    w20_m_s: the wind at 20 ft when that is held. wind_m_s: the least mean wind at 20 ft. The mean wind follows W20 up
    to wind_limit_m_s: small quadrotors are not flown in more, while its turbulence occurs in the lee of obstacles.
    """

    condition: Condition
    edr_knots: tuple[tuple[float, float], ...] | None
    w20_m_s: float
    wind_m_s: float
    wind_limit_m_s: float
    direction_rad: float

    def w20_at(self, seconds: float, height_m: float) -> float:
        """W20 in m/s at a time and height."""
        if self.edr_knots is None:
            return self.w20_m_s
        times = [t for t, _ in self.edr_knots]
        edr = float(np.interp(seconds, times, [e for _, e in self.edr_knots]))
        return w20_from_edr(edr, height_m)

    def mean_wind_at(self, w20_m_s: float, height_m: float) -> float:
        """Mean wind speed in m/s at a height."""
        wind = max(self.wind_m_s, w20_m_s) * mean_wind_factor(height_m)
        return min(wind, self.wind_limit_m_s)


def condition_name(edr: float | None, w20_m_s: float | None) -> Condition:
    """Name of a given EDR, or of a given W20 (from its EDR at a typical height)."""
    if edr is None:
        edr = edr_from_w20(w20_m_s or 0.0, _TYPICAL_HEIGHT_M)
    return "calm" if edr <= CALM_EDR else "turbulent" if edr >= TURBULENT_EDR else "between"


def make_weather(
    condition: Condition | None, edr: float | None, w20_m_s: float | None, seconds: float,
    wind_limit_m_s: float, rng: np.random.Generator,
) -> Weather:  # fmt: skip
    """Weather of a constant EDR or W20, else drawn for a condition."""
    direction = float(rng.uniform(-np.pi, np.pi))
    turbulent = float(rng.uniform(*DRAWN_EDR))
    calm = float(rng.uniform(0.015, CALM_EDR)) if rng.random() < 0.5 else 0.0
    wind = float(rng.uniform(1.0, 7.0)) if rng.random() < 0.4 else 0.0
    knots: tuple[tuple[float, float], ...] | None
    if w20_m_s is not None:
        return Weather(condition_name(None, w20_m_s), None, w20_m_s, 0.0, wind_limit_m_s, direction)
    if edr is not None:
        return Weather(condition_name(edr, None), ((0.0, edr),), 0.0, 0.0, wind_limit_m_s, direction)
    if condition == "turbulent":
        knots, wind = ((0.0, turbulent),), 0.0
    elif condition == "changing":
        # The mean wind is constant, so that it does not distinguish calm from turbulent air.
        wind = w20_from_edr(turbulent, _TYPICAL_HEIGHT_M)
        start = float(rng.uniform(0.25, 0.45)) * seconds
        end = float(rng.uniform(0.55, 0.8)) * seconds
        ramp = float(rng.uniform(1.0, 4.0))
        inside, outside = (turbulent, calm) if rng.random() < 0.5 else (calm, turbulent)
        knots = ((start, outside), (start + ramp, inside), (end, inside), (end + ramp, outside))
    else:
        knots = ((0.0, calm),)
    return Weather(condition or "calm", knots, 0.0, wind, wind_limit_m_s, direction)


class CommandedWeather:
    """Turbulence (EDR, m^⅔/s) and mean wind (m/s at 20 ft) as commanded.

    EDR ramps linearly to a new value within ramp_s. The mean wind is at least the W20 of the turbulence, as in
    MIL-F-8785C, but follows slowly and stays below the airframe's limit.
    """

    def __init__(self, direction_rad: float, limit_m_s: float, edr: float, wind_m_s: float) -> None:
        self.direction_rad = direction_rad
        self.edr = edr
        self.wind_m_s = wind_m_s
        self.ramp_s = 1.0
        self._limit_m_s = limit_m_s
        self._edr_now, self._slope = edr, 0.0
        self._wind_now = self._wind_target()

    def _wind_target(self) -> float:
        return max(self.wind_m_s, w20_from_edr(self.edr, _TYPICAL_HEIGHT_M))

    def command(self, edr: float, wind_m_s: float, ramp_s: float) -> None:
        """Set new targets."""
        if edr != self.edr:
            self._slope = abs(edr - self._edr_now) / max(ramp_s, 1.0 / OUTER_HZ)
        self.edr, self.wind_m_s = edr, wind_m_s

    def follow(self) -> None:
        """One period of OUTER_HZ."""
        self._edr_now += clip(self.edr - self._edr_now, self._slope / OUTER_HZ)
        self._wind_now += clip(self._wind_target() - self._wind_now, _WIND_M_S2 / OUTER_HZ)

    def w20_at(self, seconds: float, height_m: float) -> float:
        """W20 in m/s at a height, now."""
        return w20_from_edr(self._edr_now, height_m)

    def mean_wind_at(self, w20_m_s: float, height_m: float) -> float:
        """Mean wind in m/s at a height, now."""
        return min(self._wind_now * mean_wind_factor(height_m), self._limit_m_s)
