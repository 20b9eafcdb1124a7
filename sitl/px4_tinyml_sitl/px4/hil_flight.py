"""A simulated vehicle flown by PX4: the world and its sensors, one HIL step after the other."""

from __future__ import annotations

import dataclasses

import numpy as np

from px4_tinyml_sitl.attitude import body_to_ned, quaternion
from px4_tinyml_sitl.autopilot import OUTER_HZ
from px4_tinyml_sitl.flight import FlightPlan, Simulator, SlowRow
from px4_tinyml_sitl.px4.hil_link import Controls, Fix, HilLink, pressure_hpa
from px4_tinyml_sitl.sensors import ImuErrors, SensorSuite
from px4_tinyml_sitl.vehicle.geo import Home
from px4_tinyml_sitl.vehicle.live_sensors import LiveBaro, body_field_gauss
from px4_tinyml_sitl.world import RATE_HZ

STEP_US = 1_000_000 // RATE_HZ
START_US = 1_000_000
"""PX4's time of the first step."""
_EVERY = RATE_HZ // OUTER_HZ
_GPS_EVERY = RATE_HZ // 10
_MAG_NOISE_GAUSS = 0.0008
_NOISE_SAMPLES = 1 << 16
_MAX_BIAS_M_S2 = 0.2
"""PX4 does not arm with a larger one."""


class HilImu:
    """`sensors.measure_imu` at the rate of the world. PX4 averages pairs of these samples to `sensor_combined`."""

    def __init__(self, suite: SensorSuite, hover_rad_s: float, rate_hz: float, rng: np.random.Generator) -> None:
        self._dt = 1.0 / rate_hz
        self._errors = ImuErrors(suite, hover_rad_s, self._dt, _NOISE_SAMPLES, rng)
        self._errors.bias[:3] = np.clip(suite.accel_bias_m_s2, -_MAX_BIAS_M_S2, _MAX_BIAS_M_S2)
        self._white = rng.standard_normal((_NOISE_SAMPLES, 6))
        self._angle = np.zeros(4)
        self._count = 0

    def measure(
        self, truth: tuple[float, ...], rotor_rad_s: list[float]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(accelerometer m/s², gyro rad/s), FRD. truth: specific force and rates in this step."""
        speed = np.array(rotor_rad_s)
        self._angle += speed * self._dt
        white = self._white[self._count % _NOISE_SAMPLES]
        values = self._errors.add(self._count, np.array(truth), speed, self._angle, white).tolist()
        self._count += 1
        return tuple(values[:3]), tuple(values[3:])


class Px4Flight(Simulator):
    """One planned flight with PX4 as the autopilot. rows: the truth at OUTER_HZ, time_s on PX4's clock."""

    def __init__(self, plan: FlightPlan) -> None:
        super().__init__(plan)
        self.airborne_s = 0.0
        vehicle, suite = plan.vehicle, plan.sensors
        self.steps = 0
        self.rows: list[SlowRow] = []
        self._rng = plan.rng.spawn(1)[0]
        self._home = Home(plan.elevation_m)
        self._imu = HilImu(suite, vehicle.rotor.hover_rad_s, float(RATE_HZ), self._rng)
        baro = dataclasses.replace(suite, baro_interval_us=1_000_000 // OUTER_HZ, baro_silence_s=None)
        self._baro = LiveBaro(baro, vehicle.span_m, float(OUTER_HZ), self._rng)
        self._top_rad_s = vehicle.rotor.hover_rad_s * vehicle.thrust_ratio**0.5
        self._command = [0.0] * 4
        self._mag: tuple[float, ...] | None = None
        self._pressure: float | None = None

    @property
    def time_us(self) -> int:
        """PX4's time of the next step."""
        return START_US + self.steps * STEP_US

    def send(self, link: HilLink) -> None:
        """Send PX4 the sensor samples of this step."""
        state, angles = self._world.state()
        time_us = self.time_us
        self._mag = self._pressure = None
        if self.steps % _EVERY == 0:
            self._slow(link, state, angles)
        accel, gyro = self._imu.measure((*state[7:10], *angles[:3]), self._rotors.speed)
        link.sensors(time_us, accel, gyro, self._mag, self._pressure)
        if self.steps % _GPS_EVERY == 0:
            row = self.rows[-1]
            position = self._home.globe(row.est_x, row.est_y)
            height = self.plan.elevation_m - row.est_z
            link.gps(time_us, Fix(*position, height, (row.est_vx, row.est_vy, row.est_vz)))
        self._state, self._angles = state, angles

    def _slow(self, link: HilLink, state: list[float], angles: list[float]) -> None:
        _, row = self._slow_step(self.steps, state, angles)
        speed = self._rotors.speed
        lift = sum(s * s for s in speed) / (4.0 * self.plan.vehicle.rotor.hover_rad_s**2)
        row = row._replace(time_s=self.time_us * 1e-6, thrust_ratio=lift, landed=float("nan"))
        self.rows.append(row)
        if row.height > 0.3:
            self.airborne_s += 1.0 / OUTER_HZ
        rotation = body_to_ned(*angles[3:6])
        noise = _MAG_NOISE_GAUSS * self._rng.standard_normal(3)
        self._mag = tuple(float(b + n) for b, n in zip(body_field_gauss(rotation), noise, strict=True))
        self._baro.update(self.steps / RATE_HZ, row.height, row.airspeed, row.thrust_ratio)
        if self._baro.samples:
            self._pressure = pressure_hpa(self.plan.elevation_m + self._baro.samples.pop()[1])
            self._baro.samples.clear()
        place = self._home.globe(row.x, row.y)
        fix = Fix(*place, self.plan.elevation_m + row.height, (row.vx, row.vy, row.vz))
        link.truth(self.time_us, quaternion(*angles[3:6]), tuple(angles[:3]), fix, tuple(state[7:10]))

    def advance(self, controls: Controls | None) -> None:
        """One step of the world under PX4's motor outputs. Output u turns a rotor at u times its top speed."""
        if controls is not None:
            self.armed = controls.armed
            self._command = [max(u, 0.0) * self._top_rad_s for u in np.nan_to_num(controls.motors).tolist()]
        self._fast_step(self.steps, self._state, self._angles, self._command)
        self.steps += 1

    def _weather_s(self, seconds: float) -> float:
        """The weather starts at take-off."""
        return self.airborne_s

    def _state_machine(self, seconds: float, height_m: float, down_m_s: float, tilt_rad: float) -> list[float]:
        """PX4's motor commands; the embedded autopilot is not used."""
        return self._command
