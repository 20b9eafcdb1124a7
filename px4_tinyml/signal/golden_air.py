"""A synthetic flight: the input of the golden vectors of a `bands` spec, whose windows cannot be made from features.

On the ground, then tones and noise that grow and fade, climbs and descents, hard manoeuvring; a hole, a value that is
not finite, a clock that steps back, a silent barometer.
"""

from __future__ import annotations

import numpy as np

from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import STANDARD_GRAVITY_M_S2, US_PER_S

SECONDS = 100
SAMPLES_A_SLOT = 2
GROUND_S = 7.0
HOLE_S, NOT_FINITE_S, CLOCK_STEP_S = 24.0, 31.0, 38.0
STEP_US = 2_000_000
SILENT_S = (70.0, 74.0)
MANOEUVRE_S = (82.0, 88.0)
NOISE = (0.15, 0.15, 0.25, 0.02, 0.02, 0.01)
"""m/s² and rad/s; times e to the power of ±SWELL."""
SWELL = 1.8
TONES_HZ = (0.8, 2.7, 4.1, 1.6, 3.1, 6.0)


def air_feed(spec: PipelineSpec, seed: int) -> Feed:
    """The flight, seeded."""
    rng = np.random.default_rng(seed)
    rate_hz = SAMPLES_A_SLOT * spec.rate_hz
    t = (np.arange(SECONDS * rate_hz) + 0.5) / rate_hz
    swell = np.exp(SWELL * np.sin(2 * np.pi * t / 17.0))[:, None]
    noise = np.array(NOISE)
    imu = swell * (rng.normal(0.0, noise, (len(t), 6)) + noise * np.sin(2 * np.pi * t[:, None] * np.array(TONES_HZ)))
    climb_m_s = 1.5 * np.sin(2 * np.pi * t / 31.0)
    imu[:, 2] -= STANDARD_GRAVITY_M_S2 + np.gradient(climb_m_s, t)
    hard = (t > MANOEUVRE_S[0]) & (t < MANOEUVRE_S[1])
    imu[hard, 3] += 2.0 * np.sin(2 * np.pi * 0.9 * t[hard])
    imu[np.searchsorted(t, NOT_FINITE_S), 2] = np.nan

    time_us = np.rint(t * US_PER_S).astype(np.int64) + 10 * US_PER_S
    gap_us = (spec.max_gap_slots + 3) * US_PER_S // spec.rate_hz
    time_us += np.where(t > HOLE_S, gap_us, 0) - np.where(t > CLOCK_STEP_S, STEP_US, 0)
    altitude = 120.0 + np.cumsum(climb_m_s) / rate_hz + rng.normal(0.0, 0.1, len(t))
    every = np.arange(len(t)) % 5 == 0
    heard = every & ~((t > SILENT_S[0]) & (t < SILENT_S[1]))
    return Feed(
        imu_time_us=time_us.astype(np.uint64),
        imu=imu.astype(np.float32),
        baro_time_us=time_us[heard].astype(np.uint64),
        baro_altitude_m=altitude[heard].astype(np.float32),
        baro_before=np.cumsum(heard).astype(np.int64),
        on_ground=t < GROUND_S,
    )
