"""A log as a telemetry link would have carried it: IMU samples passed over, not averaged.

PX4 thins HIGHRES_IMU to the rate that was asked for without a filter, so propeller vibration aliases into the band of
turbulence. A classifier that shall work on such a link has to see such samples in training.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from px4_tinyml.flight_log import FlightLog, ImuSeries
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import US_PER_S

ALIASING_SAMPLES = 3
"""HIGHRES_IMU with fewer samples a slot than this was thinned (PX4's IMUs give 188 a second and more)."""
ADVICE = (
    "are not all its samples: vibration may read as turbulence: use a faster link, or a bundle trained for such links: "
    "pretrained-50hz (docs/live.md)"
)
WORTHWHILE = 2.0
"""A log with less than this many times the rate has next to nothing to pass over."""


def is_thinned(imu_source: str, imu_hz: float, spec: PipelineSpec) -> bool:
    """Whether a stream of this MAVLink message leaves out samples."""
    return imu_source == "HIGHRES_IMU" and imu_hz < ALIASING_SAMPLES * spec.rate_hz


def thinned(log: FlightLog, rate_hz: float) -> FlightLog | None:
    """The log with the first IMU sample of each period of 1/rate_hz; None when it has hardly more than these.

    Where periods begin is drawn from the log's hash: a vehicle's streams and the slots know nothing of each other.
    Its source is named "file@50Hz"; everything else (barometer, references) is the log's.
    """
    imu = log.imu
    if imu.rate_hz < WORTHWHILE * rate_hz:
        return None
    phase = int(log.sha256[:8], 16) / 2**32
    period = np.floor(imu.timestamp_us.astype(np.float64) * rate_hz / US_PER_S - phase)
    kept = np.flatnonzero(np.diff(period, prepend=-1.0) != 0)
    return replace(
        log,
        source=f"{log.source}@{rate_hz:g}Hz",
        imu=ImuSeries(imu.timestamp_us[kept], imu.accel_m_s2[kept], imu.gyro_rad_s[kept]),
        baro_before=None if log.baro_before is None else log.baro_before[kept],
    )
