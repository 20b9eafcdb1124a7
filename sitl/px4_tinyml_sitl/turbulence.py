"""Atmospheric turbulence near the ground: MIL-F-8785C low altitude, von Kármán form.

Lengths and intensities are those of MIL-F-8785C section 3.7.3 (h in feet there, metres here):
σ_w = 0.1·W20, σ_u = σ_v = σ_w/(0.177+0.000823 h)^0.4, L_w = h, L_u = L_v = h/(0.177+0.000823 h)^1.2.
With them the inertial range of all three components has one and the same dissipation, EDR = ε^⅓ =
0.0893·W20·h^(−1/3) (h below 1000 ft, SI). The standard gives Dryden and von Kármán spectra and prefers the
second; only von Kármán spectra have the −5/3 range by which EDR is defined, so they are used.

Gusts are frozen in the air (Taylor): each component is a random function of the distance travelled through the
air in units of its own length, made once a flight with the exact spectrum by an inverse FFT. A vehicle in
hover passes them at the speed of the wind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from px4_tinyml.flight_log import F64
from px4_tinyml.units import M_PER_FT

EDR_FACTOR = 0.0893
"""EDR = EDR_FACTOR · W20 · h^(−1/3), SI."""

KOLMOGOROV_ACROSS = 4.0 / 3.0 * 0.49
"""α of the components across the path: S(k) = α·EDR²·k^(−5/3), one-sided, k in rad/m."""

MIN_HEIGHT_M = 3.0
"""The formulae start at 10 ft; below it the turbulence is that of this height."""

MAX_HEIGHT_M = 1000.0 * M_PER_FT


def _clamp(height_m: float) -> float:
    return min(max(height_m, MIN_HEIGHT_M), MAX_HEIGHT_M)


def edr_from_w20(w20_m_s: float, height_m: float) -> float:
    """EDR ε^⅓ in m^⅔/s at a height, from the wind at 20 ft."""
    return EDR_FACTOR * w20_m_s * float(_clamp(height_m) ** (-1.0 / 3.0))


def w20_from_edr(edr: float, height_m: float) -> float:
    """The wind at 20 ft, m/s, that gives an EDR at a height."""
    return edr * float(_clamp(height_m) ** (1.0 / 3.0)) / EDR_FACTOR


def intensities(w20_m_s: float, height_m: float) -> tuple[float, float]:
    """(σ_u = σ_v, σ_w) in m/s."""
    sigma_w = 0.1 * w20_m_s
    return sigma_w / (0.177 + 0.000823 * _clamp(height_m) / M_PER_FT) ** 0.4, sigma_w


def lengths(height_m: float) -> tuple[float, float]:
    """(L_u = L_v, L_w) in m."""
    height = _clamp(height_m)
    return height / (0.177 + 0.000823 * height / M_PER_FT) ** 1.2, height


def mean_wind_factor(height_m: float) -> float:
    """Mean wind at a height over the wind at 20 ft: the logarithmic profile with z0 = 0.15 ft, from 1 ft up."""
    return math.log(max(height_m / M_PER_FT, 1.0) / 0.15) / math.log(20.0 / 0.15)


def spectrum_u(k: F64) -> F64:
    """One-sided von Kármán spectrum of the component along the path, σ = L = 1, k in rad per length."""
    return 2.0 / np.pi * (1.0 + (1.339 * k) ** 2) ** (-5.0 / 6.0)


def spectrum_vw(k: F64) -> F64:
    """One-sided von Kármán spectrum of the components across the path, σ = L = 1."""
    x2 = (1.339 * k) ** 2
    return 1.0 / np.pi * (1.0 + 8.0 / 3.0 * x2) * (1.0 + x2) ** (-11.0 / 6.0)


def random_series(rng: np.random.Generator, n: int, step: float, spectrum: Callable[[F64], F64]) -> F64:
    """A periodic Gaussian series [n], zero mean, with a one-sided spectrum over rad per unit of the step."""
    k: F64 = np.asarray(2.0 * np.pi * np.fft.rfftfreq(n, step), dtype=np.float64)
    amplitude = 0.5 * np.sqrt(spectrum(k) * k[1])
    amplitude[0] = 0.0
    coefficients = amplitude * (rng.standard_normal(len(k)) + 1j * rng.standard_normal(len(k)))
    series: F64 = np.fft.irfft(coefficients, n) * n
    return series


@dataclass(frozen=True)
class FrameSize:
    """Size of a vehicle against eddies. diagonal_m: between opposite rotors. radius_m: of a rotor."""

    diagonal_m: float
    radius_m: float

    @property
    def span_m(self) -> float:
        """Across the rotors: the b of MIL-F-8785C."""
        return self.diagonal_m / math.sqrt(2.0) + self.radius_m


def spectrum_own(k: F64, frame: FrameSize, small_scale: float = 1.0) -> F64:
    """One-sided spectrum over k (rad/m) of the vertical gust that one rotor has for itself, EDR = 1: m²/s² per rad/m.

    α·k^(−5/3) of the inertial range, times the share that opposite rotors do not have in common, times the square of
    the average over the disc. Both shares are fits to isotropic frozen turbulence, whose vertical gust has a horizontal
    spectrum κ^(−8/3): two points at an angle θ to the path have the coherence cos(kd·cos θ)·M(kd·sin θ), with the
    Matérn function M of order 5/6, here averaged over θ; the disc averages by 2·J1(κR)/(κR).

    small_scale: amplitude of the eddies up to the size of a rotor, over that of the inertial range.
    """
    excess = (small_scale**2 - 1.0) * _own_power(k, frame.radius_m)
    disc = (1.0 + 0.34 * (k * frame.radius_m) ** (5.0 / 3.0)) ** -2.0
    spectrum: F64 = KOLMOGOROV_ACROSS * (_own_power(k, frame.diagonal_m) + excess) * disc
    return spectrum


def _own_power(k: F64, distance_m: float) -> F64:
    """k^(−5/3), times the share that two points at a distance do not have in common: flat below 1/distance."""
    x = (k * distance_m) ** (5.0 / 3.0)
    # At k = 0 the limit of (1 − e^(−0.7x))/x.
    power: F64 = np.where(x > 1e-9, -np.expm1(-0.7 * x) / np.maximum(x, 1e-9), 0.7) * distance_m ** (5.0 / 3.0)
    return power


@dataclass(frozen=True)
class GustField:
    """Unit gusts (σ = 1) as periodic functions of the distance through the air.

    u, v and w are sampled every step_uv, step_w lengths, own (spectrum_own, m/s at EDR 1) every step_own_m; each has
    mask + 2 values, the last is the first again. Plain lists: the simulation reads a few numbers per step, which is
    faster from lists than from arrays.
    """

    u: list[float]
    v: list[float]
    w: list[float]
    own: list[float]
    mask: int
    step_uv: float
    step_w: float
    step_own_m: float


def gust_field(
    rng: np.random.Generator,
    distance_m: float,
    frame: FrameSize,
    height_m: tuple[float, float],
    small_scale: float = 1.0,
) -> GustField:
    """Gusts for a path through the air between two heights; they repeat on a longer path.

    At the upper height the grid is a quarter of the span, finer than the average over the frame.
    """
    span_m = frame.span_m
    length_uv, length_w = lengths(height_m[1])
    step_uv, step_w = 0.25 * span_m / length_uv, 0.25 * span_m / length_w
    grid = 0.25 * span_m * _clamp(height_m[0]) / _clamp(height_m[1])
    n = 1 << max(10, math.ceil(math.log2(distance_m / grid)))

    def closed(step: float, spectrum: Callable[[F64], F64]) -> list[float]:
        series: list[float] = random_series(rng, n, step, spectrum).tolist()
        return [*series, series[0]]

    return GustField(
        u=closed(step_uv, spectrum_u), v=closed(step_uv, spectrum_vw), w=closed(step_w, spectrum_vw),
        own=closed(0.125 * span_m, lambda k: spectrum_own(k, frame, small_scale)), mask=n - 1,
        step_uv=step_uv, step_w=step_w, step_own_m=0.125 * span_m,
    )  # fmt: skip
