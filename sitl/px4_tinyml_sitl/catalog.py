"""Names that a user chooses from. Imports nothing heavy, so that the command line's help can list them."""

from __future__ import annotations

from dataclasses import dataclass

MISSIONS = {
    "mixed": "hover, climbs, descents, cruise, turns and hard manoeuvres in random order",
    "hover": "hold position, sometimes turning the nose",
    "ladder": "climb, hold, climb or descend, hold, …",
    "cruise": "straight legs and turns at cruising speed",
    "survey": "parallel lanes with half turns, at changing heights",
    "brisk": "hard reversals of the stick and fast up and down, as flown by hand",
    "taps": "hover in still air while something taps on the frame",
}
DEFAULT_MISSION = "mixed"


@dataclass(frozen=True)
class Airframe:
    """An X quadrotor: mean values. Every flight draws a vehicle around them (airframes.py).

    mass_kg: ready to fly, with battery. arm_m: motor to centre. solidity: blade area over disc area. blade_loading:
    C_T/σ in hover. gyration: radius of gyration about the roll axis over the arm. rotor_height_m: rotor plane above the
    centre of gravity. thrust_ratio: largest thrust over weight. motor_tau_s: time constant of motor and propeller.
    drag_area_m2: C_d·A of the body along x, y, z. max_speed_m_s: in missions.
    """

    name: str
    mass_kg: float
    arm_m: float
    rotor_radius_m: float
    solidity: float
    blade_loading: float
    gyration: float
    rotor_height_m: float
    thrust_ratio: float
    motor_tau_s: float
    drag_area_m2: tuple[float, float, float]
    max_speed_m_s: float


_TABLE = (
    # 3-inch ducted cinewhoop
    Airframe("cine3", 0.42, 0.075, 0.038, 0.19, 0.125, 0.50, -0.005, 3.0, 0.028, (0.0085, 0.0085, 0.012), 9.0),
    # 5-inch racer
    Airframe("250", 0.65, 0.115, 0.0635, 0.14, 0.09, 0.42, 0.015, 5.0, 0.025, (0.006, 0.007, 0.012), 14.0),
    # 8-inch folding camera drone
    Airframe("330", 0.95, 0.168, 0.102, 0.095, 0.105, 0.42, 0.020, 2.2, 0.040, (0.007, 0.009, 0.018), 12.0),
    # 10-inch kit frame
    Airframe("450", 1.50, 0.225, 0.127, 0.10, 0.120, 0.48, 0.030, 2.1, 0.048, (0.012, 0.012, 0.026), 11.0),
    # 10-inch development frame
    Airframe("500", 2.00, 0.250, 0.127, 0.105, 0.115, 0.46, 0.035, 2.2, 0.045, (0.016, 0.016, 0.034), 11.0),
    # 13-inch mapping frame
    Airframe("550", 2.60, 0.275, 0.165, 0.085, 0.110, 0.47, 0.045, 2.0, 0.060, (0.020, 0.022, 0.042), 11.0),
    # 15-inch inspection frame, short arms, folded props
    Airframe("600", 4.10, 0.310, 0.190, 0.080, 0.125, 0.45, 0.060, 1.9, 0.065, (0.030, 0.034, 0.055), 12.0),
    # 15-inch long-endurance frame
    Airframe("650", 3.40, 0.325, 0.190, 0.075, 0.110, 0.48, 0.050, 2.1, 0.070, (0.022, 0.024, 0.050), 12.0),
    # 18-inch heavy lifter
    Airframe("680h", 7.00, 0.380, 0.229, 0.085, 0.125, 0.46, 0.080, 1.9, 0.080, (0.045, 0.050, 0.080), 12.0),
)
AIRFRAMES = {airframe.name: airframe for airframe in _TABLE}

_MORE = (
    # 5-inch folding travel drone
    Airframe("mini", 0.25, 0.107, 0.060, 0.09, 0.11, 0.40, 0.010, 2.2, 0.030, (0.003, 0.0035, 0.007), 10.0),
    # 7-inch long-range racer
    Airframe("7lr", 1.10, 0.155, 0.089, 0.10, 0.10, 0.42, 0.018, 4.0, 0.032, (0.008, 0.009, 0.016), 14.0),
    # 22-inch heavy lifter
    Airframe("900h", 12.0, 0.500, 0.280, 0.07, 0.12, 0.45, 0.090, 2.0, 0.100, (0.070, 0.075, 0.120), 12.0),
)
RESPONSE_AIRFRAMES = AIRFRAMES | {airframe.name: airframe for airframe in _MORE}
"""Airframes of the gust responses."""
