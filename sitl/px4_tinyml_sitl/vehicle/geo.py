"""Position of the local frame on the globe."""

from __future__ import annotations

import math

from px4_tinyml_sitl.flight import SlowRow

REFERENCE_LAT_DEG, REFERENCE_LON_DEG = 47.0, 8.0
"""Origin of the local frame."""
_M_PER_DEG = math.pi / 180.0 * 6_371_000.0
"""PX4's sphere (lib/geo)."""
_EAST_M_PER_DEG = _M_PER_DEG * math.cos(math.radians(REFERENCE_LAT_DEG))


class Home:
    """The origin of the local frame (NED, m) and the home position in it. elevation_m: of the origin, over sea."""

    def __init__(self, elevation_m: float) -> None:
        self.elevation_m = elevation_m
        self.position = (0.0, 0.0, 0.0)
        self.yaw = 0.0

    def set(self, row: SlowRow) -> None:
        """Set home to the vehicle's position and heading."""
        self.position = (row.est_x, row.est_y, row.est_z)
        self.yaw = row.yaw

    def local(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """North and east of the origin, m."""
        return (lat_deg - REFERENCE_LAT_DEG) * _M_PER_DEG, (lon_deg - REFERENCE_LON_DEG) * _EAST_M_PER_DEG

    def globe(self, north_m: float, east_m: float) -> tuple[float, float]:
        """Latitude and longitude, degrees."""
        return REFERENCE_LAT_DEG + north_m / _M_PER_DEG, REFERENCE_LON_DEG + east_m / _EAST_M_PER_DEG
