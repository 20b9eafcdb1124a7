"""Plausibility limits of samples: the same for logs and for live links."""

from __future__ import annotations

from px4_tinyml.units import US_PER_S

MAX_ACCEL_M_S2 = 400.0
"""Beyond every accelerometer flown (32 g is 314 m/s²)."""
MAX_GYRO_RAD_S = 70.0
"""Beyond every gyroscope flown (4000 °/s is 69.8 rad/s)."""
ALTITUDE_RANGE_M = (-1000.0, 20_000.0)
MAX_TIME_US = 1 << 53
"""The year 2255: later times are damage."""
BARO_PAUSE_US = US_PER_S
"""Barometer samples are dropped for this long after a change of barometer or of its calibration. Its altitude differs:
windows shall see it stale, not jump. The PX4 module pauses for as long."""
