"""Logs of simulated flights, read with pyulog."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyulog import ULog

from px4_tinyml.cli.main import build_parser
from px4_tinyml.errors import SpecError, ToolchainError
from px4_tinyml.logs.ulog.topics import FORMATS
from px4_tinyml.logs.ulog.ulog_writer import message_dtype
from px4_tinyml_sitl.catalog import AIRFRAMES
from px4_tinyml_sitl.simulate import fly
from px4_tinyml_sitl.turbulence import edr_from_w20, intensities, lengths

RATES_HZ = {
    "vehicle_local_position": 10.0, "vehicle_local_position_groundtruth": 10.0, "vehicle_attitude": 25.0,
    "turbulence_truth": 10.0, "actuator_motors": 10.0, "wind": 1.0,
}  # fmt: skip

Flights = list[tuple[Path, ULog, dict[str, Any]]]
OF_MODULES = {"parameter_update", "debug_vect", "debug_array", "mavlink_log"}
"""Topics that flights do not log: for the PX4 module on the host."""
SINCE_V1_17 = {"failure_detector_status", "nav_state_display", "traffic_avoidance_system_present"}
"""Fields of vehicle_status that differ between v1.17.0 and the log (of PX4's main branch)."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Nine short flights, written by two processes."""
    return fly(tmp_path_factory.mktemp("logs"), 9, seconds=40.0, seed=11, jobs=2)


def read(path: Path) -> tuple[ULog, dict[str, Any]]:
    log = ULog(str(path))
    return log, {d.name: d.data for d in log.data_list}


@pytest.fixture(scope="module")
def flights(logs: list[Path]) -> Flights:
    return [(path, *read(path)) for path in logs]


def test_names_are_sorted_and_cycle_through_airframes_and_weather(logs: list[Path]) -> None:
    assert logs == sorted(logs)
    number, airframe, weather = zip(*(path.stem.removeprefix("flight_").split("_") for path in logs), strict=True)
    assert list(number) == [f"{i:04d}" for i in range(9)]
    assert set(airframe) == set(AIRFRAMES)
    assert weather == ("calm", "turbulent", "changing") * 3


def test_pyulog_reads_every_file_completely(flights: Flights) -> None:
    for path, log, data in flights:
        assert not log.file_corruption
        assert set(data) == set(FORMATS) - OF_MODULES
        assert log.msg_info_dict["ver_hw"] == "JSBSIM_QUAD"
        assert log.msg_info_dict["sim_airframe"] == path.stem.split("_")[2]
        assert log.initial_parameters["MAV_TYPE"] == 2
        for name, fields in data.items():
            assert (np.diff(fields["timestamp"].astype(np.int64)) > 0).all(), (path, name)
            for field, values in fields.items():
                if name != "actuator_motors" and not field.endswith("_max") and not field.startswith(("hagl", "vxy")):
                    assert np.isfinite(values.astype(float)).all(), (path, name, field)


def test_topics_are_those_of_px4(shared: Path) -> None:
    """Field by field as in a log of PX4, timestamps and padding included."""
    log = ULog(str(shared / "data" / "ulg" / "erdem_sitl_windy_climb.ulg"))
    for name in set(FORMATS) - {"turbulence_truth", *OF_MODULES}:
        real = log.message_formats[name].fields
        written = message_dtype(FORMATS[name])
        px4 = message_dtype("".join(f"{t}[{n}] {f};" if n else f"{t} {f};" for t, n, f in real))
        assert fields(written) == fields(px4), name


def fields(dtype: np.dtype[Any]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, type and shape, in order."""
    names = [name for name in dtype.names or () if name not in SINCE_V1_17]
    return [(name, dtype[name].base.str, dtype[name].shape) for name in names]


def test_rates_are_those_of_the_default_logger(flights: Flights) -> None:
    for path, _, data in flights:
        for name, rate in RATES_HZ.items():
            step = np.median(np.diff(data[name]["timestamp"].astype(np.int64)))
            assert step == pytest.approx(1e6 / rate, rel=0.01), (path, name)
        imu = np.diff(data["sensor_combined"]["timestamp"].astype(np.int64))
        # All samples, or one of several at 50 or 25 Hz.
        assert (
            3900 < np.median(imu) < 5400
            or np.median(imu) == pytest.approx(20_000, rel=0.1)
            or (np.median(imu) == pytest.approx(40_000, rel=0.1))
        )
        assert len(np.unique(imu)) > 5
        baro = np.diff(data["vehicle_air_data"]["timestamp"].astype(np.int64))
        assert 45_000 < np.median(baro) < 210_000


def test_sensors_agree_with_the_truth(flights: Flights) -> None:
    for _, _, data in flights:
        imu, baro = data["sensor_combined"], data["vehicle_air_data"]
        truth, position = data["vehicle_local_position_groundtruth"], data["vehicle_local_position"]
        standing = imu["timestamp"] < imu["timestamp"][0] + 1_500_000
        for axis, expected in enumerate((0.0, 0.0, -9.80665)):
            assert imu[f"accelerometer_m_s2[{axis}]"][standing].mean() == pytest.approx(expected, abs=0.8)
            assert imu[f"gyro_rad[{axis}]"][standing].mean() == pytest.approx(0.0, abs=0.04)
        height = -np.interp(baro["timestamp_sample"], truth["timestamp_sample"], truth["z"])
        error = baro["baro_alt_meter"] - height
        assert np.std(error) < 3.0
        seconds = (baro["timestamp_sample"].astype(np.int64) - int(baro["timestamp_sample"][0])) / 1e6
        slopes = [
            np.polyfit(seconds[inside], error[inside], 1)[0]
            for start in np.arange(8.0, 28.0, 0.64)
            if (inside := (seconds >= start) & (seconds < start + 2.56)).sum() > 10
        ]
        # 0.2 to 0.9 m/s are drawn; 20 s hold about eight independent slopes.
        assert 0.08 < np.std(slopes) < 1.8
        assert np.abs(position["z"] - truth["z"]).max() < 1.0
        assert np.abs(position["vz"] - truth["vz"]).max() < 0.15
        assert (position["v_z_valid"] == 1).all()
        # At touch-down the mean of two speeds is not the speed between two rows.
        flying = (truth["z"][1:] < -0.2) & (truth["z"][:-1] < -0.2)
        moved, speed = np.diff(truth["z"]) / 0.1, 0.5 * (truth["vz"][1:] + truth["vz"][:-1])
        assert flying.sum() > 100 and moved[flying] == pytest.approx(speed[flying], abs=0.4)
        q = np.stack([data["vehicle_attitude"][f"q[{i}]"] for i in range(4)], axis=1)
        assert np.linalg.norm(q, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_truth_is_consistent_with_the_formulae(flights: Flights) -> None:
    for path, _, data in flights:
        truth = data["turbulence_truth"]
        for i in range(0, len(truth["edr"]), 37):
            w20, height = float(truth["w20_m_s"][i]), float(truth["height_m"][i])
            assert truth["edr"][i] == pytest.approx(edr_from_w20(w20, height), rel=1e-5)
            assert (truth["sigma_u"][i], truth["sigma_w"][i]) == pytest.approx(intensities(w20, height), rel=1e-5)
            assert (truth["length_u"][i], truth["length_w"][i]) == pytest.approx(lengths(height), rel=1e-5)
        weather = path.stem.split("_")[3]
        air = np.interp(truth["timestamp"], data["vehicle_land_detected"]["timestamp"],
                        data["vehicle_land_detected"]["landed"]) == 0.0  # fmt: skip
        edr = truth["edr"][air]
        if weather == "calm":
            assert edr.max() <= 0.1001
        elif weather == "turbulent":
            assert 0.1999 <= edr.min() <= edr.max() <= 0.601
        else:
            assert edr.min() <= 0.1001
            assert edr.max() >= 0.1999


def test_bytes_do_not_depend_on_the_number_of_processes(logs: list[Path], tmp_path: Path) -> None:
    """Two of the flights again, in this process: the same names, the same bytes."""
    again = fly(tmp_path, 2, seconds=40.0, seed=11, jobs=1)
    for path, expected in zip(again, logs[:2], strict=True):
        assert path.name == expected.name
        assert path.read_bytes() == expected.read_bytes()


def test_fixed_turbulence_names_the_file(tmp_path: Path) -> None:
    (path,) = fly(tmp_path, 1, airframe="250", mission="hover", edr=0.3, seconds=20.0, jobs=1)
    assert path.name == "flight_0000_250_turbulent.ulg"
    truth = read(path)[1]["turbulence_truth"]
    assert truth["edr"] == pytest.approx(0.3)
    (path,) = fly(tmp_path, 1, airframe="250", mission="hover", w20_kt=15.0, seconds=20.0, jobs=1)
    truth = read(path)[1]["turbulence_truth"]
    assert truth["w20_m_s"] == pytest.approx(15.0 * 1852.0 / 3600.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flights": 0}, "flights = 0: expected at least 1"),
        ({"airframe": "747"}, "airframe '747' is not known; expected one of cine3"),
        ({"mission": "loop"}, "mission = loop: expected one of mixed, hover"),
        ({"edr": -0.1}, "edr = -0.1: expected 0 to 1"),
        ({"edr": float("nan")}, "edr = nan: expected 0 to 1"),
        ({"w20_kt": 200.0}, "w20-kt = 200.0: expected 0 to 60"),
        ({"edr": 0.1, "w20_kt": 5.0}, "only one of them"),
        ({"seconds": 5.0}, "seconds = 5.0: expected 20 to 3600"),
        ({"seed": -1}, "seed = -1: expected 0 or more"),
        ({"jobs": 0}, "jobs = 0: expected at least 1"),
    ],
)
def test_invalid_arguments_are_rejected_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        fly(tmp_path / "out", **{"flights": 1, **wrong})
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_jsbsim_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsbsim", None)
    with pytest.raises(ToolchainError, match=r"px4-tinyml\[sim\]"):
        fly(tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_command_prints_the_paths_and_its_help_lists_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = build_parser("fly")
    with pytest.raises(SystemExit):
        parser.parse_args(["fly", "--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in (*AIRFRAMES, "mixed", "hover", "ladder", "cruise", "survey", "--w20-kt"))
    args = parser.parse_args([
        "fly", "--out", str(tmp_path), "--flights", "1", "--seconds", "20", "--airframe", "450", "--edr", "0", "--jobs",
        "1",
    ])  # fmt: skip
    assert args.run(args) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'flight_0000_450_calm.ulg'}\n"
