"""A log as a telemetry link would have carried it: IMU samples decimated without a filter.

PX4 sends HIGHRES_IMU at the requested rate by picking samples, so propeller vibration aliases into the band of
turbulence. A classifier for such a link needs such samples in its training data.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from px4_tinyml.flight_log import FlightLog, ImuSeries
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import FULL_RATE_SAMPLES
from px4_tinyml.units import US_PER_S

ADVICE = (
    "are decimated without filtering: vibration aliases and may be classified as turbulence. Use a faster link, or a "
    "bundle of preset bands (docs/live.md)"
)
REDUCED = "IMU samples are decimated: %.0f a second, reduced sensitivity to turbulence (docs/live.md)"
"""For a `bands` spec. Its value: samples a second."""
WORTHWHILE = 2.0
"""A log needs this many times the rate, else decimation would drop almost nothing."""


def is_thinned(imu_source: str, imu_hz: float, spec: PipelineSpec) -> bool:
    """Whether a stream of this MAVLink message drops samples (PX4's IMUs give at least 188 Hz).

    A `bands` spec counts the samples of each window, from any source.
    """
    known = spec.input == "bands" or imu_source == "HIGHRES_IMU"
    return known and imu_hz < FULL_RATE_SAMPLES * spec.rate_hz


def thinned(log: FlightLog, rate_hz: float) -> FlightLog | None:
    """The log with the first IMU sample of each period of 1/rate_hz; None when the log is not fast enough.

    The phase of the periods is drawn from the log's hash, since a vehicle's streams are not aligned with the slots.
    Its source is named "file@50Hz"; barometer and references are unchanged.
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
        on_ground=None if log.on_ground is None else log.on_ground[kept],
    )
