"""CSV logs: Arduino captures, ulog2csv sets, and any IMU CSV by a column map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from collect_samples import write_ulog2csv

from px4_tinyml.errors import LogError, SpecError
from px4_tinyml.logs import read_log
from px4_tinyml.logs.checks import recorded_s
from px4_tinyml.signal.spec import PRESETS

EXAMPLE_MAP = Path(__file__).resolve().parents[2] / "examples" / "crazyflie_wind.toml"


def capture_rows(rows: int, first: int = 0) -> list[str]:
    return [f"0.001,0.002,1.000,{i + first}.0,0.000,-90.000" for i in range(rows)]


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("between", ["", "BLANK"])
def test_arduino_captures(tmp_path: Path, end: str, between: str) -> None:
    lines = ["aX,aY,aZ,gX,gY,gZ", *capture_rows(119), *([""] if between else []), *capture_rows(119, 200)]
    path = write(tmp_path / "nano_vert.csv", *lines, end=end)
    first, second = read_log(path)
    assert [first.source, second.source] == [f"{path}#0", f"{path}#1"]
    assert first.complete and second.complete and first.warnings == second.warnings == ()
    assert first.imu.accel_m_s2[0] == pytest.approx([0.0098, 0.0196, -9.80665], abs=1e-4)
    assert first.imu.gyro_rad_s[7] == pytest.approx([np.radians(7), 0, np.pi / 2], abs=1e-5)
    assert second.imu.gyro_rad_s[0, 0] == pytest.approx(np.radians(200))
    assert second.labels[0].label == "vert" and second.labels[0].by == "file"
    spec = PRESETS["arduino119"]
    for n, log in enumerate((first, second), start=1):
        slots = [spec.slot_of(int(t)) for t in log.imu.timestamp_us]
        assert slots == list(range(n * 1190, n * 1190 + 119))
        assert int(log.imu.timestamp_us[0]) == n * 10_000_000 + 4201  # the middle of a slot
        assert (log.labels[0].start_us, log.labels[0].end_us) == (n * 10_000_000, n * 10_000_000 + 1_000_000)


def test_a_short_capture_is_not_complete(tmp_path: Path) -> None:
    first, second = read_log(
        write(tmp_path / "hori.csv", "aX,aY,aZ,gX,gY,gZ", *capture_rows(119), "", *capture_rows(80))
    )
    assert first.complete and not second.complete
    assert any("80 rows found, 119 expected" in w for w in second.warnings)


def test_a_bad_cell_names_its_line(tmp_path: Path) -> None:
    rows = [*capture_rows(4), "0.1,0.2,one,0,0,0", *capture_rows(114)]
    path = write(tmp_path / "hori.csv", "aX,aY,aZ,gX,gY,gZ", *rows)
    with pytest.raises(LogError, match=r"line 6: 'one' is not a number"):
        read_log(path)


def test_real_arduino_captures_are_complete_and_stand_upright(shared: Path) -> None:
    for name, captures in (("circ", 48), ("vert", 77), ("hori", 98), ("flex", 26), ("punch", 16)):
        logs = read_log(shared / "data" / "imu_csv" / f"nano_{name}.csv")
        assert len(logs) == captures and all(log.complete and len(log.imu) == 119 for log in logs)
        down = np.concatenate([log.imu.accel_m_s2[:, 2] for log in logs]).mean()
        assert -11.0 < down < -8.0


def test_nano_rates_turn_the_gravity_vector_the_right_way(shared: Path) -> None:
    """FRD is right-handed: rates integrated between two quiet moments must predict how gravity turned.

    This is what shows the LSM9DS1's own axes to be left-handed; any other sign of the rates does worse.
    """
    errors: dict[float, list[float]] = {1.0: [], -1.0: []}
    for path in sorted((shared / "data" / "imu_csv").glob("nano_*.csv")):
        for log in read_log(path):
            force = log.imu.accel_m_s2.astype(float) / 9.80665
            size = np.linalg.norm(force, axis=1)
            quiet = np.flatnonzero((np.abs(size - 1) < 0.06) & (np.linalg.norm(log.imu.gyro_rad_s, axis=1) < 1.05))
            if len(quiet) < 4 or quiet[-1] - quiet[0] < 40:
                continue
            start, end = int(quiet[0]), int(quiet[-1])
            before, after = force[start] / size[start], force[end] / size[end]
            if before @ after > np.cos(np.radians(8)):
                continue
            for sign, found in errors.items():
                turned = before.copy()
                for rate in log.imu.gyro_rad_s[start:end].astype(float):
                    angle = -sign * rate / 119
                    turned = turned + np.cross(angle, turned)
                    turned /= np.linalg.norm(turned)
                found.append(float(np.degrees(np.arccos(np.clip(turned @ after, -1, 1)))))
    assert len(errors[1.0]) > 100
    assert np.median(errors[1.0]) < 0.85 * np.median(errors[-1.0])


def test_ulog2csv_set_is_one_recording(tmp_path: Path) -> None:
    (log,) = read_log(write_ulog2csv(tmp_path))
    assert len(log.imu) == 1000 and log.imu.timestamp_us[0] == 10_000_000
    assert log.vehicle == "quad ulog2csv"
    assert log.baro is not None and len(log.baro) == 100  # each barometer sample once
    assert (np.diff(log.baro.timestamp_us.astype(np.int64)) == 40_000).all()
    assert log.reference is not None
    assert np.isnan(log.reference.velocity_down_m_s[:3]).all()
    assert (log.reference.armed == 1).all()


def test_a_truncated_last_line_is_dropped_with_a_warning(tmp_path: Path) -> None:
    path = write_ulog2csv(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    (log,) = read_log(path)
    assert len(log.imu) == 999 and any("perhaps truncated" in w for w in log.warnings)


def test_real_ulog2csv_set(shared: Path) -> None:
    (log,) = read_log(shared / "data" / "px4_csv" / "aquaquad_17_20_28_sensor_combined_0.csv")
    assert recorded_s(log.imu) == pytest.approx(119.3, abs=0.1)
    assert len(log.imu) == 29262 and len(log.gaps) == 5
    assert log.reference is not None
    known = log.reference.velocity_down_m_s[np.isfinite(log.reference.velocity_down_m_s)]
    assert known.min() < -9.5 and known.max() > 7.5
    assert (log.reference.airborne == 1).any()


def test_column_map_gives_frd_si(tmp_path: Path) -> None:
    rows = (f"{i * 0.01};1;0.5;0.25;10;20;30;1013.25;{i // 50}" for i in range(100))
    path = write(tmp_path / "any.csv", "t;up;left;fwd;p;q;r;press;who", *rows)
    columns = write(
        tmp_path / "map.toml",
        """
vehicle = "test"
delimiter = ";"
time = { column = "t", unit = "s" }
accel = { unit = "g", x = { column = "fwd" }, y = { column = "left", sign = -1 }, z = { column = "up", sign = -1 } }
gyro = { unit = "deg/s", x = { column = "p" }, y = { column = "q", sign = -1 }, z = { column = "r", sign = -1 } }
baro = { column = "press", unit = "hPa" }
label = { column = "who", values = { "0" = "level", "1" = "turbulence" } }
""",
    )
    (log,) = read_log(path, columns)
    assert log.vehicle == "test" and log.imu.rate_hz == pytest.approx(100)
    assert log.imu.accel_m_s2[0] == pytest.approx([2.4517, -4.9033, -9.80665], abs=1e-4)
    assert log.imu.gyro_rad_s[0] == pytest.approx(np.radians([10, -20, -30]))
    assert log.baro is not None and log.baro.altitude_m[0] == pytest.approx(0.0, abs=0.01)
    spans = [(s.start_us, s.end_us, s.label) for s in log.labels]
    assert spans == [(0, 500_000, "level"), (500_000, 990_001, "turbulence")]


def test_rate_instead_of_a_time_column(tmp_path: Path) -> None:
    path = write(tmp_path / "any.csv", "x,y,z", *["0,0,-9.8"] * 10)
    axes = [f"{axis} = {{ column = '{axis}' }}" for axis in "xyz"]
    lines = ("[time]", "rate_hz = 200", "[accel]", "unit = 'm/s2'", *axes, "[gyro]", "unit = 'rad/s'", *axes)
    columns = write(tmp_path / "map.toml", *lines)
    (log,) = read_log(path, columns)
    assert (np.diff(log.imu.timestamp_us.astype(np.int64)) == 5000).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"acc.z"', '"acc.up"', r"'acc\.up' is not in .*its columns are .*acc\.x, acc\.y"),
        ('unit = "g"', 'unit = "gee"', r"unit = 'gee'; expected one of m/s2, g, mg"),
        ('unit = "ms"', "", r"unit = None; expected one of s, ms"),
        ("sign = -1 }\n\n[gyro]", "sign = 2 }\n\n[gyro]", r"sign = 2; expected 1 or -1"),
        ("[time]", "[tiem]", r"unknown key 'tiem'"),
        ("[accel]", "[accel", r"not valid TOML"),
    ],
)
def test_errors_of_the_map_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = EXAMPLE_MAP.read_text(encoding="utf-8")
    assert old in text
    columns = write(tmp_path / "map.toml", text.replace(old, new, 1))
    header = "timestamp_start,acc.x,acc.y,acc.z,gyro.x,gyro.y,gyro.z"
    path = write(tmp_path / "wind.csv", header, *["1,0,0,1,0,0,0"] * 3)
    with pytest.raises(SpecError, match=message):
        read_log(path, columns)


def test_a_csv_without_a_map_asks_for_one(tmp_path: Path) -> None:
    path = write(tmp_path / "wind.csv", "t,acc", "1,2")
    with pytest.raises(LogError, match=r"columns are t,acc.*--columns"):
        read_log(path)


def test_crazyflie_hovers_level_by_the_example_map(shared: Path) -> None:
    for path in sorted((shared / "data" / "wind_csv").glob("*.csv")):
        (log,) = read_log(path, EXAMPLE_MAP)
        assert log.imu.rate_hz == pytest.approx(100)
        assert log.imu.accel_m_s2[:, 2].mean() == pytest.approx(-9.81, abs=0.1)
        assert log.imu.span_s == pytest.approx(64, abs=0.1)
        assert log.vehicle == "crazyflie 2" and log.warnings == ()
