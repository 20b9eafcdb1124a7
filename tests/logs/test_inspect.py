"""`px4-tinyml inspect`: right and short for every file, one line on stderr for each unusable one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from collect_samples import Dataflash, small_dataflash, small_tlog, small_ulog

from px4_tinyml.cli.main import build_parser
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import describe
from px4_tinyml.logs.dataflash.read_dataflash import read_dataflash
from px4_tinyml.signal.slots import feed, make_slots
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.signal.windows import make_windows

EXAMPLE_MAP = Path(__file__).resolve().parents[2] / "examples" / "crazyflie_wind.toml"

UNUSABLE = {
    "bad/foxglove_lfs_pointer_sample.ulg": "Git LFS pointer",
    "bad/msbuild_not_mavlink.tlog": "UTF-16 text",
    "bad/yule_short_list.ulg": "no IMU topic",
    "bin/erle_plane_329.BIN": "at 10.0 Hz, is too slow",
    "tlog/eaics_flight.tlog": "is too slow",
    "tlog/jschall_test.tlog": "is too slow",
    "tlog/phoenix_mission1_2018-09-17.tlog": "is too slow",
    "ulg/frrs_ekf_selector_whipsaw.ulg": "no IMU topic",
    "ulg/frrs_motor_failure.ulg": "at 8.6 Hz, is too slow",
}
VEHICLES = {
    "ulg/frrs_ekf_failure.ulg": "quad 4001 NXP_MR_TROPIC", "ulg/pyulog_sample_log_small_vtol.ulg": "vtol 13014",
    "ulg/pyulog_sample.ulg": "quad 10020 AUAV_X21", "bin/erle_1110_104.BIN": "ArduCopter QUAD",
    "ulg/erdem_sitl_windy_climb.ulg": "(simulated)", "tlog/eaics_flight.tlog": "fixedwing ArduPilot",
}  # fmt: skip


def run(*arguments: str | Path) -> int:
    args = build_parser("inspect").parse_args(["inspect", *map(str, arguments)])
    code: int = args.run(args)
    return code


def test_a_good_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flight.ulg"
    path.write_bytes(small_ulog())
    assert run(path) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.strip().split("\n")
    assert len(lines) <= 12 and lines[0] == str(path)
    assert "  vehicle    quad 4001 PX4_FMU_V6C" in lines
    assert any(line.startswith("  usable     yes: ") and "windows with preset default" in line for line in lines)
    assert "  airborne   13 s: climb 5, descend 4, level 4, unknown 0" in lines


def test_unusable_files_among_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.bin").write_bytes(small_dataflash())
    (tmp_path / "b.ulg").write_bytes(small_ulog(imu=False))
    (tmp_path / "c.tlog").write_bytes(small_tlog(8.0))
    assert run(tmp_path / "a.bin", tmp_path / "b.ulg", tmp_path / "nothing.ulg", tmp_path / "c.tlog") == 1
    shown = capsys.readouterr()
    assert len(shown.err.strip().split("\n")) == 2
    assert "b.ulg: not usable: no IMU topic" in shown.err and "no such file" in shown.err
    assert "ArduPilot dataflash" in shown.out and "MAVLink telemetry log" in shown.out


def test_json_keys_are_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flight.ulg"
    path.write_bytes(small_ulog(truth=True))
    assert run("--json", path, tmp_path / "no.ulg") == 1
    files = json.loads(capsys.readouterr().out)["files"]
    page = (Path(__file__).resolve().parents[2] / "docs" / "logs.md").read_text(encoding="utf-8")

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {k for name, v in value.items() if name != "topics" for k in keys(v)}
        return {k for v in value for k in keys(v)} if isinstance(value, list) else set()

    found = keys(files)
    assert {"file", "kind", "usable", "why", "recordings", "airborne_s", "rate_hz", "samples"} <= found
    assert [k for k in sorted(found) if f"`{k}`" not in page] == []
    assert files[0]["recordings"][0]["reference"]["edr_known"] is True
    assert files[1] == {**files[1], "usable": False, "recordings": []}


def test_every_real_file(shared: Path, manifest: list[dict[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    """The files of the manifest; other folders beside them need column maps of their own."""
    for name in sorted(row["file"] for row in manifest):
        columns = ["--columns", EXAMPLE_MAP] if name.startswith("wind_csv/") else []
        code = run(shared / "data" / name, *columns)
        shown = capsys.readouterr()
        lines = shown.out.strip().split("\n")
        assert len(lines) <= 13, name
        assert all(len(line) < 260 for line in lines), name
        if name in UNUSABLE:
            assert code == 1 and UNUSABLE[name] in lines[-1] and len(shown.err.strip().split("\n")) == 1, name
        else:
            assert code == 0 and shown.err == "" and lines[-1].startswith("  usable     yes: "), name
        if name in VEHICLES:
            assert VEHICLES[name] in shown.out


def slow_dataflash(rate_hz: int) -> FlightLog:
    """A minute of level IMU samples as ArduPilot logs them by default (25 Hz), or slower."""
    made = Dataflash({"IMU": (130, "Qffffff", "TimeUS,GyrX,GyrY,GyrZ,AccX,AccY,AccZ")})
    for i in range(60 * rate_hz):
        made.add("IMU", 1_000_000 + i * 1_000_000 // rate_hz, 0, 0, 0, 0, 0, -9.8)
    return read_dataflash(Path("made.BIN"), bytes(made.data), "0")[0]


@pytest.mark.parametrize("preset", ["default", "bands"])
def test_one_constant_chooses_the_spec_that_counts_windows(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "STREAM_PRESET", preset)
    spec, log = PRESETS[preset], slow_dataflash(25)
    found = describe.describe_log(log, PRESETS)
    counted = int((~make_windows(make_slots(feed(log, spec), spec), spec).sparse).sum())
    assert found["windows"] == {"preset": preset, "count": counted}
    assert found["usable"] == (preset == "bands") == (counted > 80)
    assert any("25.0 Hz: the default spec" in w for w in found["warnings"]) == (preset == "default")
    slow = describe.describe_log(slow_dataflash(10), PRESETS)
    needed = {"default": "40 Hz or more needed for 50 Hz slots", "bands": "13 Hz or more needed for 25 Hz slots"}
    assert not slow["usable"] and slow["why"] == f"its IMU, at 10.0 Hz, is too slow: {needed[preset]}"


def test_a_bad_column_map_is_a_usage_error(tmp_path: Path) -> None:
    from px4_tinyml.errors import SpecError

    with pytest.raises(SpecError):
        run(tmp_path / "x.csv", "--columns", tmp_path / "missing.toml")
