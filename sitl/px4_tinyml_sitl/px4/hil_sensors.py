"""What PX4's simulated sensor drivers are given: an IMU sample for every step, air pressure, attitude."""

from __future__ import annotations

import math

import numpy as np

from px4_tinyml_sitl.sensors import SensorSuite, rising_noise

_NOISE_SAMPLES = 1 << 16
_MAX_BIAS_M_S2 = 0.2
"""PX4 does not arm with more: such an accelerometer is calibrated first."""


class HilImu:
    """`sensors.measure_imu` at the rate of the world. PX4 averages pairs of these samples to `sensor_combined`."""

    def __init__(self, suite: SensorSuite, hover_rad_s: float, rate_hz: float, rng: np.random.Generator) -> None:
        self._rng, self._hover, self._dt = rng, hover_rad_s, 1.0 / rate_hz
        self._mounting = suite.mounting
        self._line = np.concatenate([suite.line_m_s2, suite.line_rad_s], axis=2)
        self._shift = rng.uniform(0.0, 2.0 * np.pi, (4, 2, 6))
        self._angle = np.zeros(4)
        # The suite's noise is that of samples at its own rate: the same density at this one.
        density = math.sqrt(rate_hz * suite.imu_interval_us * 1e-6)
        broad = np.concatenate([suite.broad_m_s2, suite.broad_rad_s]) * density
        corner = [suite.broad_corner_hz * (1.0 if axis < 3 else 0.4) for axis in range(6)]
        self._broad = np.stack(
            [b * rising_noise(rng, _NOISE_SAMPLES, rate_hz, c) for b, c in zip(broad, corner, strict=True)], axis=1
        )
        white = np.repeat([suite.accel_noise_m_s2, suite.gyro_noise_rad_s], 3) * density
        self._white = white * rng.standard_normal((_NOISE_SAMPLES, 6))
        bias = np.clip(suite.accel_bias_m_s2, -_MAX_BIAS_M_S2, _MAX_BIAS_M_S2)
        self._bias = np.concatenate([bias, suite.gyro_bias_rad_s])
        self._count = 0

    def measure(
        self, truth: tuple[float, ...], rotor_rad_s: list[float]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(accelerometer m/s², gyro rad/s), FRD. truth: specific force and rates in this step."""
        out = np.array(truth)
        speed = np.array(rotor_rad_s)
        i = self._count % _NOISE_SAMPLES
        self._count += 1
        self._angle += speed * self._dt
        if speed[0] > 1.0:
            harmonic = np.array([1.0, 2.0])
            ratio2 = (speed / self._hover) ** 2
            averaged = ratio2[:, None] * np.sinc(speed[:, None] * harmonic * (self._dt / (2.0 * np.pi)))
            angle = self._angle[:, None] * harmonic
            out += np.sum(self._line * averaged[:, :, None] * np.sin(angle[:, :, None] + self._shift), axis=(0, 1))
            out += float(ratio2.mean()) * self._broad[i]
        accel, gyro = self._mounting @ out[:3], self._mounting @ out[3:]
        values = (np.concatenate([accel, gyro]) + self._bias + self._white[i]).tolist()
        return tuple(values[:3]), tuple(values[3:])


def pressure_hpa(altitude_m: float) -> float:
    """ISA, the inverse of what PX4 makes of it (lib/atmosphere)."""
    share: float = (1.0 - 0.0065 * altitude_m / 288.15) ** (9.80665 / (0.0065 * 287.1))
    return 1013.25 * share


def quaternion(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Body FRD to NED: w, x, y, z."""
    cr, cp, cy = (math.cos(0.5 * a) for a in (roll, pitch, yaw))
    sr, sp, sy = (math.sin(0.5 * a) for a in (roll, pitch, yaw))
    return (
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    )  # fmt: skip
