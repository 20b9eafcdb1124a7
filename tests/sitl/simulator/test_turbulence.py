"""The gusts against MIL-F-8785C and against the definition of EDR."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from px4_tinyml.flight_log import F64
from px4_tinyml.units import M_PER_FT, M_S_PER_KT
from px4_tinyml_sitl import turbulence as t
from px4_tinyml_sitl.air import Air
from px4_tinyml_sitl.weather import Weather

FRAME = t.FrameSize(diagonal_m=0.45, radius_m=0.127)
DT_S = 0.0025
SPEED_M_S = 8.0
HEIGHT_M = 10.0


def weather(edr: float) -> Weather:
    return Weather("turbulent", ((0.0, edr),), 0.0, 0.0, 30.0, 0.0)


def gusts(seed: int, edr: float, height_m: float, seconds: float, frame: t.FrameSize = FRAME) -> tuple[F64, F64]:
    """(gust u, v, w [n, 3], w at the rotors [n, 4]), m/s, of a vehicle that hovers in a wind of SPEED_M_S."""
    air = Air(weather(edr), frame, SPEED_M_S * seconds, np.random.default_rng(seed))
    air.slow(0.0, height_m)
    velocity, rotors = [], []
    for _ in range(int(seconds / DT_S)):
        air.advance(SPEED_M_S, DT_S)
        velocity.append(air.gust)
        rotors.append([air.gust[2] + own for own in air.at_rotors])
    return np.array(velocity), np.array(rotors)


def spectra(series: F64) -> tuple[F64, F64]:
    """(frequency in Hz, transforms [f, C] scaled to a one-sided density when squared)."""
    n, window = len(series), np.hanning(len(series))
    scale = math.sqrt(2.0 * DT_S / float(np.sum(window**2)))
    return np.fft.rfftfreq(n, DT_S), scale * np.fft.rfft(series * window[:, None], axis=0)


def test_formulae_at_their_reference_points() -> None:
    thousand_feet = 1000.0 * M_PER_FT
    # At 1000 ft the turbulence is isotropic with L = 1000 ft (MIL-F-8785C).
    assert t.intensities(30.0 * M_S_PER_KT, thousand_feet) == pytest.approx((1.5433, 1.5433), rel=1e-4)
    assert t.lengths(thousand_feet) == pytest.approx((thousand_feet, thousand_feet))
    sigma_u, sigma_w = t.intensities(10.0, 20.0 * M_PER_FT)
    assert sigma_w == pytest.approx(1.0)
    assert sigma_u == pytest.approx(1.0 / (0.177 + 0.000823 * 20.0) ** 0.4)
    assert t.lengths(20.0 * M_PER_FT)[1] == pytest.approx(20.0 * M_PER_FT)
    assert t.mean_wind_factor(20.0 * M_PER_FT) == pytest.approx(1.0)


@pytest.mark.parametrize("height_m", [3.0, 10.0, 40.0, 120.0])
def test_edr_of_the_inertial_range_is_the_edr_of_the_label(height_m: float) -> None:
    """ε from the −5/3 part of each spectrum, with Kolmogorov's α = 0.49 along and 4/3·0.49 across."""
    w20 = 7.0
    sigma_u, sigma_w = t.intensities(w20, height_m)
    length_u, length_w = t.lengths(height_m)
    k = np.array([1000.0])
    for sigma, length, spectrum, alpha in (
        (sigma_u, length_u, t.spectrum_u, 0.49),
        (sigma_u, length_u, t.spectrum_vw, 4.0 / 3.0 * 0.49),
        (sigma_w, length_w, t.spectrum_vw, 4.0 / 3.0 * 0.49),
    ):
        density = sigma**2 * length * float(spectrum(k)[0])
        edr = math.sqrt(density * float(k[0] / length) ** (5.0 / 3.0) / alpha)
        assert edr == pytest.approx(t.edr_from_w20(w20, height_m), rel=0.01)
    assert t.w20_from_edr(t.edr_from_w20(w20, height_m), height_m) == pytest.approx(w20)


@pytest.mark.parametrize("spectrum", [t.spectrum_u, t.spectrum_vw])
def test_unit_series_have_unit_variance(spectrum: object) -> None:
    """Over 8000 lengths the variance of a sample has a standard error of about √(2/4000) = 2 %."""
    series = t.random_series(np.random.default_rng(1), 1 << 19, 1.0 / 64.0, spectrum)  # type: ignore[arg-type]
    assert series.mean() == pytest.approx(0.0, abs=1e-9)
    # The grid ends at k = 64π, above which the spectrum has (1.339·64π)^(−2/3)·… = 2 to 3 % of the variance.
    assert series.var() == pytest.approx(0.98, abs=0.06)


def test_sigma_of_the_gusts_is_that_of_the_formula() -> None:
    """Each record holds about 60 s·8 m/s/(2·L) independent values, L_u = 68 m and L_w = 10 m at this height."""
    edr, seeds = 0.3, range(40)
    sigma_u, sigma_w = t.intensities(t.w20_from_edr(edr, HEIGHT_M), HEIGHT_M)
    power = np.zeros(3)
    for seed in seeds:
        velocity, _ = gusts(seed, edr, HEIGHT_M, 60.0)
        power += np.mean(velocity**2, axis=0) / len(seeds)
    u, v, w = np.sqrt(power)
    # 40 records: 140 independent values of u and v, 960 of w: 3σ of a standard deviation is 18 % and 7 %.
    assert u == pytest.approx(sigma_u, rel=0.18)
    assert v == pytest.approx(sigma_u, rel=0.18)
    assert w == pytest.approx(sigma_w, rel=0.07)


@pytest.mark.parametrize("edr", [0.1, 0.3, 0.6])
def test_spectrum_of_the_gusts_in_hover_has_the_edr(edr: float) -> None:
    """−5/3 and ε from 1 to 6 Hz. 12 records of 40 s hold 2400 estimates there: 3σ of EDR (half of the power) is 3 %."""
    power = 0.0
    for seed in range(12):
        frequency, transform = spectra(gusts(seed, edr, HEIGHT_M, 40.0)[0])
        power = power + np.abs(transform) ** 2 / 12.0
    inside = (frequency >= 1.0) & (frequency <= 6.0)
    power = power[inside]
    # Taylor: S(f) = α·ε^⅔·(V/2π)^⅔·f^(−5/3)
    alpha = 0.49 * np.array([1.0, 4.0 / 3.0, 4.0 / 3.0])
    scale = alpha * (SPEED_M_S / (2.0 * math.pi)) ** (2.0 / 3.0)
    measured = np.sqrt(np.mean(power * frequency[inside, None] ** (5.0 / 3.0), axis=0) / scale)
    # Linear interpolation between grid points takes up to 3 % at 6 Hz; the outer scale adds as much to u at 1 Hz.
    assert measured == pytest.approx(edr, rel=0.08)
    slope = np.polyfit(np.log(frequency[inside]), np.log(power.sum(axis=1)), 1)[0]
    assert slope == pytest.approx(-5.0 / 3.0, abs=0.2)


def test_every_rotor_is_in_the_same_turbulence_and_shares_its_large_eddies() -> None:
    """Each has the spectrum of the inertial range; opposite rotors agree below k·d = 1 and do not above."""
    edr, small = 0.3, t.FrameSize(0.45, 0.01)
    power, cross = 0.0, 0.0
    for seed in range(12):
        frequency, transform = spectra(gusts(seed, edr, HEIGHT_M, 40.0, small)[1])
        power = power + np.abs(transform) ** 2 / 12.0
        cross = cross + np.real(transform[:, 0] * np.conj(transform[:, 1])) / 12.0
    inside = (frequency >= 0.5) & (frequency <= 12.0)
    scale = 4.0 / 3.0 * 0.49 * (SPEED_M_S / (2.0 * math.pi)) ** (2.0 / 3.0)
    measured = np.sqrt(np.mean(power[inside] * frequency[inside, None] ** (5.0 / 3.0), axis=0) / scale)
    # What is in common passes a first-order filter, what is not has the fit's share: together 8 % from one.
    assert measured == pytest.approx(edr, rel=0.1)
    kd = 2.0 * math.pi * frequency / SPEED_M_S * small.diagonal_m
    for low, high, least, most in ((0.1, 0.3, 0.85, 1.0), (0.8, 1.2, 0.35, 0.65), (4.0, 8.0, -0.1, 0.1)):
        band = (kd >= low) & (kd < high)
        assert least < cross[band].sum() / power[band].mean(axis=1).sum() < most


def test_the_spectrum_of_a_rotors_own_gust_is_that_of_isotropic_turbulence() -> None:
    """Against the integrals that its two shares are fits of."""
    across = np.sinh(np.linspace(-12.0, 12.0, 40_001))
    theta = 2.0 * np.pi * (np.arange(720) + 0.5) / 720.0
    for k in (0.3, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0):
        x = np.abs(k * FRAME.diagonal_m * np.sin(theta))
        matern = 2.0 ** (1.0 / 6.0) / special.gamma(5.0 / 6.0) * x ** (5.0 / 6.0) * special.kv(5.0 / 6.0, x)
        apart = 1.0 - np.mean(np.cos(k * FRAME.diagonal_m * np.cos(theta)) * matern)
        kappa = np.sqrt(1.0 + across**2)
        weight = kappa ** (-8.0 / 3.0) * np.gradient(across)
        reach = kappa * k * FRAME.radius_m
        disc = np.sum(weight * (2.0 * special.j1(reach) / reach) ** 2) / np.sum(weight)
        exact = 4.0 / 3.0 * 0.49 * k ** (-5.0 / 3.0) * apart * disc
        assert math.sqrt(t.spectrum_own(np.array([k]), FRAME)[0]) == pytest.approx(math.sqrt(exact), rel=0.13)
    assert float(t.spectrum_own(np.array([0.0]), FRAME)[0]) == pytest.approx(
        float(t.spectrum_own(np.array([1e-3]), FRAME)[0]), rel=1e-3
    )


def test_more_small_eddies_leave_the_large_ones_alone() -> None:
    low, high = (t.spectrum_own(np.array([0.2, 8.0]), FRAME, scale) for scale in (1.0, 5.0))
    rise = np.sqrt(high / low)
    assert rise[0] < 2.3 and rise[1] > 3.5


def test_without_turbulence_gusts_are_zero() -> None:
    velocity, rotors = gusts(3, 0.0, HEIGHT_M, 1.0)
    assert not velocity.any()
    assert not rotors.any()


def test_gusts_follow_a_change_of_edr() -> None:
    """Onset of turbulence: the same field, stronger."""
    air = Air(
        Weather("changing", ((10.0, 0.05), (12.0, 0.4)), 0.0, 0.0, 30.0, 0.0), FRAME, 500.0, np.random.default_rng(2)
    )
    air.slow(5.0, HEIGHT_M)
    before = air.w20
    air.slow(20.0, HEIGHT_M)
    assert t.edr_from_w20(before, HEIGHT_M) == pytest.approx(0.05)
    assert t.edr_from_w20(air.w20, HEIGHT_M) == pytest.approx(0.4)
