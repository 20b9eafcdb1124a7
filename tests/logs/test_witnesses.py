"""A vertical speed that barometer and GPS velocity contradict is not trusted, in every kind of log."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from collect_samples import Dataflash, write_ulog2csv

from px4_tinyml.flight_log import BaroSeries, ReferenceSeries
from px4_tinyml.logs import read_log
from px4_tinyml.logs.dataflash.read_dataflash import read_dataflash
from px4_tinyml.logs.reference import Signal, Velocity, reference_series
from px4_tinyml.logs.ulog.read_ulog import read_ulog
from px4_tinyml.logs.ulog.topics import FORMATS
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter

SECONDS = 120
T_S = np.arange(SECONDS * 10) / 10
TIME_US = (T_S * 1e6).astype(np.uint64)
UP_AND_DOWN = 1.2 * np.sin(2 * np.pi * T_S / 40.0)
"""A true vertical speed, m/s down."""


def height(down_m_s: np.ndarray) -> np.ndarray:
    return 100.0 - np.cumsum(down_m_s) / 10


def trusted(
    down: np.ndarray, baro: np.ndarray | None, gps: np.ndarray | None = None, truth: bool = False, last: int = len(T_S)
) -> tuple[np.ndarray, list[str]]:
    """Which samples are trusted, and the warnings, of a vertical speed and its witnesses' speeds (down, 10 Hz)."""
    time_us, warnings = TIME_US[:last], list[str]()
    velocity = Velocity("test", time_us, down[:last], time_us, truth=truth)
    if gps is not None:
        velocity.gps = Signal(time_us, gps[:last])
    series = None if baro is None else BaroSeries(time_us, height(baro)[:last])
    found = reference_series(velocity, Signal(time_us, time_us), series, {}, warnings)
    assert found is not None
    return np.isfinite(found.velocity_down_m_s), warnings


def test_agreeing_witnesses_change_nothing() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.3, len(T_S))
    kept, warnings = trusted(UP_AND_DOWN, UP_AND_DOWN + noise, UP_AND_DOWN - noise + 0.1)
    assert kept.all() and warnings == []
    kept, warnings = trusted(UP_AND_DOWN, None)
    assert kept.all() and warnings == []


@pytest.mark.parametrize("gps", [None, UP_AND_DOWN])
def test_a_bias_over_the_flight_drops_all(gps: np.ndarray | None) -> None:
    kept, warnings = trusted(UP_AND_DOWN + 0.3, UP_AND_DOWN, gps)
    assert not kept.any() and "100% of the log" in warnings[0] and "over the whole flight" in warnings[0]
    assert ("GPS" in warnings[0]) == (gps is not None)
    assert trusted(UP_AND_DOWN + 0.1, UP_AND_DOWN, gps)[0].all()


def test_one_witness_that_agrees_is_enough() -> None:
    down = UP_AND_DOWN
    assert trusted(down, down + 1.0, down)[0].all() and trusted(down, down, down + 2.0)[0].all()
    assert not trusted(down, down + 1.0, down + 1.0)[0].any()


def test_a_short_flight_has_no_bias_to_judge() -> None:
    assert trusted(UP_AND_DOWN + 0.3, UP_AND_DOWN, last=350)[0].all()
    assert not trusted(UP_AND_DOWN + 0.3, UP_AND_DOWN, last=450)[0].any()


def test_a_speed_of_the_wrong_sign_is_dropped() -> None:
    slow = 0.5 * UP_AND_DOWN  # no mean over 10 s is wrong by more than 0.5 m/s much of the time
    kept, warnings = trusted(-1.4 * slow, 1.4 * slow)
    assert not kept.any() and "over the whole flight" in warnings[0]
    assert trusted(0.7 * slow, slow)[0].all()


def test_a_wrong_stretch_is_dropped_and_no_more() -> None:
    error = np.where((T_S >= 50) & (T_S < 70), 0.7, 0.0)
    down = UP_AND_DOWN
    kept, warnings = trusted(down + error, down, down)
    assert not kept[(T_S > 54) & (T_S < 66)].any() and kept[(T_S < 50) | (T_S > 70)].all()
    assert "the barometer and the GPS velocity disagree over 10 s" in warnings[0]
    assert trusted(down + error, down)[0].all()  # a barometer alone may be wrong by so much
    error = np.where((T_S >= 50) & (T_S < 60), 1.4, 0.0)
    kept, warnings = trusted(down + error, down)
    assert not kept[(T_S > 51) & (T_S < 59)].any() and kept[(T_S < 50) | (T_S > 60)].all()
    assert "the barometer disagrees over 10 s" in warnings[0]


def test_a_speed_wrong_for_most_of_the_flight_is_not_used() -> None:
    error = np.where(T_S < 110, 1.2, 0.0) * np.where((T_S % 60) < 30, 1, -1)  # without bias
    kept, warnings = trusted(2 * UP_AND_DOWN + error, 2 * UP_AND_DOWN)
    assert not kept.any() and "that is most of the flight" in warnings[0]


def test_a_frozen_barometer_and_a_simulation_are_not_contradicted() -> None:
    assert trusted(UP_AND_DOWN, np.zeros(len(T_S)))[0].all()
    assert trusted(UP_AND_DOWN + 0.4, UP_AND_DOWN, truth=True)[0].all()


GPS_FORMAT = "uint64_t timestamp;float s_variance_m_s;float vel_d_m_s;bool vel_ned_valid;uint8_t fix_type;"


def ulog(estimate: np.ndarray, gps: dict[str, object], topic: str) -> ReferenceSeries:
    """A ULog whose barometer is of the true speed."""
    log = ULogWriter(0)
    air = {"timestamp": TIME_US, "timestamp_sample": TIME_US, "baro_alt_meter": height(UP_AND_DOWN)}
    position = {"timestamp": TIME_US, "timestamp_sample": TIME_US, "vz": estimate, "v_z_valid": 1}
    log.topic("sensor_combined", FORMATS["sensor_combined"], {"timestamp": TIME_US, "accelerometer_m_s2": (0, 0, -9.8)})
    log.topic("vehicle_air_data", FORMATS["vehicle_air_data"], air)
    log.topic("vehicle_local_position", FORMATS["vehicle_local_position"], position)
    log.topic(
        topic, GPS_FORMAT, {"timestamp": TIME_US, "s_variance_m_s": 0.3, "vel_ned_valid": 1, "fix_type": 3, **gps}
    )
    reference = read_ulog(Path("made.ulg"), log.content(), "0")[0].reference
    assert reference is not None
    return reference


@pytest.mark.parametrize("topic", ["vehicle_gps_position", "sensor_gps"])
def test_gps_of_a_ulog(topic: str) -> None:
    wrong = UP_AND_DOWN + 0.5
    assert np.isfinite(ulog(wrong, {"vel_d_m_s": wrong}, topic).velocity_down_m_s).all()
    for invalid in ({"vel_ned_valid": 0}, {"fix_type": 2}, {"s_variance_m_s": 0.6}, {"s_variance_m_s": np.nan}):
        assert np.isnan(ulog(wrong, {"vel_d_m_s": wrong, **invalid}, topic).velocity_down_m_s).all()


@pytest.mark.parametrize("clock", ["T", "TimeUS"])
@pytest.mark.parametrize(("status", "agrees"), [(3, True), (1, False)])
def test_gps_of_a_dataflash_log(clock: str, status: int, agrees: bool) -> None:
    modern = clock == "TimeUS"
    made = Dataflash({
        "IMU": (130, "Qffffff", "TimeUS,GyrX,GyrY,GyrZ,AccX,AccY,AccZ"),
        "BARO": (131, "Qf", "TimeUS,Alt"),
        "XKF1": (132, "Qf", "TimeUS,VD"),
        "GPS": (133, "QBf", "TimeUS,Status,VZ") if modern else (133, "BIfI", "Status,TimeMS,VZ,T"),
    })  # fmt: skip
    wrong = UP_AND_DOWN + 0.5
    for i, now in enumerate(TIME_US.tolist()):
        made.add("IMU", now, 0, 0, 0, 0, 0, -9.8)
        made.add("BARO", now, height(UP_AND_DOWN)[i])
        made.add("XKF1", now, wrong[i])
        if i % 2 == 0 and modern:
            made.add("GPS", now, status, wrong[i])
        elif i % 2 == 0:
            made.add("GPS", status, 400_000_000 + now // 1000, wrong[i], now // 1000)  # TimeMS: of the GPS week
    reference = read_dataflash(Path("made.BIN"), bytes(made.data), "0")[0].reference
    assert reference is not None and np.isfinite(reference.velocity_down_m_s).all() == agrees


def test_gps_of_a_ulog2csv_set(tmp_path: Path) -> None:
    path = write_ulog2csv(tmp_path)
    before = read_log(path)[0]
    assert before.reference is not None
    with path.with_name(path.name.replace("sensor_combined", "vehicle_gps_position")).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "vel_d_m_s", "vel_ned_valid", "fix_type"])
        rows.writerows([int(t), 0.0, 1, 3] for t in before.reference.timestamp_us)
    after = read_log(path)[0]
    assert after.info["topics"]["vehicle_gps_position"] == len(before.reference)
    assert after.reference is not None and len(after.reference) == len(before.reference)


def share(path: Path) -> float:
    """Share of the flight whose vertical speed is trusted."""
    reference = read_log(path)[0].reference
    assert reference is not None
    flying = (reference.airborne == 1) | ((reference.airborne == -1) & (reference.armed == 1))
    return float(np.isfinite(reference.velocity_down_m_s[flying]).mean())


def test_wrong_references_of_real_logs_are_dropped_and_good_ones_kept(shared: Path) -> None:
    data = shared / "data"
    three_quads = sorted((data / "air" / "three_quads").glob("log_[25][78]_*.ulg"))
    assert len(three_quads) == 2
    for path in (*three_quads, data / "bin" / "erle_1008_10.BIN"):
        assert share(path) == 0.0, path.name
    for name in ("ascend_test", "frrs_battery_brownout", "frrs_gps_interference", "frrs_motor_failure"):
        assert share(data / "ulg" / f"{name}.ulg") == 1.0, name
    assert share(data / "bin" / "erle_1110_104.BIN") == 1.0
    assert share(data / "bin" / "erle_1205_218.BIN") > 0.98
    assert share(data / "px4_csv" / "aquaquad_17_20_28_sensor_combined_0.csv") > 0.85
