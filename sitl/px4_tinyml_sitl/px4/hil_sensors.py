"""Samples for PX4's simulated sensor drivers: an IMU sample every step, air pressure."""

from __future__ import annotations

import numpy as np

from px4_tinyml_sitl.sensors import ImuErrors, SensorSuite

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


def pressure_hpa(altitude_m: float) -> float:
    """ISA pressure, the inverse of PX4's altitude (lib/atmosphere)."""
    share: float = (1.0 - 0.0065 * altitude_m / 288.15) ** (9.80665 / (0.0065 * 287.1))
    return 1013.25 * share
