"""The embedded autopilot: PX4's cascade of position, velocity, attitude and rate loops, then the mixer.

All loops use estimates, not the truth. Position and velocity run at 50 Hz, attitude and rate at every step. Gains
follow from the motor's time constant, so that every airframe is tuned well.
"""

from __future__ import annotations

import math

from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.airframes import VehicleModel
from px4_tinyml_sitl.missions import Segment

OUTER_HZ = 50


def clip(value: float, limit: float) -> float:
    """The value within ±limit."""
    return -limit if value < -limit else limit if value > limit else value


class Guidance:
    """Turns segments into a smooth setpoint: position, velocity (NED) and heading, at OUTER_HZ."""

    def __init__(self, segments: list[Segment], heading_rad: float) -> None:
        self._segments = segments
        self._index = 0
        self._left = segments[0].seconds
        self.course = self.yaw = heading_rad
        self.position = [0.0, 0.0, 0.0]
        self.velocity = [0.0, 0.0, 0.0]
        self.accel = [0.0, 0.0, 0.0]
        """Fed forward, m/s²."""
        self.landing = False

    def step(self, noise: tuple[float, float, float]) -> None:
        """Advance by one period. noise: unit noise of the pilot's stick, north, east, down."""
        dt = 1.0 / OUTER_HZ
        self._left -= dt
        if self._left <= 0.0 and self._index < len(self._segments) - 1:
            self._index += 1
            self._left += self._segments[self._index].seconds
            self.landing = self._index == len(self._segments) - 1
        now = self._segments[self._index]
        self.course += now.turn_rad_s * dt
        self.yaw += (now.turn_rad_s + now.yaw_rad_s) * dt
        wanted = (
            now.speed_m_s * math.cos(self.course) + now.rough_m_s * noise[0],
            now.speed_m_s * math.sin(self.course) + now.rough_m_s * noise[1],
            -now.climb_m_s + 0.4 * now.rough_m_s * noise[2],
        )
        limit = now.accel_m_s2 * dt
        for axis in range(3):
            most = limit if axis < 2 else min(limit, now.climb_accel_m_s2 * dt)
            change = clip(wanted[axis] - self.velocity[axis], most)
            self.accel[axis] = change / dt if now.direct else 0.0
            self.velocity[axis] += change
            self.position[axis] += self.velocity[axis] * dt


class Autopilot:
    """The control loops of one vehicle."""

    def __init__(self, vehicle: VehicleModel, heading_rad: float, dt_s: float) -> None:
        self._vehicle = vehicle
        self._rate_p, self._attitude_p, self._velocity_p, self._climb_p = vehicle.gains
        self._rate_d = 0.25 * vehicle.motor_tau_s * self._rate_p
        self._rate_i = 0.5 * self._rate_p
        self._position_p = 0.40 * self._velocity_p * vehicle.loop_gain[3]
        self._dt = dt_s
        self._filter = 1.0 - math.exp(-dt_s / vehicle.delay_s)
        self._rate = [0.0, 0.0, 0.0]
        self._rate_sum = [0.0, 0.0, 0.0]
        self._velocity_sum = [0.0, 0.0, 0.0]
        self._tilt = math.tan(0.75 if vehicle.thrust_ratio > 3.5 else 0.65)
        self._yaw_wanted = heading_rad
        self._down = (0.0, 0.0, 1.0)
        self.thrust = 0.0
        rotor = vehicle.rotor
        self._k_thrust = vehicle.mass_kg * G / 4.0 / rotor.hover_rad_s**2
        self._thrust_max = vehicle.thrust_ratio * vehicle.mass_kg * G / 4.0
        self._thrust_min = 0.03 * self._thrust_max
        self._size_max = 0.9 * vehicle.thrust_ratio * G

    def reset(self) -> None:
        """Reset the integrals, which would wind up on the ground."""
        self._rate_sum = [0.0, 0.0, 0.0]
        self._velocity_sum = [0.0, 0.0, 0.0]

    def settle(self) -> None:
        """After touch-down: level attitude and decreasing thrust, as in PX4 after ground contact."""
        self.reset()
        self._down = (0.0, 0.0, 1.0)
        self.thrust *= 0.9

    def outer(self, guidance: Guidance, position: list[float], velocity: list[float]) -> None:
        """Position and velocity loops: from estimates (NED) to thrust and direction."""
        wanted = [0.0, 0.0, 0.0]
        for axis in range(3):
            p_gain = self._position_p if axis < 2 else 1.0
            v_gain = self._velocity_p if axis < 2 else self._climb_p
            error = (
                guidance.velocity[axis]
                + clip(p_gain * (guidance.position[axis] - position[axis]), 3.0)
                - velocity[axis]
            )
            wanted[axis] = v_gain * error + self._velocity_sum[axis] + guidance.accel[axis]
            self._velocity_sum[axis] = clip(
                self._velocity_sum[axis] + 0.15 * v_gain * v_gain * error / OUTER_HZ, 8.0 if axis < 2 else 4.0
            )
        north, east = wanted[0], wanted[1]
        lift = min(max(G - wanted[2], 0.25 * G), 0.9 * self._size_max)
        side = math.hypot(north, east)
        # Height has priority: the side force is limited by the lift and the tilt limit.
        limit = min(self._tilt * lift, math.sqrt(self._size_max**2 - lift**2))
        if side > limit:
            north, east = north * limit / side, east * limit / side
            for axis in (0, 1):
                self._velocity_sum[axis] *= 0.995
        size = math.sqrt(north * north + east * east + lift * lift)
        self._down = (-north / size, -east / size, lift / size)
        self.thrust = self._vehicle.mass_kg * size
        self._yaw_wanted = guidance.yaw

    def inner(
        self, rates: list[float], rotation: tuple[float, ...], yaw: float, tilt_error: tuple[float, float]
    ) -> list[float]:
        """Attitude and rate loops and the mixer: from measured rates and attitude to rotor speeds.

        rotation: body to NED; tilt_error: error of the estimated roll and pitch, rad.
        """
        r00, r01, _, r10, r11, _, r20, r21, _ = rotation
        dx, dy, dz = self._down
        # The thrust setpoint in body axes; x and y are zero when the attitude is reached.
        bx = r00 * dx + r10 * dy + r20 * dz
        by = r01 * dx + r11 * dy + r21 * dz
        gain = self._attitude_p
        turn = math.remainder(self._yaw_wanted - yaw, 2.0 * math.pi)
        wanted = (-gain * (by + tilt_error[0]), gain * (bx - tilt_error[1]), clip(1.8 * turn, 2.5))
        accel = [0.0, 0.0, 0.0]
        for axis in range(3):
            before = self._rate[axis]
            rate = before + self._filter * (rates[axis] - before)
            self._rate[axis] = rate
            error = wanted[axis] - rate
            p_gain = self._rate_p if axis < 2 else 0.35 * self._rate_p
            d_gain = self._rate_d if axis < 2 else 0.0
            accel[axis] = p_gain * error + self._rate_sum[axis] - d_gain * (rate - before) / self._dt
            self._rate_sum[axis] = clip(self._rate_sum[axis] + self._rate_i * error * self._dt, 20.0)
        return self._mix(accel)

    def _mix(self, accel: list[float]) -> list[float]:
        vehicle = self._vehicle
        ixx, iyy, izz = vehicle.inertia_kg_m2
        x, y = vehicle.rotor_x_m[0], vehicle.rotor_y_m[0]
        quarter = self.thrust / 4.0
        roll = clip(accel[0] * ixx / (4.0 * y), 0.6 * quarter + 0.1 * self._thrust_max)
        pitch = clip(accel[1] * iyy / (4.0 * x), 0.6 * quarter + 0.1 * self._thrust_max)
        yaw = clip(accel[2] * izz / (4.0 * vehicle.yaw_ratio_m), 0.25 * quarter)
        k, low, high = self._k_thrust, self._thrust_min, self._thrust_max
        wanted = (
            quarter - roll + pitch + yaw,
            quarter + roll - pitch + yaw,
            quarter + roll + pitch - yaw,
            quarter - roll - pitch - yaw,
        )
        # Attitude has priority over height: if a motor would saturate, all are reduced together.
        excess = max(max(wanted) - high, 0.0)
        return [math.sqrt(min(max(thrust - excess, low), high) / k) for thrust in wanted]
