"""sensors.py's models sample by sample, for a flight without end: their noise is periodic."""

from __future__ import annotations

import math

import numpy as np

from px4_tinyml.flight_log import F64
from px4_tinyml_sitl.sensors import ImuErrors, SensorSuite, lowpass_noise

_NOISE_SAMPLES = 1 << 15
_KEPT = 8
"""Steps of truth kept: more than one sampling interval."""
FIELD_NED_GAUSS = (0.215, 0.012, 0.43)
"""The magnetic field at 47° N, 8° E, rounded."""


class LiveImu:
    """`measure_imu` sample by sample. update() appends (time in µs, accel[3], gyro[3]) to samples."""

    def __init__(self, suite: SensorSuite, hover_rad_s: float, rate_hz: float, rng: np.random.Generator) -> None:
        self._suite, self._rate_hz, self._rng = suite, rate_hz, rng
        self.samples: list[tuple[int, F64, F64]] = []
        # Running integral of truth (6) and rotor speeds (4) at the end of each step.
        self._integral = np.zeros((_KEPT, 10))
        self._steps = 0
        self._period_us = suite.imu_interval_us * (1.0 + float(rng.normal(0.0, 3e-4)))
        self._count = 0
        self._errors = ImuErrors(suite, hover_rad_s, suite.imu_interval_us * 1e-6, _NOISE_SAMPLES, rng)
        self._due_us = self._next_due_us()

    def _next_due_us(self) -> float:
        self._count += 1
        jitter = float(self._rng.normal(0.0, self._suite.imu_jitter_us))
        return self._period_us * self._count + min(max(jitter, -400.0), 400.0)

    def update(self, truth: tuple[float, ...]) -> None:
        """One step of the world: specific force (3), rates (3) and rotor speeds (4) during it."""
        row = self._integral[self._steps % _KEPT] + np.array(truth) / self._rate_hz
        self._steps += 1
        self._integral[self._steps % _KEPT] = row
        if self._due_us * 1e-6 * self._rate_hz <= self._steps:
            due, self._due_us = self._due_us, self._next_due_us()
            if self._rng.random() > 2e-5:
                self._sample(round(due))

    def _at(self, seconds: float) -> F64:
        place = max(seconds, 0.0) * self._rate_hz
        whole = min(int(place), self._steps - 1)
        low, high = self._integral[whole % _KEPT], self._integral[(whole + 1) % _KEPT]
        value: F64 = low + (place - whole) * (high - low)
        return value

    def _sample(self, time_us: int) -> None:
        end = time_us * 1e-6
        dt = self._suite.imu_interval_us * 1e-6
        mean = (self._at(end) - self._at(end - dt)) / dt
        angle = self._at(end - 0.5 * dt)[6:]
        white = self._rng.standard_normal(6)
        values = self._errors.add(self._count, mean[:6], mean[6:], angle, white)
        self.samples.append((time_us, values[:3], values[3:]))


class LiveBaro:
    """`measure_baro` sample by sample. update() appends (time in µs, altitude above the start in m) to samples."""

    def __init__(self, suite: SensorSuite, span_m: float, rate_hz: float, rng: np.random.Generator) -> None:
        self._suite, self._span_m, self._rng, self._dt = suite, span_m, rng, 1.0 / rate_hz
        self.samples: list[tuple[int, float]] = []
        self._drift: list[float] = (suite.baro_drift_m * lowpass_noise(rng, _NOISE_SAMPLES, rate_hz, 0.01)).tolist()
        self._wake: list[float] = lowpass_noise(rng, _NOISE_SAMPLES, rate_hz, 1.0).tolist()
        wash = suite.baro_wash_m * lowpass_noise(rng, _NOISE_SAMPLES, rate_hz, suite.baro_wash_hz)
        self._wash: list[float] = wash.tolist()
        self._gain = 1.0 - math.exp(-self._dt / max(suite.baro_lag_s, 1e-3))
        self._lagged: float | None = None
        self._step = 0
        self._due_s = 0.05

    def update(self, time_s: float, height_m: float, airspeed_m_s: float, thrust_ratio: float) -> None:
        """One period of the 50 Hz state."""
        suite, i = self._suite, self._step % _NOISE_SAMPLES
        self._step += 1
        thrust = min(max(thrust_ratio, 0.0), 1.5)
        near = math.exp(-height_m / self._span_m) * thrust
        error = self._drift[i] + suite.baro_ram * airspeed_m_s**2 + self._wash[i] * thrust
        error -= suite.baro_ground_m * near * (1.0 + 0.5 * self._wake[i])
        before = height_m if self._lagged is None else self._lagged
        now = self._lagged = before + self._gain * (height_m + error - before)
        if self._due_s <= time_s:
            share = min((time_s - self._due_s) / self._dt, 1.0)
            altitude = now + share * (before - now) + suite.baro_noise_m * float(self._rng.standard_normal())
            self.samples.append((round(self._due_s * 1e6), altitude))
            self._due_s += suite.baro_interval_us * 1e-6


def body_field_gauss(rotation: tuple[float, ...]) -> tuple[float, float, float]:
    """The magnetic field in body axes. rotation: body to NED, row by row."""
    north, east, down = FIELD_NED_GAUSS
    x, y, z = (rotation[axis] * north + rotation[3 + axis] * east + rotation[6 + axis] * down for axis in range(3))
    return x, y, z
