"""Fields of the topics a simulated flight logs, from its state: of numbers for one instant, of arrays for a flight.

`s` maps the names of flight.SlowRow to values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from px4_tinyml import __version__
from px4_tinyml.logs.ulog import topics
from px4_tinyml_sitl.flight import FlightPlan
from px4_tinyml_sitl.turbulence import edr_from_w20, intensities, lengths
from px4_tinyml_sitl.vehicle.geo import REFERENCE_LAT_DEG, REFERENCE_LON_DEG

_BARO_DEVICE = 0x4A5342
_WIND_VARIANCE = 0.16


def flight_information(plan: FlightPlan, mission: str, weather: str) -> dict[str, str]:
    """Information messages that identify a simulated flight."""
    return {
        "sim_airframe": plan.vehicle.airframe.name, "sim_mission": mission, "sim_seed": str(plan.seed),
        "sim_flight": str(plan.index), "sim_weather": weather,
    }  # fmt: skip


def information(plan: FlightPlan, mission: str, weather: str) -> dict[str, str]:
    """All information messages of a log that is not PX4's own."""
    system = {"sys_name": "PX4", "ver_hw": "JSBSIM_QUAD", "ver_sw": f"px4-tinyml {__version__}"}
    return system | flight_information(plan, mission, weather)


def pressure_pa(altitude_m: Any) -> Any:
    """Pressure at an altitude above sea level, m."""
    return 101325.0 * (1.0 - 2.25577e-5 * altitude_m) ** 5.2559


def air_data(altitude_m: Any, rho_kg_m3: float) -> dict[str, Any]:
    """vehicle_air_data. altitude_m: above sea level."""
    return {
        "baro_device_id": _BARO_DEVICE, "baro_alt_meter": altitude_m, "baro_pressure_pa": pressure_pa(altitude_m),
        "ambient_temperature": 15.0, "rho": rho_kg_m3,
    }  # fmt: skip


def local_position(s: Mapping[str, Any], prefix: str, heading: Any, plan: FlightPlan) -> dict[str, Any]:
    """vehicle_local_position (prefix "est_") or its ground truth (prefix "")."""
    error = plan.estimator_m_s
    unlimited = dict.fromkeys(("vxy_max", "vz_max", "hagl_min", "hagl_max_z", "hagl_max_xy"), np.inf)
    valid = ("xy_valid", "z_valid", "v_xy_valid", "v_z_valid", "heading_good_for_control", "xy_global", "z_global")
    return {
        **{name: s[prefix + name] for name in ("x", "y", "z", "vx", "vy", "vz")},
        "ref_lat": REFERENCE_LAT_DEG, "ref_lon": REFERENCE_LON_DEG, "ref_alt": plan.elevation_m,
        "z_deriv": s[prefix + "vz"], "heading": heading, "unaided_heading": heading, "dist_bottom": s["height"],
        "eph": 6.0 * error, "epv": 6.0 * error, "evh": error, "evv": error, **unlimited, **dict.fromkeys(valid, 1),
    }  # fmt: skip


def land_detected(s: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "landed": s["landed"], "maybe_landed": s["landed"], "ground_contact": s["height"] < 0.02,
        "has_low_throttle": s["thrust_ratio"] < 0.5, "in_descend": s["sp_vz"] > 0.5,
        "vertical_movement": np.abs(s["vz"]) > 0.3, "horizontal_movement": np.hypot(s["vx"], s["vy"]) > 0.5,
        "close_to_ground_or_skipped_check": 1, "at_rest": s["armed"] == 0.0,
    }  # fmt: skip


def vehicle_status(armed: Any, nav_state: int, system_id: int) -> dict[str, Any]:
    """vehicle_status. armed: bool."""
    return {
        "arming_state": np.where(armed, topics.ARMING_STATE_ARMED, topics.ARMING_STATE_DISARMED),
        "nav_state": nav_state, "nav_state_user_intention": nav_state,
        "vehicle_type": topics.VEHICLE_TYPE_ROTARY_WING, "system_type": topics.MAV_TYPE_QUADROTOR,
        "system_id": system_id, "component_id": 1, "pre_flight_checks_pass": 1, "power_input_valid": 1,
    }  # fmt: skip


def wind(north: Any, east: Any) -> dict[str, Any]:
    """The wind topic, m/s."""
    variance = {"variance_north": _WIND_VARIANCE, "variance_east": _WIND_VARIANCE}
    return {"windspeed_north": north, "windspeed_east": east, **variance}


def turbulence_truth(s: Mapping[str, float]) -> dict[str, float]:
    """turbulence_truth of one instant."""
    w20, height = s["w20"], s["height"]
    (sigma_uv, sigma_w), (length_uv, length_w) = intensities(w20, height), lengths(height)
    return {
        "edr": edr_from_w20(w20, height), "w20_m_s": w20, "wind_speed_m_s": s["wind"], "height_m": height,
        "sigma_u": sigma_uv, "sigma_v": sigma_uv, "sigma_w": sigma_w, "length_u": length_uv, "length_v": length_uv,
        "length_w": length_w, "gust_n": s["gust_n"], "gust_e": s["gust_e"], "gust_d": s["gust_d"],
    }  # fmt: skip
