"""Physical constants and unit factors: multiply by the factor to get SI."""

from __future__ import annotations

import math

STANDARD_GRAVITY_M_S2 = 9.80665
"""One g. A level vehicle at rest reads accel z = -STANDARD_GRAVITY_M_S2 in FRD."""

RAD_PER_DEG = math.pi / 180.0
M_PER_FT = 0.3048
M_S_PER_KT = 1852.0 / 3600.0
US_PER_S = 1_000_000


def pressure_altitude_m(pressure_pa: float) -> float:
    """Altitude above the 1013.25 hPa level in the ICAO standard atmosphere, metres; NaN outside 0…2000 hPa."""
    if not 0.0 < pressure_pa < 2e5:
        return math.nan
    return 44330.769 * (1.0 - math.pow(pressure_pa / 101325.0, 0.190263))
