"""The class of a vehicle and its landed state, from every kind of log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from collect_samples import START_US, Dataflash, Tlog, small_dataflash, small_tlog, small_ulog, write_ulog2csv

from px4_tinyml.errors import LogError, SpecError
from px4_tinyml.flight_log import FlightLog, VehicleClass
from px4_tinyml.logs import read_log
from px4_tinyml.logs.csv.mapped_csv import load_column_map
from px4_tinyml.logs.dataflash.read_dataflash import read_dataflash
from px4_tinyml.logs.tlog.read_tlog import read_tlog
from px4_tinyml.logs.ulog.read_ulog import _vehicle_class, read_ulog
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.logs.vehicle_names import px4_vehicle_class, vehicle_class
from px4_tinyml.mavlink import dialect
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.signal.spec import PRESETS

SPEC = PRESETS["default"]


def ground_of(log: FlightLog) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since the first IMU sample, and the feed's landed state, of each IMU sample."""
    events = feed(log, SPEC)
    time = events.imu_time_us.astype(np.int64)
    return (time - time[0]) / 1e6, events.on_ground


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("QUADROTOR", "multirotor"), ("HEXAROTOR", "multirotor"), ("DODECAROTOR", "multirotor"),
        ("DECAROTOR", "multirotor"), ("GENERIC_MULTIROTOR", "multirotor"), ("FIXED_WING", "fixed_wing"),
        ("VTOL_QUADROTOR", "vtol"), ("VTOL_TILTROTOR", "vtol"), ("HELICOPTER", "other"),
        ("GROUND_ROVER", "other"), ("GENERIC", "unknown"), ("IMU", "unknown"), ("ONBOARD_CONTROLLER", "unknown"),
    ],
)  # fmt: skip
def test_class_of_a_mav_type(name: str, expected: VehicleClass) -> None:
    assert vehicle_class(getattr(dialect, f"MAV_TYPE_{name}")) == expected


@pytest.mark.parametrize(
    ("status", "parameter", "expected"),
    [
        ({"is_vtol": 1, "system_type": 1, "vehicle_type": 2}, None, "vtol"),
        ({"is_vtol": 0, "system_type": 2, "vehicle_type": 1}, 1, "multirotor"),
        ({"system_type": 0, "vehicle_type": 2}, 2, "fixed_wing"),
        ({"vehicle_type": 3}, None, "other"),
        ({"is_rotary_wing": 1}, None, "multirotor"),
        ({"vehicle_type": 0, "is_rotary_wing": 0}, 13, "multirotor"),
        ({}, None, "unknown"),
    ],
)
def test_class_of_a_px4_vehicle(status: dict[str, int], parameter: int | None, expected: VehicleClass) -> None:
    assert px4_vehicle_class(status, parameter) == expected


def dataflash(firmware: str, **parameters: float) -> FlightLog:
    made = Dataflash({
        "IMU": (130, "Qffffff", "TimeUS,GyrX,GyrY,GyrZ,AccX,AccY,AccZ"),
        "MSG": (131, "QZ", "TimeUS,Message"),
        "PARM": (132, "QNf", "TimeUS,Name,Value"),
    })  # fmt: skip
    made.add("MSG", 0, firmware.encode())
    for name, value in parameters.items():
        made.add("PARM", 0, name.encode(), value)
    for i in range(10):
        made.add("IMU", i * 20_000, 0, 0, 0, 0, 0, -9.8)
    return read_dataflash(Path("made.BIN"), bytes(made.data), "0")[0]


@pytest.mark.parametrize(
    ("firmware", "parameters", "expected"),
    [
        ("ArduCopter V4.5.7 (abcdef12)", {"FRAME_CLASS": 2}, "multirotor"),
        ("ArduCopter V4.5.7 (abcdef12)", {"FRAME_CLASS": 6}, "other"),
        ("APM:Copter V3.5.7 (b11c6af3)", {}, "multirotor"),
        ("ArduPlane V4.5.7 (abcdef12)", {"Q_ENABLE": 0}, "fixed_wing"),
        ("ArduPlane V4.5.7 (abcdef12)", {"Q_ENABLE": 1}, "vtol"),
        ("ArduRover V4.5.7 (abcdef12)", {}, "other"),
        ("hello", {"FRAME_CLASS": 1}, "unknown"),
    ],
)
def test_class_of_an_ardupilot_log(firmware: str, parameters: dict[str, float], expected: VehicleClass) -> None:
    assert dataflash(firmware, **parameters).vehicle_class == expected


def test_class_in_a_column_map(tmp_path: Path) -> None:
    example = (Path(__file__).resolve().parents[2] / "examples" / "crazyflie_wind.toml").read_text()
    path = tmp_path / "map.toml"
    path.write_text('vehicle_class = "vtol"\n' + example.replace('vehicle_class = "multirotor"\n', ""))
    assert load_column_map(path).vehicle_class == "vtol"
    path.write_text('vehicle_class = "kite"\n' + example.replace('vehicle_class = "multirotor"\n', ""))
    with pytest.raises(SpecError, match="vehicle_class = 'kite'; expected one of multirotor, fixed_wing, vtol"):
        load_column_map(path)


def test_classes_of_generated_logs(tmp_path: Path) -> None:
    logs = [
        read_ulog(Path("made.ulg"), small_ulog(4.0), "0")[0],
        read_dataflash(Path("made.BIN"), small_dataflash(4.0), "0")[0],
        read_tlog(Path("made.tlog"), small_tlog(4.0), "0")[0],
        read_log(write_ulog2csv(tmp_path))[0],
    ]
    assert [log.vehicle_class for log in logs] == ["multirotor"] * 4


def test_real_classes(shared: Path) -> None:
    data = shared / "data"
    found = {
        name: read_log(data / name)[0].vehicle_class
        for name in (
            "ulg/ascend_test.ulg", "ulg/frrs_motor_failure.ulg", "ulg/pyulog_sample_log_small_vtol.ulg",
            "bin/erle_plane_329.BIN", "bin/erle_1110_104.BIN", "tlog/eaics_flight.tlog", "tlog/jschall_test.tlog",
            "px4_csv/aquaquad_17_20_28_sensor_combined_0.csv",
        )
    }  # fmt: skip
    multirotor, plane = "multirotor", "fixed_wing"
    assert list(found.values()) == [multirotor, multirotor, "vtol", plane, multirotor, plane, multirotor, multirotor]
    path = data / "ulg/frrs_ekf_selector_whipsaw.ulg"  # it has no IMU
    assert _vehicle_class(UlogFile.read(path.read_bytes(), str(path))) == "fixed_wing"


def test_landed_state_of_a_log_is_that_of_its_reference() -> None:
    log = read_ulog(Path("made.ulg"), small_ulog(), "0")[0]
    t_s, ground = ground_of(log)
    assert ground[(t_s > 0.2) & (t_s < 2.9)].all() and not ground[t_s > 3.2].any()
    assert not ground_of(replace(log, reference=None))[1].any()
    assert log.reference is not None
    unknown = replace(log.reference, airborne=np.full(len(log.reference), -1))
    t_s, ground = ground_of(replace(log, reference=unknown))  # armed from 2 s on
    assert ground[(t_s > 0.2) & (t_s < 1.9)].all() and not ground[t_s > 2.2].any()


def test_landed_state_of_a_dataflash_log() -> None:
    log = read_dataflash(Path("made.BIN"), small_dataflash(events=False), "0")[0]
    t_s, ground = ground_of(log)
    assert ground[(t_s > 0.2) & (t_s < 1.9)].all() and not ground[t_s > 2.2].any()


def test_a_landed_state_needs_its_imu_sample() -> None:
    none, four = np.zeros(0, np.uint64), np.arange(4, dtype=np.uint64)
    events = Feed(four, np.zeros((4, 6), np.float32), none, none.astype(np.float32), np.zeros(4, np.int64))
    assert not events.on_ground.any() and len(events.on_ground) == 4
    with pytest.raises(LogError, match="3 landed states for 4 IMU samples"):
        replace(events, on_ground=np.ones(3, np.bool_))


def telemetry(*states: tuple[float, str, int]) -> tuple[np.ndarray, np.ndarray]:
    """ground_of a .tlog: HIGHRES_IMU at 50 Hz for 12 s, and (time in s, "armed" | "landed" | "node", value)."""
    log, waiting = Tlog(), sorted(states, reverse=True)
    for i in range(600):
        while waiting and waiting[-1][0] <= i / 50:
            _, kind, value = waiting.pop()
            if kind == "landed":
                log.send(i * 20_000, "extended_sys_state", 0, value)
            else:
                log.send(i * 20_000, "heartbeat", 2, 8 if kind == "node" else 12, 128 * value, 0, 4, 3)
        imu = (0, 0, -9.8, 0, 0, 0, 0, 0, 0, 950, 0, 500, 30)
        log.send(i * 20_000, "highres_imu", START_US + i * 20_000, *imu, 0x1FFF)
    return ground_of(read_tlog(Path("made.tlog"), bytes(log.data), "0")[0])


def test_landed_state_of_telemetry_is_delivered_in_order() -> None:
    t_s, ground = telemetry(
        (1.0, "armed", 0), (2.0, "armed", 1), (3.0, "landed", 1), (4.0, "landed", 2), (6.0, "armed", 0)
    )
    assert not ground[t_s < 0.99].any()  # unknown
    assert ground[(t_s >= 1.0) & (t_s < 1.99)].all()  # not armed
    assert not ground[(t_s >= 2.0) & (t_s < 2.99)].any()  # armed: unknown
    assert ground[(t_s >= 3.0) & (t_s < 3.99)].all()  # landed, although armed
    assert not ground[(t_s >= 4.0)].any()  # in the air, although not armed


def test_a_silent_landed_state_gives_way_to_the_heartbeat() -> None:
    beats = [(float(s), "armed", 1) for s in range(12)]
    t_s, ground = telemetry(*beats, (2.0, "landed", 1))
    assert ground[(t_s >= 2.02) & (t_s < 6.9)].all() and not ground[t_s >= 8.1].any()
    assert not telemetry((0.0, "armed", 1), (1.0, "landed", 0))[1].any()  # undefined


def test_the_heartbeat_of_a_sensor_node_is_no_landed_state() -> None:
    assert not telemetry((1.0, "node", 0))[1].any()
    assert telemetry((1.0, "armed", 0))[1].any()
