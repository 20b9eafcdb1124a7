"""The air along a vehicle's path: mean wind, gusts and their rotation."""

from __future__ import annotations

import math

import numpy as np

from px4_tinyml_sitl.turbulence import GustField, gust_field, intensities, lengths, roll_gust_ratio
from px4_tinyml_sitl.weather import CommandedWeather, Weather

_EVOLUTION_M_S = 0.5
"""Lowest speed through the gust field: at rest in still air gusts change, too."""
_GRID_HEIGHTS_M = (5.0, 40.0)
"""Heights for which the grid of the gust field is long and fine enough."""


class Air:
    """Wind and gusts at one vehicle.

    After slow(): w20 and mean, both m/s. After advance(): gust (NED, m/s) and rates (the air's rotation, rad/s).
    """

    def __init__(
        self, weather: Weather | CommandedWeather, span_m: float, distance_m: float, rng: np.random.Generator
    ) -> None:
        self._weather = weather
        self._span = span_m
        self._field: GustField = gust_field(rng, distance_m, span_m, _GRID_HEIGHTS_M)
        self._direction = (math.cos(weather.direction_rad), math.sin(weather.direction_rad))
        self._at_uv = self._at_w = self._at_roll = 0.0
        self._filtered = [0.0, 0.0]
        self.rates = (0.0, 0.0, 0.0)
        self.gust = (0.0, 0.0, 0.0)
        self.w20 = self.mean = 0.0
        self._sigma_uv = self._sigma_w = self._sigma_p = 0.0
        self._step = (1.0, 1.0, 1.0)

    def slow(self, seconds: float, height_m: float) -> None:
        """Follow time and height (50 Hz is enough)."""
        self.w20 = self._weather.w20_at(seconds, height_m)
        self.mean = self._weather.mean_wind_at(self.w20, height_m)
        self._sigma_uv, self._sigma_w = intensities(self.w20, height_m)
        length_uv, length_w = lengths(height_m)
        self._sigma_p = self._sigma_w * roll_gust_ratio(self._span, length_w)
        gusts = self._field
        self._step = (
            1.0 / (length_uv * gusts.step_uv), 1.0 / (length_w * gusts.step_w), 1.0 / (self._span * gusts.step_roll),
        )  # fmt: skip

    def advance(self, airspeed_m_s: float, dt_s: float) -> None:
        """Advance through the field and update `gust` (NED, m/s) and `rates` (rad/s)."""
        if self._sigma_w == 0.0:
            self.gust = self.rates = (0.0, 0.0, 0.0)
            return
        gusts, mask = self._field, self._field.mask
        way = max(airspeed_m_s, _EVOLUTION_M_S) * dt_s
        self._at_uv += way * self._step[0]
        self._at_w += way * self._step[1]
        self._at_roll += way * self._step[2]
        whole = int(self._at_uv)
        part, i = self._at_uv - whole, whole & mask
        u = self._sigma_uv * (gusts.u[i] + part * (gusts.u[i + 1] - gusts.u[i]))
        v = self._sigma_uv * (gusts.v[i] + part * (gusts.v[i + 1] - gusts.v[i]))
        whole = int(self._at_w)
        part, i = self._at_w - whole, whole & mask
        w = self._sigma_w * (gusts.w[i] + part * (gusts.w[i + 1] - gusts.w[i]))
        whole = int(self._at_roll)
        part, i = self._at_roll - whole, whole & mask
        roll = self._sigma_p * (gusts.roll[i] + part * (gusts.roll[i + 1] - gusts.roll[i]))
        # MIL-F-8785C Φ_q and Φ_r: the slope of w and v along the path, averaged over 4b/π and 3b/π.
        low = self._filtered
        reach_q, reach_r = 4.0 / math.pi * self._span, 3.0 / math.pi * self._span
        pitch, yaw = (w - low[0]) / reach_q, (v - low[1]) / reach_r
        low[0] += (w - low[0]) * (1.0 - math.exp(-way / reach_q))
        low[1] += (v - low[1]) * (1.0 - math.exp(-way / reach_r))
        north, east = self._direction
        self.gust = (u * north - v * east, u * east + v * north, w)
        self.rates = (roll, pitch, yaw)

    def wind(self) -> tuple[float, float, float]:
        """Mean wind and gust together, the velocity of the air, NED."""
        return (
            self.mean * self._direction[0] + self.gust[0], self.mean * self._direction[1] + self.gust[1], self.gust[2],
        )  # fmt: skip
