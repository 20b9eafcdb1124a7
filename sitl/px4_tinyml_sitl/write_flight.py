"""A flown flight as a ULog file, at the rates of PX4's default logger."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from px4_tinyml import __version__
from px4_tinyml.flight_log import F64, U64
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter
from px4_tinyml_sitl.autopilot import OUTER_HZ
from px4_tinyml_sitl.flight import FlightPlan, Flown
from px4_tinyml_sitl.sensors import imu_times, lowpass_noise, measure_baro, measure_imu
from px4_tinyml_sitl.turbulence import edr_from_w20, intensities, lengths
from px4_tinyml_sitl.world import RATE_HZ

_HARDWARE = "JSBSIM_QUAD"
_REFERENCE_LAT, _REFERENCE_LON = 47.0, 8.0
_BARO_DEVICE = 0x4A5342
_STEADY_STATE_HZ = 1.0


class _Recorder:
    """Samples the 50 Hz truth at each topic's rate and writes it."""

    def __init__(self, plan: FlightPlan, flown: Flown, rng: np.random.Generator) -> None:
        self.plan, self.flown, self.rng = plan, flown, rng
        # Boot takes a while: logs do not start at zero.
        self.start_us = int(rng.integers(4_000_000, 90_000_000))
        self.log = ULogWriter(self.start_us)
        self.slow = flown.slow

    def rows(self, rate_hz: float) -> tuple[U64, dict[str, F64]]:
        """(timestamps, columns) of the 50 Hz truth thinned to a rate, with a little delay in the timestamps."""
        index = np.arange(0, len(self.slow["time_s"]), max(1, round(OUTER_HZ / rate_hz)))
        return self.stamp(self.slow["time_s"][index]), {name: c[index] for name, c in self.slow.items()}

    def stamp(self, seconds: F64) -> U64:
        """Log time of simulation times."""
        result: U64 = np.rint(seconds * 1e6).astype(np.uint64) + np.uint64(self.start_us)
        return result

    def add(self, topic: str, timestamp: U64, **fields: object) -> None:
        """Write a topic; timestamp_sample is the given time and the message itself comes a little later."""
        if "timestamp_sample" in topics.FORMATS[topic]:
            late = self.rng.integers(40, 900, len(timestamp)).astype(np.uint64)
            fields = {"timestamp_sample": timestamp, **fields}
            timestamp = timestamp + late
        self.log.topic(topic, topics.FORMATS[topic], {"timestamp": timestamp, **fields})  # type: ignore[dict-item]


def write_flight(plan: FlightPlan, flown: Flown, path: Path) -> None:
    """Measure a flown flight with its sensors and write the log."""
    recorder = _Recorder(plan, flown, plan.rng.spawn(1)[0])
    _head(recorder)
    _imu(recorder)
    _baro(recorder)
    _position(recorder)
    _state(recorder)
    _truth(recorder)
    recorder.log.save(path)


def _head(r: _Recorder) -> None:
    plan, vehicle = r.plan, r.plan.vehicle
    for key, value in (
        ("sys_name", "PX4"), ("ver_hw", _HARDWARE), ("ver_sw", f"px4-tinyml {__version__}"),
        ("sim_airframe", vehicle.airframe.name), ("sim_mission", plan.mission),
        ("sim_seed", str(plan.seed)), ("sim_flight", str(plan.index)), ("sim_weather", plan.weather.condition),
    ):  # fmt: skip
        r.log.info(key, value)
    r.log.info("ver_data_format", 2)
    r.log.info("time_ref_utc", 0)
    rotor = vehicle.rotor
    parameters: tuple[tuple[str, int | float], ...] = (
        ("MAV_TYPE", topics.MAV_TYPE_QUADROTOR), ("SYS_AUTOSTART", 4001),
        ("SIM_MASS", vehicle.mass_kg), ("SIM_IXX", vehicle.inertia_kg_m2[0]),
        ("SIM_IYY", vehicle.inertia_kg_m2[1]), ("SIM_IZZ", vehicle.inertia_kg_m2[2]),
        ("SIM_ROTOR_R", rotor.radius_m), ("SIM_ROTOR_HOVER", rotor.hover_rad_s),
        ("SIM_MOTOR_TAU", vehicle.motor_tau_s), ("SIM_ZW", rotor.heave_damping(vehicle.mass_kg)),
        ("SIM_ROTOR_DX", vehicle.rotor_drag_per_s[0]), ("SIM_ROTOR_DY", vehicle.rotor_drag_per_s[1]),
    )  # fmt: skip
    for name, number in parameters:
        r.log.parameter(name, number)


def _imu(r: _Recorder) -> None:
    suite = r.plan.sensors
    flown = r.flown
    time = imu_times(suite, len(flown.fast) / RATE_HZ, r.rng)
    samples = measure_imu(
        suite, time, flown.fast, flown.rotor_rad_s, r.plan.vehicle.rotor.hover_rad_s, float(RATE_HZ), r.rng
    )
    r.add(
        "sensor_combined", time + np.uint64(r.start_us), accelerometer_m_s2=samples[:, :3], gyro_rad=samples[:, 3:],
        gyro_integral_dt=suite.imu_interval_us, accelerometer_integral_dt=suite.imu_interval_us,
    )  # fmt: skip


def _baro(r: _Recorder) -> None:
    slow, vehicle = r.slow, r.plan.vehicle
    airborne = slow["time_s"][int(np.argmin(slow["landed"]))]
    when, altitude = measure_baro(
        r.plan.sensors, slow["time_s"], slow["height"], slow["airspeed"], slow["thrust_ratio"] * slow["armed"],
        vehicle.span_m, float(airborne), r.rng,
    )  # fmt: skip
    above_sea = altitude + r.plan.elevation_m
    r.add(
        "vehicle_air_data", r.stamp(when), baro_device_id=_BARO_DEVICE, baro_alt_meter=above_sea,
        baro_pressure_pa=101325.0 * (1.0 - 2.25577e-5 * above_sea) ** 5.2559,
        ambient_temperature=15.0, rho=vehicle.rho_kg_m3,
    )  # fmt: skip


def _position(r: _Recorder) -> None:
    error = r.plan.estimator_m_s
    for topic, prefix in (
        ("vehicle_local_position", "est_"),
        ("vehicle_local_position_groundtruth", ""),
    ):
        time, s = r.rows(10.0)
        accel = np.gradient(np.stack([r.slow[prefix + a] for a in ("vx", "vy", "vz")]), axis=1) * OUTER_HZ
        every = OUTER_HZ // 10
        r.add(
            topic, time, ref_timestamp=r.start_us, ref_lat=_REFERENCE_LAT, ref_lon=_REFERENCE_LON,
            ref_alt=r.plan.elevation_m, x=s[prefix + "x"], y=s[prefix + "y"], z=s[prefix + "z"],
            vx=s[prefix + "vx"], vy=s[prefix + "vy"], vz=s[prefix + "vz"], z_deriv=s[prefix + "vz"],
            ax=accel[0, ::every], ay=accel[1, ::every], az=accel[2, ::every],
            heading=_wrapped(s["yaw"]), unaided_heading=_wrapped(s["yaw"]), dist_bottom=s["height"],
            eph=6.0 * error, epv=6.0 * error, evh=error, evv=error, vxy_max=np.inf, vz_max=np.inf,
            hagl_min=np.inf, hagl_max_z=np.inf, hagl_max_xy=np.inf, xy_valid=1, z_valid=1, v_xy_valid=1,
            v_z_valid=1, heading_good_for_control=1, xy_global=1, z_global=1,
        )  # fmt: skip
    time, s = r.rows(25.0)
    r.add("vehicle_attitude", time, q=_quaternion(s["roll"], s["pitch"], s["yaw"]))


def _wrapped(angle: F64) -> F64:
    result: F64 = np.remainder(angle + np.pi, 2.0 * np.pi) - np.pi
    return result


def _quaternion(roll: F64, pitch: F64, yaw: F64) -> F64:
    """Body FRD to NED, [w, x, y, z]."""
    cr, sr, cp, sp, cy, sy = (f(0.5 * a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    return np.stack(
        [
            cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
        ],
        axis=1,
    )  # fmt: skip


def _on_change(r: _Recorder, *names: str) -> tuple[U64, dict[str, F64]]:
    """Rows once a second and wherever one of the columns changes."""
    state = np.stack([r.slow[name] for name in names])
    changed = np.concatenate([[True], np.any(np.diff(state, axis=1) != 0.0, axis=0)])
    changed[:: int(OUTER_HZ / _STEADY_STATE_HZ)] = True
    index = np.flatnonzero(changed)
    return r.stamp(r.slow["time_s"][index]), {name: column[index] for name, column in r.slow.items()}


def _state(r: _Recorder) -> None:
    time, s = _on_change(r, "landed")
    low_thrust = s["thrust_ratio"] < 0.5
    r.add(
        "vehicle_land_detected", time, landed=s["landed"], ground_contact=s["height"] < 0.02,
        maybe_landed=s["landed"], has_low_throttle=low_thrust, in_descend=s["sp_vz"] > 0.5,
        in_ground_effect=s["height"] < 2.0 * r.plan.vehicle.span_m, vertical_movement=np.abs(s["vz"]) > 0.3,
        horizontal_movement=np.hypot(s["vx"], s["vy"]) > 0.5, close_to_ground_or_skipped_check=1,
        at_rest=s["armed"] == 0.0,
    )  # fmt: skip
    time, s = _on_change(r, "armed")
    armed = s["armed"] > 0.0
    armed_us = time[int(np.argmax(armed))]
    r.add(
        "vehicle_status", time, armed_time=np.where(armed, armed_us, 0),
        arming_state=np.where(armed, topics.ARMING_STATE_ARMED, topics.ARMING_STATE_DISARMED),
        nav_state=topics.NAVIGATION_STATE_AUTO_MISSION, nav_state_user_intention=topics.NAVIGATION_STATE_AUTO_MISSION,
        vehicle_type=topics.VEHICLE_TYPE_ROTARY_WING, system_type=topics.MAV_TYPE_QUADROTOR, system_id=1,
        component_id=1, pre_flight_checks_pass=1, power_input_valid=1,
    )  # fmt: skip
    time, s = r.rows(10.0)
    share = np.zeros((len(time), 12))
    share[:, 4:] = np.nan
    every = RATE_HZ // 10
    speed = r.flown.rotor_rad_s[::every][: len(time)]
    top = r.plan.vehicle.rotor.hover_rad_s * r.plan.vehicle.thrust_ratio**0.5
    share[:, :4] = np.clip(speed / top, 0.0, 1.0)
    r.add("actuator_motors", time, control=share)


def _truth(r: _Recorder) -> None:
    time, s = r.rows(10.0)
    sigma = np.array([intensities(w20, h) for w20, h in zip(s["w20"], s["height"], strict=True)])
    length = np.array([lengths(h) for h in s["height"]])
    edr = [edr_from_w20(w20, h) for w20, h in zip(s["w20"], s["height"], strict=True)]
    r.add(
        "turbulence_truth", time, edr=edr, w20_m_s=s["w20"], wind_speed_m_s=s["wind"], height_m=s["height"],
        sigma_u=sigma[:, 0], sigma_v=sigma[:, 0], sigma_w=sigma[:, 1], length_u=length[:, 0],
        length_v=length[:, 0], length_w=length[:, 1], gust_n=s["gust_n"], gust_e=s["gust_e"], gust_d=s["gust_d"],
    )  # fmt: skip
    time, s = r.rows(1.0)
    direction = r.plan.weather.direction_rad
    # The EKF's wind is slow and not exact.
    size = 1 << max(6, (len(time) - 1).bit_length())
    wrong = [0.4 * lowpass_noise(r.rng, size, 1.0, 0.02)[: len(time)] for _ in range(2)]
    r.add(
        "wind", time, windspeed_north=s["wind"] * np.cos(direction) + wrong[0],
        windspeed_east=s["wind"] * np.sin(direction) + wrong[1], variance_north=0.16, variance_east=0.16,
    )  # fmt: skip
