"""Names of vehicles: the key that logs of one airframe share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from px4_tinyml.flight_log import VehicleClass
from px4_tinyml.mavlink import dialect

MAV_TYPES = {
    0: "generic", 1: "fixedwing", 2: "quad", 3: "coaxial", 4: "helicopter", 10: "rover", 11: "boat",
    12: "submarine", 13: "hexa", 14: "octo", 15: "tri", 19: "vtol", 20: "vtol", 21: "vtol", 22: "vtol",
    23: "vtol", 24: "vtol", 25: "vtol", 29: "dodeca", 35: "deca",
}  # fmt: skip
"""Short names by MAV_TYPE. Numbers, because reading a ULog should not load pymavlink."""
MULTIROTORS = {2, 13, 14, 15, 29, 35, 43}
"""MAV_TYPEs with four or more rotors (or three) of fixed pitch; 43: any multirotor."""
VTOLS = {19, 20, 21, 22, 23, 24, 25}
FIXED_WING = 1
NO_KIND = {0, 6, 18, 26, 27, 30, 40}
"""MAV_TYPEs that leave the vehicle open: generic, ground station, companion, gimbal, ADS-B, camera, IMU."""


def autopilot_name(number: int) -> str:
    """ "PX4" for MAV_AUTOPILOT_PX4, "autopilot 5" for one without a short name."""
    names = {dialect.MAV_AUTOPILOT_ARDUPILOTMEGA: "ArduPilot", dialect.MAV_AUTOPILOT_PX4: "PX4"}
    return names.get(number, f"autopilot {number}")


def mav_type_name(number: int | None) -> str:
    """ "quad" for MAV_TYPE 2, "type 7" for a type without a short name, "unknown" for None."""
    if number is None:
        return "unknown"
    return MAV_TYPES.get(number, f"type {number}")


def vehicle_class(mav_type: int | None) -> VehicleClass:
    """Class of a MAV_TYPE; "other" for rovers, boats, helicopters and the like."""
    if mav_type is None or mav_type in NO_KIND:
        return "unknown"
    if mav_type in MULTIROTORS:
        return "multirotor"
    if mav_type in VTOLS:
        return "vtol"
    return "fixed_wing" if mav_type == FIXED_WING else "other"


def px4_vehicle_class(status: Mapping[str, int], mav_type: int | None) -> VehicleClass:
    """Class by the fields of a vehicle_status, else by the parameter MAV_TYPE.

    status: those of is_vtol, system_type (a MAV_TYPE), vehicle_type and is_rotary_wing (until 2019) that it has.
    """
    if status.get("is_vtol") == 1:
        return "vtol"
    by_status: dict[int, VehicleClass] = {1: "multirotor", 2: "fixed_wing", 3: "other", 4: "other"}
    found = [vehicle_class(status.get("system_type")), by_status.get(status.get("vehicle_type", 0), "unknown")]
    if status.get("is_rotary_wing") == 1:
        found.append("multirotor")
    found.append(vehicle_class(mav_type))
    return next((c for c in found if c != "unknown"), "unknown")


def px4_version(info: Mapping[str, Any]) -> str:
    """ "PX4 v1.15.0-beta" from ver_sw_release, else the git hash, else `ver_sw` as it is."""
    name = str(info.get("sys_name", "firmware"))
    release = info.get("ver_sw_release")
    if isinstance(release, int) and release > 0:
        major, minor, patch, kind = (release >> shift & 0xFF for shift in (24, 16, 8, 0))
        suffix = next(
            s for limit, s in ((255, ""), (192, "-rc"), (128, "-beta"), (64, "-alpha"), (0, "-dev")) if kind >= limit
        )
        return f"{name} v{major}.{minor}.{patch}{suffix}"
    version = info.get("ver_sw")
    if not isinstance(version, str) or not version:
        return f"{name} unknown"
    return f"{name} {version[:10] if re.fullmatch('[0-9a-f]{40}', version) else version}"
