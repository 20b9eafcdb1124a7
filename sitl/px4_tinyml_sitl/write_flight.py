"""Write a flown flight as a ULog file, at the rates of PX4's default logger."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from px4_tinyml.flight_log import F64, I64, U64
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter
from px4_tinyml_sitl import logged_topics
from px4_tinyml_sitl.attitude import quaternion
from px4_tinyml_sitl.autopilot import OUTER_HZ
from px4_tinyml_sitl.flight import FlightPlan, Flown, measured_imu
from px4_tinyml_sitl.sensors import logged_imu, lowpass_noise, measure_baro
from px4_tinyml_sitl.world import RATE_HZ


class _Recorder:
    """Samples the 50 Hz truth at each topic's rate and writes it."""

    def __init__(self, plan: FlightPlan, flown: Flown, rng: np.random.Generator) -> None:
        self.plan, self.flown, self.rng = plan, flown, rng
        # Boot takes a while: logs do not start at zero.
        self.start_us = int(rng.integers(4_000_000, 90_000_000))
        self.log = ULogWriter(self.start_us)
        self.slow = flown.slow

    def rows(self, rate_hz: float) -> tuple[U64, dict[str, F64]]:
        """(timestamps, columns) of the 50 Hz truth decimated to a rate."""
        return self.picked(np.arange(0, len(self.slow["time_s"]), max(1, round(OUTER_HZ / rate_hz))))

    def picked(self, index: I64) -> tuple[U64, dict[str, F64]]:
        """(timestamps, columns) of some of its rows."""
        return self.stamp(self.slow["time_s"][index]), {name: c[index] for name, c in self.slow.items()}

    def stamp(self, seconds: F64) -> U64:
        """Log time of simulation times."""
        result: U64 = np.rint(seconds * 1e6).astype(np.uint64) + np.uint64(self.start_us)
        return result

    def add(self, topic: str, timestamp: U64, **fields: object) -> None:
        """Write a topic. Its timestamp_sample is the given time, its timestamp up to 0.9 ms later."""
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
    for key, value in logged_topics.information(plan, plan.mission, plan.weather.condition).items():
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
    sensors = r.plan.sensors
    imu, interval = logged_imu(sensors, measured_imu(r.plan, r.flown, r.rng)), sensors.imu_interval_us
    r.add(
        "sensor_combined", imu.timestamp_us + np.uint64(r.start_us), accelerometer_m_s2=imu.accel_m_s2,
        gyro_rad=imu.gyro_rad_s, gyro_integral_dt=interval, accelerometer_integral_dt=interval,
    )  # fmt: skip


def _baro(r: _Recorder) -> None:
    slow, vehicle = r.slow, r.plan.vehicle
    airborne = slow["time_s"][int(np.argmin(slow["landed"]))]
    when, altitude = measure_baro(
        r.plan.sensors, slow["time_s"], slow["height"], slow["airspeed"], slow["thrust_ratio"] * slow["armed"],
        vehicle.span_m, float(airborne), r.rng,
    )  # fmt: skip
    fields = logged_topics.air_data(altitude + r.plan.elevation_m, vehicle.rho_kg_m3)
    r.add("vehicle_air_data", r.stamp(when), **fields)


def _position(r: _Recorder) -> None:
    time, s = r.rows(10.0)
    every = OUTER_HZ // 10
    for topic, prefix in (("vehicle_local_position", "est_"), ("vehicle_local_position_groundtruth", "")):
        accel = np.gradient(np.stack([r.slow[prefix + a] for a in ("vx", "vy", "vz")]), axis=1) * OUTER_HZ
        ax, ay, az = accel[:, ::every]
        heading = np.remainder(s["yaw"] + np.pi, 2.0 * np.pi) - np.pi
        fields = logged_topics.local_position(s, prefix, heading, r.plan)
        r.add(topic, time, ref_timestamp=r.start_us, ax=ax, ay=ay, az=az, **fields)
    time, s = r.rows(25.0)
    angles = zip(s["roll"].tolist(), s["pitch"].tolist(), s["yaw"].tolist(), strict=True)
    r.add("vehicle_attitude", time, q=[quaternion(*rpy) for rpy in angles])


def _on_change(r: _Recorder, name: str) -> tuple[U64, dict[str, F64]]:
    """Rows once a second and wherever a column changes."""
    changed = np.diff(r.slow[name], prepend=np.nan) != 0.0
    changed[::OUTER_HZ] = True
    return r.picked(np.flatnonzero(changed))


def _state(r: _Recorder) -> None:
    time, s = _on_change(r, "landed")
    in_ground_effect = s["height"] < 2.0 * r.plan.vehicle.span_m
    r.add("vehicle_land_detected", time, in_ground_effect=in_ground_effect, **logged_topics.land_detected(s))
    time, s = _on_change(r, "armed")
    armed = s["armed"] > 0.0
    armed_time = np.where(armed, time[int(np.argmax(armed))], 0)
    fields = logged_topics.vehicle_status(armed, topics.NAVIGATION_STATE_AUTO_MISSION, 1)
    r.add("vehicle_status", time, armed_time=armed_time, **fields)
    time, s = r.rows(10.0)
    share = np.full((len(time), 12), np.nan)
    speed = r.flown.rotor_rad_s[:: RATE_HZ // 10][: len(time)]
    top = r.plan.vehicle.rotor.hover_rad_s * r.plan.vehicle.thrust_ratio**0.5
    share[:, :4] = np.clip(speed / top, 0.0, 1.0)
    r.add("actuator_motors", time, control=share)


def _truth(r: _Recorder) -> None:
    time, s = r.rows(10.0)
    rows = [dict(zip(s, values, strict=True)) for values in zip(*(c.tolist() for c in s.values()), strict=True)]
    truth = [logged_topics.turbulence_truth(row) for row in rows]
    r.add("turbulence_truth", time, **{name: [row[name] for row in truth] for name in truth[0]})
    time, s = r.rows(1.0)
    direction = r.plan.weather.direction_rad
    # The EKF's wind is slow and not exact.
    size = 1 << max(6, (len(time) - 1).bit_length())
    wrong = [0.4 * lowpass_noise(r.rng, size, 1.0, 0.02)[: len(time)] for _ in range(2)]
    north, east = s["wind"] * np.cos(direction) + wrong[0], s["wind"] * np.sin(direction) + wrong[1]
    r.add("wind", time, **logged_topics.wind(north, east))
