"""The airframes, and vehicles drawn at random around them.

Rotor constants follow from blade element and momentum theory in hover (Padfield, Helicopter Flight Dynamics,
ch. 2 and 3: uniform inflow, constant lift slope): C_T = (a0·s/2)(θ/3 − λ/2), λ0 = √(C_T/2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.catalog import AIRFRAMES, Airframe
from px4_tinyml_sitl.turbulence import FrameSize

LIFT_SLOPE = 5.7
"""a0 of a thin blade section at low Reynolds number, per radian."""


def airframe(name: str) -> Airframe:
    """An airframe by name. Raises SpecError for an unknown one."""
    try:
        return AIRFRAMES[name]
    except KeyError:
        raise SpecError(f"airframe {name!r} is not known; expected one of {', '.join(AIRFRAMES)}") from None


@dataclass(frozen=True)
class Rotor:
    """Constants of one rotor: T = Ω·(k_lift·Ω·(1+1.5μ²) − k_inflow·(v_i + v_axial)), see rotors.py."""

    radius_m: float
    hover_rad_s: float
    hover_inflow_m_s: float
    k_lift: float
    k_inflow: float

    def heave_damping(self, mass_kg: float) -> float:
        """Padfield's Z_w in hover, 1/s: −∂(4T/m)/∂w at constant rotor speed with quasi-steady inflow."""
        tip = self.hover_rad_s * self.radius_m
        inflow_ratio = self.hover_inflow_m_s / tip
        lift_solidity = 2.0 * self.k_inflow * 2.0 / (self.disc_density * self.radius_m)
        slope = 2.0 * self.disc_density * tip * lift_solidity * inflow_ratio
        return -4.0 * slope / (16.0 * inflow_ratio + lift_solidity) / mass_kg

    @property
    def disc_density(self) -> float:
        """Air density times disc area, kg/m, from the hover state (T = 2ρA·v_i²)."""
        thrust = self.hover_rad_s * (self.k_lift * self.hover_rad_s - self.k_inflow * self.hover_inflow_m_s)
        return thrust / (2.0 * self.hover_inflow_m_s**2)


def hover_rotor(thrust_n: float, radius_m: float, solidity: float, blade_loading: float, rho_kg_m3: float) -> Rotor:
    """The rotor with a given hover thrust at a blade loading C_T/s."""
    disc = math.pi * radius_m**2
    tip_m_s = math.sqrt(thrust_n / (rho_kg_m3 * disc * solidity * blade_loading))
    inflow_m_s = math.sqrt(thrust_n / (2.0 * rho_kg_m3 * disc))
    k_inflow = rho_kg_m3 * disc * radius_m * LIFT_SLOPE * solidity / 4.0
    hover = tip_m_s / radius_m
    return Rotor(
        radius_m=radius_m,
        hover_rad_s=hover,
        hover_inflow_m_s=inflow_m_s,
        k_lift=(thrust_n / hover + k_inflow * inflow_m_s) / hover,
        k_inflow=k_inflow,
    )


@dataclass(frozen=True)
class VehicleModel:
    """Constants of one vehicle, drawn around an airframe.

    rotor_drag_per_s: in-plane rotor drag along body x and y over mass. flap: nose-up hub moment coefficient,
    M = flap·T·R·μ. yaw_ratio_m: rotor torque over thrust. imu_offset_m: IMU from the centre of gravity, FRD.
    loop_gain: multiplies the gains of rate, attitude, velocity and position loop. delay_s: gyro filter and computation.
    thrust_noise: unsteadiness of each rotor's thrust, rms share; heave_noise: of all four together. side_noise_m_s2: of
    the wake's side force over mass, rms. esc_band: backlash of the speed controllers, share of the hover speed.
    """

    airframe: Airframe
    mass_kg: float
    inertia_kg_m2: tuple[float, float, float]
    rotor: Rotor
    rotor_x_m: tuple[float, float, float, float]
    rotor_y_m: tuple[float, float, float, float]
    rotor_z_m: float
    thrust_ratio: float
    motor_tau_s: float
    rotor_drag_per_s: tuple[float, ...]
    flap: float
    yaw_ratio_m: float
    drag_area_m2: tuple[float, ...]
    imu_offset_m: tuple[float, float, float]
    loop_gain: tuple[float, ...]
    delay_s: float
    thrust_noise: float
    heave_noise: float
    side_noise_m_s2: float
    esc_band: float
    rho_kg_m3: float

    @property
    def gains(self) -> tuple[float, float, float, float]:
        """Proportional gains of rate, attitude, velocity and climb rate, 1/s: they follow from the motors' lag."""
        rate_gain, attitude_gain, velocity_gain, _ = self.loop_gain
        lag = self.motor_tau_s + self.delay_s
        rate_p = 0.60 / lag * rate_gain
        attitude_p = 0.33 * rate_p * attitude_gain
        return rate_p, attitude_p, min(2.2, 0.38 * attitude_p) * velocity_gain, min(4.0, 0.25 / lag) * velocity_gain

    @property
    def frame(self) -> FrameSize:
        """Size against eddies."""
        return FrameSize(2.0 * self.airframe.arm_m, self.rotor.radius_m)

    @property
    def span_m(self) -> float:
        """Rotor to rotor across the frame plus a disc."""
        return self.frame.span_m


def draw_vehicle(base: Airframe, rng: np.random.Generator, rho_kg_m3: float = 1.225) -> VehicleModel:
    """Draw a vehicle around an airframe."""

    def near(value: float, spread: float) -> float:
        return float(value * math.exp(np.clip(rng.normal(0.0, spread), -2.2 * spread, 2.2 * spread)))

    mass = near(base.mass_kg, 0.08)
    ixx = mass * (base.gyration * near(base.arm_m, 0.05)) ** 2
    inertia = (ixx, ixx * near(1.1, 0.06), ixx * near(1.85, 0.05))
    rotor = hover_rotor(
        mass * G / 4.0, near(base.rotor_radius_m, 0.03), near(base.solidity, 0.08),
        near(base.blade_loading, 0.08), rho_kg_m3,
    )  # fmt: skip
    x, y = base.arm_m / math.sqrt(2.0), base.arm_m / math.sqrt(2.0)
    drag = near(0.46, 0.12)
    # Most are tuned well; some have too much gain (they oscillate at 1 to 3 Hz), some too little.
    tune = float(rng.choice([rng.uniform(1.2, 1.45), rng.uniform(0.75, 0.85), 1.0], p=[0.12, 0.08, 0.8]))
    imu_reach = 0.12 * base.arm_m
    return VehicleModel(
        airframe=base,
        mass_kg=mass,
        inertia_kg_m2=inertia,
        rotor=rotor,
        # Order of PX4's X quad: front right, rear left, front left, rear right.
        rotor_x_m=(x, -x, x, -x),
        rotor_y_m=(y, -y, -y, y),
        rotor_z_m=-base.rotor_height_m + float(rng.normal(0.0, 0.05 * base.arm_m)),
        thrust_ratio=near(base.thrust_ratio, 0.08),
        motor_tau_s=near(base.motor_tau_s, 0.12),
        rotor_drag_per_s=(drag * near(1.0, 0.08), drag * near(1.0, 0.08)),
        flap=near(0.25, 0.3),
        yaw_ratio_m=near(0.13, 0.1) * rotor.radius_m,
        drag_area_m2=tuple(near(area, 0.15) for area in base.drag_area_m2),
        imu_offset_m=tuple(float(rng.normal(0.0, imu_reach)) for _ in range(3)),  # type: ignore[arg-type]
        loop_gain=(*(tune * near(1.0, 0.1) for _ in range(3)), 1.0),
        delay_s=near(0.010, 0.25),
        thrust_noise=near(0.0085, 0.3),
        heave_noise=near(0.0055, 0.3),
        side_noise_m_s2=near(0.068, 0.3),
        esc_band=float(rng.uniform(0.0, 0.004)),
        rho_kg_m3=rho_kg_m3,
    )
