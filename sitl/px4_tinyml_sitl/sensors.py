"""Sensor models: samples of IMU and barometer from the truth.

`sensor_combined` contains averages over one sampling interval (PX4 integrates the raw IMU), so vibration lines are
attenuated by the sinc of their frequency and then alias. The rotors cause vibration: lines at once and twice their
speeds, and broadband noise with a rising spectrum like that of the real logs in docs/simulation.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from px4_tinyml.flight_log import F64, U64, ImuSeries
from px4_tinyml_sitl.turbulence import random_series

IMU_INTERVALS_US = (4000, 4511, 5000, 5055, 5333)
"""Sampling intervals of sensor_combined in PX4 logs (250 to 188 Hz)."""

SLOPE_S = 2.56
BARO_SLOPE_ERROR_M_S = (0.2, 0.9)
"""Range of the error of the barometer's slope over SLOPE_S in flight, as in real logs (docs/simulation.md)."""


def lowpass_noise(rng: np.random.Generator, n: int, rate_hz: float, corner_hz: float) -> F64:
    """First-order noise [n] of unit variance (periodic)."""

    def spectrum(k: F64) -> F64:
        return 1.0 / (1.0 + (k / (2.0 * np.pi * corner_hz)) ** 2)

    return _unit_noise(rng, n, rate_hz, spectrum)


def rising_noise(rng: np.random.Generator, n: int, rate_hz: float, corner_hz: float) -> F64:
    """White noise [n] of unit variance after a first-order high pass (periodic)."""

    def spectrum(k: F64) -> F64:
        x2 = (k / (2.0 * np.pi * corner_hz)) ** 2
        return x2 / (1.0 + x2)

    return _unit_noise(rng, n, rate_hz, spectrum)


def _unit_noise(rng: np.random.Generator, n: int, rate_hz: float, spectrum: Callable[[F64], F64]) -> F64:
    noise = random_series(rng, n, 1.0 / rate_hz, spectrum)
    result: F64 = noise / noise.std()
    return result


@dataclass(frozen=True)
class SensorSuite:
    """The sensors of one vehicle. Noise is the standard deviation of a sample.

    line_m_s2, line_rad_s: amplitudes of the vibration lines in hover [rotor, harmonic, axis].
    broad_m_s2, broad_rad_s: broadband vibration in hover [axis]. mounting: rotation and scale of the IMU [3, 3].
    baro_*: period, noise, lag, drift over a minute, metres of error per (m/s)² of air speed, near-ground noise, noise
    of the rotors' wash in hover and its corner. baro_silence_s: (start, end) of a dropout, s from take-off, or None.
    log_cutoff_hz: corner of a low-pass filter before the logger, or None. log_hz: rate at which it picks IMU samples,
    or None for all.
    """

    imu_interval_us: int
    imu_jitter_us: float
    accel_bias_m_s2: F64
    gyro_bias_rad_s: F64
    accel_noise_m_s2: float
    gyro_noise_rad_s: float
    mounting: F64
    line_m_s2: F64
    line_rad_s: F64
    broad_m_s2: F64
    broad_rad_s: F64
    broad_corner_hz: float
    baro_interval_us: int
    baro_noise_m: float
    baro_lag_s: float
    baro_drift_m: float
    baro_ram: float
    baro_ground_m: float
    baro_wash_m: float
    baro_wash_hz: float
    baro_silence_s: tuple[float, float] | None
    log_cutoff_hz: float | None
    log_hz: float | None


def draw_sensors(rng: np.random.Generator) -> SensorSuite:
    """Draw the sensors and vibration of one vehicle."""

    def spread(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(math.log(low), math.log(high))))

    # One level for the whole vehicle, so that vehicles differ: raw a_z from 0.4 to 5 m/s².
    level = spread(0.55, 2.4) * (2.2 if rng.random() < 0.15 else 1.0)
    axes = np.array([1.0, 1.0, spread(0.8, 2.2)])
    line = level * spread(0.3, 1.6) * np.abs(rng.normal(0.0, 1.0, (4, 2, 3))) * axes
    broad = spread(0.65, 1.3)
    silent = rng.random() < 0.1
    start = float(rng.uniform(10.0, 60.0))
    angles = rng.normal(0.0, 0.02, 3)
    more = rng.spawn(1)[0]
    wash_hz = float(more.uniform(0.2, 1.0))
    wash_m = float(np.exp(more.uniform(*np.log(BARO_SLOPE_ERROR_M_S)))) / slope_error_per_m(wash_hz)
    log_hz = float(more.choice([25.0, 50.0])) if more.random() < 0.08 else None
    cutoff_hz = float(np.exp(more.uniform(math.log(3.5), math.log(25.0)))) if more.random() < 0.15 else None
    tilt = np.array([
        [0.0, -angles[2], angles[1]], [angles[2], 0.0, -angles[0]], [-angles[1], angles[0], 0.0],
    ])  # fmt: skip
    return SensorSuite(
        imu_interval_us=int(rng.choice(IMU_INTERVALS_US)),
        imu_jitter_us=spread(2.0, 40.0),
        accel_bias_m_s2=rng.normal(0.0, [0.08, 0.08, 0.15]),
        gyro_bias_rad_s=rng.normal(0.0, 0.008, 3),
        accel_noise_m_s2=spread(0.02, 0.08),
        gyro_noise_rad_s=spread(0.004, 0.015),
        mounting=np.eye(3) + tilt + np.diag(rng.normal(0.0, 0.005, 3)),
        line_m_s2=line,
        line_rad_s=line * spread(0.006, 0.03),
        broad_m_s2=broad * axes,
        broad_rad_s=np.full(3, spread(0.025, 0.07)),
        broad_corner_hz=spread(18.0, 35.0),
        baro_interval_us=int(rng.choice([50_000, 66_667, 100_000, 200_000, 200_000])),
        baro_noise_m=spread(0.03, 0.25),
        baro_lag_s=float(rng.uniform(0.02, 0.2)),
        baro_drift_m=spread(0.05, 0.6),
        baro_ram=float(rng.uniform(-0.004, 0.012)),
        baro_ground_m=spread(0.05, 0.6),
        baro_wash_m=wash_m,
        baro_wash_hz=wash_hz,
        baro_silence_s=(start, start + float(rng.uniform(4.0, 20.0))) if silent else None,
        log_cutoff_hz=cutoff_hz,
        log_hz=log_hz,
    )


def slope_error_per_m(corner_hz: float) -> float:
    """RMS of the least-squares slope over SLOPE_S, m/s, of first-order noise of 1 m."""
    frequency = (np.arange(50_000) + 0.5) * 5e-4
    x = np.pi * frequency * SLOPE_S
    gain = 6.0 / SLOPE_S * (np.sin(x) / x**2 - np.cos(x) / x)
    density = 2.0 / (np.pi * corner_hz) / (1.0 + (frequency / corner_hz) ** 2)
    return math.sqrt(float(np.sum(gain**2 * density)) * 5e-4)


def logged_imu(suite: SensorSuite, imu: ImuSeries) -> ImuSeries:
    """What the logger stores of the IMU's samples: low-passed, or one of several picked without a filter."""
    values = np.hstack([imu.accel_m_s2, imu.gyro_rad_s]).astype(np.float64)
    if suite.log_cutoff_hz is not None:
        # Two first-order filters. The ends of a log are at rest: the transform may wrap around.
        frequency = np.fft.rfftfreq(len(values), suite.imu_interval_us * 1e-6)
        response = (1.0 + 1j * frequency / suite.log_cutoff_hz) ** -2.0
        values = np.fft.irfft(np.fft.rfft(values, axis=0) * response[:, None], len(values), axis=0)
    every = 1 if suite.log_hz is None else round(1e6 / suite.imu_interval_us / suite.log_hz)
    accel, gyro = np.split(values[::every].astype(np.float32), 2, axis=1)
    return ImuSeries(imu.timestamp_us[::every], accel, gyro)


def _broad_corner_hz(suite: SensorSuite, axis: int) -> float:
    return suite.broad_corner_hz * (1.0 if axis < 3 else 0.4)


class ImuErrors:
    """Vibration, mounting, bias and noise of an IMU, added sample by sample. Noise repeats after `samples` samples."""

    def __init__(
        self, suite: SensorSuite, hover_rad_s: float, interval_s: float, samples: int, rng: np.random.Generator
    ) -> None:
        self._hover, self._interval_s = hover_rad_s, interval_s
        self._mounting = suite.mounting
        self._shift = rng.uniform(0.0, 2.0 * np.pi, (4, 2, 6))
        self._line = np.concatenate([suite.line_m_s2, suite.line_rad_s], axis=2)
        # The suite's noise is that of its own interval: the same density at this one.
        density = math.sqrt(suite.imu_interval_us * 1e-6 / interval_s)
        self._broad = np.concatenate([suite.broad_m_s2, suite.broad_rad_s]) * density
        corners = [_broad_corner_hz(suite, axis) for axis in range(6)]
        self._noise = np.stack([rising_noise(rng, samples, 1.0 / interval_s, corner) for corner in corners], axis=1)
        self._white = np.repeat([suite.accel_noise_m_s2, suite.gyro_noise_rad_s], 3) * density
        self.bias = np.concatenate([suite.accel_bias_m_s2, suite.gyro_bias_rad_s])

    def add(self, number: int, truth: F64, speed: F64, angle: F64, white: F64) -> F64:
        """Accelerometer and gyro [6] of one sample. truth[6], speed[4] (rotors): means over its interval; angle[4]: of
        the rotors in its middle; white[6]: unit noise."""
        out = truth
        if speed.max() > 1.0:
            harmonic = np.array([1.0, 2.0])
            ratio2 = (speed / self._hover) ** 2
            averaged = ratio2[:, None] * np.sinc(speed[:, None] * harmonic * (self._interval_s / (2.0 * np.pi)))
            phase = angle[:, None, None] * harmonic[:, None] + self._shift
            out = out + np.sum(self._line * averaged[:, :, None] * np.sin(phase), axis=(0, 1))
            out += self._broad * float(ratio2.mean()) * self._noise[number % len(self._noise)]
        mounted = np.concatenate([self._mounting @ out[:3], self._mounting @ out[3:]])
        result: F64 = mounted + self.bias + self._white * white
        return result


def imu_times(suite: SensorSuite, seconds: float, rng: np.random.Generator) -> U64:
    """Sample times, µs from the start of the simulation: a steady clock with jitter and a few lost samples."""
    n = int(seconds * 1e6 / suite.imu_interval_us) - 2
    crystal = suite.imu_interval_us * (1.0 + float(rng.normal(0.0, 3e-4)))
    jitter = np.clip(rng.normal(0.0, suite.imu_jitter_us, n), -400.0, 400.0)
    time = np.rint(crystal * np.arange(1, n + 1) + jitter)
    keep = rng.random(n) > 2e-5
    result: U64 = time[keep].astype(np.uint64)
    return result


def _averages(values: F64, rate_hz: float, start_s: F64, end_s: F64) -> F64:
    """Means [N, C] of a sampled signal [n, C] over intervals, from its running integral."""
    integral = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)]) / rate_hz
    time = np.arange(len(integral)) / rate_hz
    columns = [np.interp(end_s, time, c) - np.interp(start_s, time, c) for c in integral.T]
    result: F64 = np.stack(columns, axis=1) / (end_s - start_s)[:, None]
    return result


def measure_imu(
    suite: SensorSuite, time_us: U64, truth: F64, rotor_rad_s: F64, hover_rad_s: float, rate_hz: float,
    rng: np.random.Generator,
) -> F64:  # fmt: skip
    """Accelerometer and gyro [N, 6] (m/s², rad/s) at the sample times.

    truth: specific force and rates [n, 6] at rate_hz; rotor_rad_s: rotor speeds [n, 4] of the same instants.
    """
    end = time_us.astype(np.float64) * 1e-6
    dt = suite.imu_interval_us * 1e-6
    start = end - dt
    out = _averages(truth, rate_hz, start, end)
    n = len(end)
    speed = _averages(rotor_rad_s, rate_hz, start, end)
    phase = np.cumsum(rotor_rad_s, axis=0) / rate_hz
    grid = (np.arange(len(phase)) + 1.0) / rate_hz
    line = np.concatenate([suite.line_m_s2, suite.line_rad_s], axis=2)
    # Drawn axis by axis: accelerometer, then gyro.
    shift = rng.uniform(0.0, 2.0 * np.pi, (4, 2, 3, 2)).swapaxes(2, 3).reshape(4, 2, 6)
    for rotor in range(4):
        strength = (speed[:, rotor] / hover_rad_s) ** 2
        angle = np.interp(0.5 * (start + end), grid, phase[:, rotor])
        for i, harmonic in enumerate((1, 2)):
            averaged = strength * np.sinc(harmonic * speed[:, rotor] * dt / (2.0 * np.pi))
            out += line[rotor, i] * averaged[:, None] * np.sin(harmonic * angle[:, None] + shift[rotor, i])
    size = 1 << (n - 1).bit_length()
    strength = np.mean(speed**2, axis=1) / hover_rad_s**2
    for axis, broad in enumerate((*suite.broad_m_s2, *suite.broad_rad_s)):
        out[:, axis] += broad * strength * rising_noise(rng, size, 1.0 / dt, _broad_corner_hz(suite, axis))[:n]
    out[:, :3] = out[:, :3] @ suite.mounting.T + suite.accel_bias_m_s2
    out[:, 3:] = out[:, 3:] @ suite.mounting.T + suite.gyro_bias_rad_s
    out[:, :3] += suite.accel_noise_m_s2 * rng.standard_normal((n, 3))
    out[:, 3:] += suite.gyro_noise_rad_s * rng.standard_normal((n, 3))
    return out


def measure_baro(
    suite: SensorSuite, time_s: F64, height_m: F64, airspeed_m_s: F64, thrust_ratio: F64,
    span_m: float, airborne_s: float, rng: np.random.Generator,
) -> tuple[F64, F64]:  # fmt: skip
    """(sample times in s, altitude over the take-off point in m). Inputs are on one 50 Hz grid time_s."""
    dt = float(time_s[1] - time_s[0])
    n = len(time_s)
    size = 1 << (n - 1).bit_length()
    error = suite.baro_drift_m * lowpass_noise(rng, size, 1.0 / dt, 0.01)[:n]
    error += suite.baro_ram * airspeed_m_s**2
    # The rotors' wake reflects from the ground: pressure rises and is unsteady below about two spans.
    near = np.exp(-height_m / span_m) * np.clip(thrust_ratio, 0.0, 1.5)
    error -= suite.baro_ground_m * near * (1.0 + 0.5 * lowpass_noise(rng, size, 1.0 / dt, 1.0)[:n])
    # The rotors' wash and the flow around the case: pressure fluctuates in flight.
    error += (
        suite.baro_wash_m * np.clip(thrust_ratio, 0.0, 1.5) * lowpass_noise(rng, size, 1.0 / dt, suite.baro_wash_hz)[:n]
    )
    lagged = np.empty(n)
    state, gain = float(height_m[0]), 1.0 - math.exp(-dt / max(suite.baro_lag_s, 1e-3))
    for index, value in enumerate((height_m + error).tolist()):
        state += gain * (value - state)
        lagged[index] = state
    when = np.arange(0.05, time_s[-1], suite.baro_interval_us * 1e-6)
    when = when + rng.uniform(0.0, 0.1 * suite.baro_interval_us * 1e-6, len(when))
    altitude = np.interp(when, time_s, lagged) + suite.baro_noise_m * rng.standard_normal(len(when))
    if suite.baro_silence_s is not None:
        begin, end = suite.baro_silence_s
        keep = (when < airborne_s + begin) | (when >= airborne_s + end)
        return when[keep], altitude[keep]
    return when, altitude
