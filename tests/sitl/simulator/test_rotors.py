"""The rotors against theory."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from px4_tinyml.errors import SpecError
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.airframes import LIFT_SLOPE, VehicleModel, airframe, draw_vehicle
from px4_tinyml_sitl.catalog import AIRFRAMES
from px4_tinyml_sitl.rotors import Rotors

ALL = list(AIRFRAMES)


def vehicle(name: str, seed: int = 0) -> VehicleModel:
    """A drawn vehicle without body drag: the forces are the rotors'."""
    drawn = draw_vehicle(airframe(name), np.random.default_rng(seed))
    return dataclasses.replace(drawn, drag_area_m2=(0.0, 0.0, 0.0))


def wrench(craft: VehicleModel, **motion: float) -> tuple[float, ...]:
    """Force and moment at hover speed after the inflow has settled."""
    rotors = Rotors(craft, 0.0025)
    rotors.speed = [craft.rotor.hover_rad_s] * 4
    rotors.inflow = [craft.rotor.hover_inflow_m_s] * 4
    arguments = dict.fromkeys("uvwpqr", 0.0) | motion
    for _ in range(400):
        result = rotors.wrench(**arguments, lift=[1.0] * 4)
    return result


def test_airframes_cover_a_range_of_masses() -> None:
    masses = [a.mass_kg for a in AIRFRAMES.values()]
    assert len(masses) >= 8
    assert min(masses) < 0.7
    assert max(masses) > 6.0
    with pytest.raises(SpecError, match="'747' is not known; expected one of"):
        airframe("747")


@pytest.mark.parametrize("name", ALL)
def test_hover_thrust_is_the_weight_without_moments(name: str) -> None:
    v = vehicle(name)
    fx, fy, fz, mx, my, mz = wrench(v)
    assert fz == pytest.approx(-v.mass_kg * G, rel=1e-6)
    assert (fx, fy, mx, my, mz) == pytest.approx((0.0,) * 5, abs=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_heave_damping_is_padfields(name: str) -> None:
    v = vehicle(name)
    step = 0.02
    slope = (wrench(v, w=step)[2] - wrench(v, w=-step)[2]) / (2.0 * step) / v.mass_kg
    assert slope == pytest.approx(v.rotor.heave_damping(v.mass_kg), rel=0.02)
    # The same from the book's symbols: Z_w = −2·a0·A_b·ρ·ΩR·λ0 / ((16·λ0 + a0·s)·M_a), four rotors.
    tip = v.rotor.hover_rad_s * v.rotor.radius_m
    inflow = v.rotor.hover_inflow_m_s / tip
    disc = math.pi * v.rotor.radius_m**2
    solidity = v.rotor.k_inflow * 4.0 / (v.rho_kg_m3 * disc * v.rotor.radius_m * LIFT_SLOPE)
    book = -2.0 * LIFT_SLOPE * solidity * disc * v.rho_kg_m3 * tip * inflow / (16.0 * inflow + LIFT_SLOPE * solidity)
    assert slope == pytest.approx(4.0 * book / v.mass_kg, rel=0.02)


def test_heave_damping_of_a_kit_quad_is_about_minus_0_6() -> None:
    slopes = [v.rotor.heave_damping(v.mass_kg) for v in (vehicle("450", seed) for seed in range(30))]
    assert np.mean(slopes) == pytest.approx(-0.58, abs=0.06)


@pytest.mark.parametrize("name", ALL)
def test_in_plane_drag_is_that_of_small_quadrotors(name: str) -> None:
    """Faessler 2018: 0.39 to 0.54 1/s on two axes of one vehicle; drawn vehicles lie around that."""
    drags = [-wrench(v, u=1.0)[0] / v.mass_kg for v in (vehicle(name, seed) for seed in range(20))]
    assert np.median(drags) == pytest.approx(0.46, abs=0.08)
    assert min(drags) > 0.3
    assert max(drags) < 0.7


@pytest.mark.parametrize("name", ALL)
def test_a_head_wind_pitches_up_and_a_side_wind_rolls_away(name: str) -> None:
    v = dataclasses.replace(vehicle(name), rotor_z_m=-0.02)
    assert wrench(v, u=3.0)[4] > 0.0
    assert wrench(v, v=3.0)[3] < 0.0
    still = dataclasses.replace(v, flap=0.0, rotor_z_m=0.0)
    assert wrench(still, u=3.0)[4] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("rate", "index"), [("p", 3), ("q", 4), ("r", 5)])
def test_rotation_of_the_air_acts_on_each_rotor(rate: str, index: int) -> None:
    """Rotation through the air is damped on every axis."""
    moment = wrench(vehicle("450"), **{rate: 1.0})[index]
    assert moment < 0.0
    assert wrench(vehicle("450"), **{rate: -1.0})[index] == pytest.approx(-moment, rel=0.05)


def test_motors_lag_and_stay_within_their_limits() -> None:
    v = vehicle("450")
    rotors = Rotors(v, 0.0025)
    for _ in range(round(v.motor_tau_s / 0.0025)):
        rotors.spin([v.rotor.hover_rad_s] * 4)
    assert rotors.speed[0] / v.rotor.hover_rad_s == pytest.approx(1.0 - math.exp(-1.0), abs=0.02)
    for _ in range(2000):
        rotors.spin([1e6] * 4)
    assert rotors.speed[0] == pytest.approx(v.rotor.hover_rad_s * math.sqrt(v.thrust_ratio))
