"""Forces of four rotors and the body in moving air.

Each rotor sees its own air velocity: wind and gust at the centre, the gusts' rotation and its own motion. At
constant speed its thrust falls with axial inflow (blade element theory with uniform inflow; Padfield, Helicopter
Flight Dynamics, ch. 3), it drags in its plane in proportion to air speed (Faessler, Franchi and Scaramuzza 2018,
mass-normalised 0.39 to 0.54 1/s), and flapping tilts it against the stream with a nose-up moment.
"""

from __future__ import annotations

import math

from px4_tinyml.sitl.airframes import Vehicle

_DESCENT_INFLOW_FLOOR = 0.35
"""Momentum theory fails in the vortex ring state; the mass flow keeps this share of the hover inflow."""


class Rotors:
    """State of the four rotors: speeds (rad/s) and induced velocities (m/s)."""

    __slots__ = (
        "_a", "_area", "_band", "_drag", "_flap_k", "_held", "_inflow_gain", "_max", "_min", "_v", "_yaw", "floor", "inflow", "speed",
    )  # fmt: skip

    def __init__(self, vehicle: Vehicle, dt_s: float) -> None:
        rotor = vehicle.rotor
        self._v = vehicle
        self._a = 1.0 - math.exp(-dt_s / vehicle.motor_tau_s)
        self._max = rotor.hover_rad_s * math.sqrt(vehicle.thrust_ratio)
        self._min = 0.15 * rotor.hover_rad_s
        self._area = vehicle.rho_kg_m3 * math.pi * rotor.radius_m**2
        # Pitt and Peters: apparent mass of the inflow, 8/(3π)·ρ·A·R.
        self._inflow_gain = 2.0 * dt_s / (8.0 / (3.0 * math.pi) * rotor.radius_m)
        self.floor = _DESCENT_INFLOW_FLOOR * rotor.hover_inflow_m_s
        share = vehicle.mass_kg / (4.0 * rotor.hover_rad_s)
        self._drag = (vehicle.rotor_drag_per_s[0] * share, vehicle.rotor_drag_per_s[1] * share)
        self._flap_k = vehicle.flap
        self._held = [0.0] * 4
        self._band = vehicle.esc_band * rotor.hover_rad_s
        self._yaw = tuple(s * vehicle.yaw_ratio_m for s in (1.0, 1.0, -1.0, -1.0))
        self.speed = [0.0] * 4
        self.inflow = [0.0] * 4

    def spin(self, command: list[float]) -> None:
        """One step of the motors towards commanded speeds, rad/s (0: stopped)."""
        speed, held, band, a, low, high = self.speed, self._held, self._band, self._a, self._min, self._max
        for i in range(4):
            wanted = command[i]
            # Backlash: a speed controller does not follow the smallest changes.
            if wanted > held[i] + band:
                held[i] = wanted - band
            elif wanted < held[i] - band:
                held[i] = wanted + band
            wanted = held[i]
            if wanted > 0.0:
                wanted = low if wanted < low else high if wanted > high else wanted
            speed[i] += a * (wanted - speed[i])

    def wrench(
        self, u: float, v: float, w: float, p: float, q: float, r: float, lift: list[float]
    ) -> tuple[float, float, float, float, float, float]:
        """Force (N) and moment (N·m) in body FRD.

        u, v, w: velocity of the centre through the air, body axes, m/s. p, q, r: rotation through the air (gust
        rotation subtracted), rad/s. lift: factor on each rotor's thrust (unsteadiness, ground effect).
        """
        vehicle = self._v
        rotor = vehicle.rotor
        k_lift, k_inflow, radius = rotor.k_lift, rotor.k_inflow, rotor.radius_m
        drag_x, drag_y = self._drag
        flap_k, floor2, z = self._flap_k, self.floor**2, vehicle.rotor_z_m
        area2, gain = 2.0 * self._area, self._inflow_gain
        fx = fy = fz = mx = my = mz = 0.0
        for i in range(4):
            x, y, omega = vehicle.rotor_x_m[i], vehicle.rotor_y_m[i], self.speed[i]
            ui = u + q * z - r * y
            vi = v + r * x - p * z
            axial = q * x - p * y - w
            plane2 = ui * ui + vi * vi
            inflow = self.inflow[i]
            through = inflow + axial
            tip2 = omega * omega * radius * radius + 1.0
            thrust = omega * (k_lift * omega * (1.0 + 1.5 * plane2 / tip2) - k_inflow * through)
            if thrust < 0.0:
                thrust = 0.0
            axial2 = through * through
            flow = math.sqrt(plane2 + (axial2 if axial2 > floor2 else floor2))
            a = gain * flow
            self.inflow[i] = inflow + (a if a < 0.4 else 0.4) * (thrust / (area2 * flow) - inflow)
            thrust *= lift[i]
            hx, hy = -drag_x * omega * ui, -drag_y * omega * vi
            hub = flap_k * thrust * radius / math.sqrt(tip2)
            fx += hx
            fy += hy
            fz -= thrust
            mx -= y * thrust + z * hy + hub * vi
            my += z * hx + x * thrust + hub * ui
            mz += x * hy - y * hx + self._yaw[i] * thrust
        half_rho = 0.5 * vehicle.rho_kg_m3
        ax, ay, az = vehicle.drag_area_m2
        pressure = half_rho * math.sqrt(u * u + v * v + w * w)
        return fx - pressure * ax * u, fy - pressure * ay * v, fz - pressure * az * w, mx, my, mz
