"""The air along a vehicle's path: mean wind, gusts, and what each rotor has of them."""

from __future__ import annotations

import math

import numpy as np

from px4_tinyml_sitl.turbulence import FrameSize, GustField, edr_from_w20, gust_field, intensities, lengths
from px4_tinyml_sitl.weather import CommandedWeather, Weather

_EVOLUTION_M_S = 0.5
"""Lowest speed through the gust field: at rest in still air gusts change, too."""
_GRID_HEIGHTS_M = (5.0, 40.0)
"""Heights for which the grid of the gust field is long and fine enough."""


class Air:
    """Wind and gusts at one vehicle.

    After slow(): w20 and mean, both m/s. After advance(): gust at the centre (NED, m/s), at_rotors (what the vertical
    gust at each rotor has more, m/s down) and yaw_rate (rotation of the air, rad/s).

    Rotors share the eddies that are larger than the frame; of the smaller ones each has its own (turbulence.py).
    small_scale: of eddies up to the size of a rotor, for air that has more of them than the standard's.
    """

    def __init__(
        self,
        weather: Weather | CommandedWeather,
        frame: FrameSize,
        distance_m: float,
        rng: np.random.Generator,
        small_scale: float = 1.0,
    ) -> None:
        self._weather = weather
        self._frame = frame
        self._field: GustField = gust_field(rng, distance_m, frame, _GRID_HEIGHTS_M, small_scale)
        self._direction = (math.cos(weather.direction_rad), math.sin(weather.direction_rad))
        self._at_uv = self._at_w = self._at_own = 0.0
        self._filtered = [0.0, 0.0]
        self.gust = (0.0, 0.0, 0.0)
        self.at_rotors = (0.0, 0.0, 0.0, 0.0)
        self.yaw_rate = 0.0
        self.w20 = self.mean = 0.0
        self._sigma_uv = self._sigma_w = self._edr = 0.0
        self._step = (1.0, 1.0, 1.0)

    def slow(self, seconds: float, height_m: float) -> None:
        """Follow time and height (50 Hz is enough)."""
        self.w20 = self._weather.w20_at(seconds, height_m)
        self.mean = self._weather.mean_wind_at(self.w20, height_m)
        self._sigma_uv, self._sigma_w = intensities(self.w20, height_m)
        length_uv, length_w = lengths(height_m)
        self._edr = edr_from_w20(self.w20, height_m)
        gusts = self._field
        self._step = (1.0 / (length_uv * gusts.step_uv), 1.0 / (length_w * gusts.step_w), 1.0 / gusts.step_own_m)

    def advance(self, airspeed_m_s: float, dt_s: float) -> None:
        """Advance through the field and update `gust`, `at_rotors` and `yaw_rate`."""
        if self._sigma_w == 0.0:
            self.gust, self.at_rotors, self.yaw_rate = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), 0.0
            return
        gusts, mask = self._field, self._field.mask
        way = max(airspeed_m_s, _EVOLUTION_M_S) * dt_s
        self._at_uv += way * self._step[0]
        self._at_w += way * self._step[1]
        self._at_own += way * self._step[2]
        whole = int(self._at_uv)
        part, i = self._at_uv - whole, whole & mask
        u = self._sigma_uv * (gusts.u[i] + part * (gusts.u[i + 1] - gusts.u[i]))
        v = self._sigma_uv * (gusts.v[i] + part * (gusts.v[i + 1] - gusts.v[i]))
        whole = int(self._at_w)
        part, i = self._at_w - whole, whole & mask
        w = self._sigma_w * (gusts.w[i] + part * (gusts.w[i + 1] - gusts.w[i]))
        # What all rotors have in common has half of its power at k·d = 1, as in spectrum_own; the rest is theirs alone.
        # Φ_r of MIL-F-8785C: the slope of v along the path, averaged over 3b/π.
        low, reach_w, reach_r = self._filtered, self._frame.diagonal_m, 3.0 / math.pi * self._frame.span_m
        small, slope = w - low[0], (v - low[1]) / reach_r
        low[0] += small * (1.0 - math.exp(-way / reach_w))
        low[1] += (v - low[1]) * (1.0 - math.exp(-way / reach_r))
        whole = int(self._at_own)
        part, edr, own, quarter = self._at_own - whole, self._edr, gusts.own, (mask + 1) // 4
        i, j, k, m = whole & mask, (whole + quarter) & mask, (whole + 2 * quarter) & mask, (whole - quarter) & mask
        self.at_rotors = (
            edr * (own[i] + part * (own[i + 1] - own[i])) - small,
            edr * (own[j] + part * (own[j + 1] - own[j])) - small,
            edr * (own[k] + part * (own[k + 1] - own[k])) - small,
            edr * (own[m] + part * (own[m + 1] - own[m])) - small,
        )
        north, east = self._direction
        self.gust = (u * north - v * east, u * east + v * north, w)
        self.yaw_rate = slope

    def wind(self) -> tuple[float, float, float]:
        """Mean wind and gust together, the velocity of the air, NED."""
        return (
            self.mean * self._direction[0] + self.gust[0], self.mean * self._direction[1] + self.gust[1], self.gust[2],
        )  # fmt: skip
