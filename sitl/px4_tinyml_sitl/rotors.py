"""Forces of four rotors and the body in moving air.

Each rotor has its own air velocity: wind and gust at the centre, a gust of its own, and its motion. At
constant speed its thrust falls with axial inflow (blade element theory with uniform inflow; Padfield, Helicopter
Flight Dynamics, ch. 3), it drags in its plane in proportion to air speed (Faessler, Franchi and Scaramuzza 2018,
mass-normalised 0.39 to 0.54 1/s), and flapping gives a nose-up moment against the stream.
"""

from __future__ import annotations

import math

from px4_tinyml_sitl.airframes import VehicleModel

_INFLOW_FLOOR = 0.35
"""Least mass flow, as a share of the hover inflow: momentum theory fails in the vortex ring state."""

_IDLE = 0.15
"""Slowest speed of a running rotor, as a share of the hover speed."""


class Rotors:
    """Four motors with rotors: speed (rad/s) and inflow (induced velocity, m/s) are their state."""

    def __init__(self, vehicle: VehicleModel, dt_s: float) -> None:
        rotor = vehicle.rotor
        self.speed = [0.0] * 4
        self.inflow = [0.0] * 4
        self._vehicle = vehicle
        self._follow = 1.0 - math.exp(-dt_s / vehicle.motor_tau_s)
        self._slowest = _IDLE * rotor.hover_rad_s
        self._fastest = rotor.hover_rad_s * math.sqrt(vehicle.thrust_ratio)
        self._held = [0.0] * 4
        self._band = vehicle.esc_band * rotor.hover_rad_s
        self._density2 = 2.0 * vehicle.rho_kg_m3 * math.pi * rotor.radius_m**2
        # Pitt and Peters 1981: apparent mass of the inflow, 8/(3π)·ρ·A·R.
        self._inflow_gain = 2.0 * dt_s / (8.0 / (3.0 * math.pi) * rotor.radius_m)
        self._floor2 = (_INFLOW_FLOOR * rotor.hover_inflow_m_s) ** 2
        share = vehicle.mass_kg / (4.0 * rotor.hover_rad_s)
        self._drag_x, self._drag_y = (share * drag for drag in vehicle.rotor_drag_per_s)
        self._torque = tuple(turns * vehicle.yaw_ratio_m for turns in (1.0, 1.0, -1.0, -1.0))

    def spin(self, command: list[float]) -> None:
        """One step of the motors towards the commanded speeds, rad/s (0: stopped)."""
        speed, held, band = self.speed, self._held, self._band
        for i in range(4):
            # Backlash: a speed controller does not follow the smallest changes.
            if command[i] > held[i] + band:
                held[i] = command[i] - band
            elif command[i] < held[i] - band:
                held[i] = command[i] + band
            wanted = 0.0 if command[i] <= 0.0 else min(max(held[i], self._slowest), self._fastest)
            speed[i] += self._follow * (wanted - speed[i])

    def wrench(
        self,
        u: float,
        v: float,
        w: float,
        p: float,
        q: float,
        r: float,
        lift: list[float],
        gust: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
    ) -> tuple[float, float, float, float, float, float]:
        """Force (N) and moment (N·m) in body FRD; advances the inflow by one step.

        u, v, w: velocity of the centre through the air, body axes, m/s. p, q, r: rotation through the air, rad/s. lift:
        factor on each rotor's thrust (unsteadiness, ground effect). gust: of each rotor alone, m/s down.
        """
        vehicle, rotor = self._vehicle, self._vehicle.rotor
        k_lift, k_inflow, radius, flap = rotor.k_lift, rotor.k_inflow, rotor.radius_m, vehicle.flap
        drag_x, drag_y, z = self._drag_x, self._drag_y, vehicle.rotor_z_m
        fx = fy = fz = mx = my = mz = 0.0
        for i in range(4):
            x, y, omega = vehicle.rotor_x_m[i], vehicle.rotor_y_m[i], self.speed[i]
            ui = u + q * z - r * y
            vi = v + r * x - p * z
            inflow = self.inflow[i]
            through = inflow + q * x - p * y - w + gust[i]
            plane2, through2 = ui * ui + vi * vi, through * through
            tip2 = omega * omega * radius * radius + 1.0
            thrust = omega * (k_lift * omega * (1.0 + 1.5 * plane2 / tip2) - k_inflow * through)
            if thrust < 0.0:
                thrust = 0.0
            flow = math.sqrt(plane2 + (through2 if through2 > self._floor2 else self._floor2))
            # Small rotors settle within a step: the gain is limited for a stable explicit step.
            gain = self._inflow_gain * flow
            self.inflow[i] = inflow + (gain if gain < 0.4 else 0.4) * (thrust / (self._density2 * flow) - inflow)
            thrust *= lift[i]
            hx, hy = -drag_x * omega * ui, -drag_y * omega * vi
            hub = flap * thrust * radius / math.sqrt(tip2)
            fx += hx
            fy += hy
            fz -= thrust
            mx -= y * thrust + z * hy + hub * vi
            my += x * thrust + z * hx + hub * ui
            mz += x * hy - y * hx + self._torque[i] * thrust
        ax, ay, az = vehicle.drag_area_m2
        pressure = 0.5 * vehicle.rho_kg_m3 * math.sqrt(u * u + v * v + w * w)
        return fx - pressure * ax * u, fy - pressure * ay * v, fz - pressure * az * w, mx, my, mz
