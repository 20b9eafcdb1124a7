"""Dataflash: the same values as pymavlink's DFReader, old field names, units and signs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collect_samples import Dataflash, small_dataflash

from px4_tinyml.errors import UnusableLogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import read_log
from px4_tinyml.logs.dataflash.dataflash_file import DataflashFile
from px4_tinyml.logs.dataflash.read_dataflash import read_dataflash
from px4_tinyml.logs.describe import describe_log
from px4_tinyml.signal.spec import PRESETS


def read(data: bytes) -> FlightLog:
    return read_dataflash(Path("made.BIN"), data, "0")[0]


def test_a_generated_log_reads_back() -> None:
    log = read(small_dataflash())
    assert log.vehicle == "ArduCopter QUAD"
    assert log.info["firmware"] == "ArduCopter V3.3-dev (12345678)"
    assert log.warnings == () and len(log.imu) == 800
    assert log.imu.timestamp_us[0] == 20_000_000  # TimeMS
    assert log.imu.accel_m_s2[:, 2].mean() == pytest.approx(-9.80665, abs=0.02)
    reference = log.reference
    assert reference is not None
    t_s = reference.timestamp_us.astype(float) / 1e6 - 20.0
    assert reference.velocity_down_m_s[(t_s > 3.1) & (t_s < 7.9)] == pytest.approx(-1.5)  # CTUN: cm/s, up
    assert (reference.airborne[t_s > 3.01] == 1).all() and (reference.airborne[t_s < 2.9] == -1).all()
    assert (reference.armed[t_s > 2.01] == 1).all()


def test_without_landing_events_height_decides_with_a_warning() -> None:
    log = read(small_dataflash(events=False))
    assert log.reference is not None
    t_s = log.reference.timestamp_us.astype(float) / 1e6 - 20.0
    assert (log.reference.airborne[t_s < 1.9] == 0).all()  # motors off
    assert (log.reference.airborne[(t_s > 2.1) & (t_s < 4.0)] == -1).all()  # motors on, still low
    assert (log.reference.airborne[(t_s > 5.0) & (t_s < 13.0)] == 1).all()
    assert any("no land detector" in w for w in log.warnings)


def test_modern_names_times_and_instances() -> None:
    made = Dataflash({
        "IMU": (130, "QBffffff", "TimeUS,I,GyrX,GyrY,GyrZ,AccX,AccY,AccZ"),
        "XKF1": (131, "QBff", "TimeUS,C,VN,VD"),
        "CTUN": (132, "Qffh", "TimeUS,ThO,DAlt,CRt"),
        "ARM": (133, "QB", "TimeUS,ArmState"),
    })  # fmt: skip
    for i in range(200):
        now = 7_000_000 + i * 5000
        for instance in (0, 1):
            made.add("IMU", now, instance, 0, 0, 0, 0, 0, -9.8 - instance)
            if i % 10 == 0:
                made.add("XKF1", now, instance, 0, 0.5 + instance)
        if i % 10 == 0:
            made.add("CTUN", now, 0.4, 0, -999)
            made.add("ARM", now, 1)
    log = read(bytes(made.data))
    assert len(log.imu) == 200 and log.imu.accel_m_s2[:, 2] == pytest.approx(-9.8)
    assert log.imu.timestamp_us[1] == 7_005_000
    assert log.info["velocity_source"] == "XKF1.VD"
    assert log.reference is not None and (log.reference.velocity_down_m_s == 0.5).all()
    assert (log.reference.armed[1:] == 1).all()


def test_a_damaged_column_name_gives_a_warning() -> None:
    data = small_dataflash(2.0).replace(b",DCRt,CRt", b",DCRt,CSt")
    assert any("CTUN has no numeric column CRt" in w for w in read(data).warnings)
    with pytest.raises(UnusableLogError, match="AccZ"):
        read(small_dataflash(2.0).replace(b",AccZ", b",AcbZ"))


def test_a_format_whose_length_is_wrong_is_not_used() -> None:
    data = bytearray(small_dataflash(2.0))
    place = data.index(b"IMU\0") - 1  # the length byte stands before the name
    data[place] ^= 4
    with pytest.raises(UnusableLogError, match="no IMU"):
        read(bytes(data))


def test_values_equal_dfreader(shared: Path) -> None:
    from pymavlink import DFReader

    columns = {
        "IMU": ["TimeMS", "GyrX", "GyrY", "GyrZ", "AccX", "AccY", "AccZ"],
        "BARO": ["TimeMS", "Alt", "Press", "Temp"],
        "CTUN": ["TimeMS", "ThrOut", "BarAlt", "CRt"],
        "EKF1": ["TimeMS", "VD", "Roll"],
        "EV": ["Id"],
    }
    for path in sorted((shared / "data" / "bin").glob("*.BIN")):
        theirs: dict[str, list[list[Any]]] = {}
        reader = DFReader.DFReader_binary(str(path))
        while (message := reader.recv_match(type=list(columns))) is not None:
            name = message.get_type()
            theirs.setdefault(name, []).append([getattr(message, c) for c in columns[name]])
        ours = DataflashFile.read(path.read_bytes(), str(path))
        assert "IMU" in theirs
        for name, rows in theirs.items():
            messages = ours.messages(name)
            assert messages is not None and len(messages) == len(rows), (path.name, name)
            for index, column in enumerate(columns[name]):
                expected = np.array([row[index] for row in rows], dtype=np.float64)
                assert np.array_equal(messages[column], expected), (path.name, name, column)


def test_flights_agree_with_the_manifest(shared: Path, manifest: list[dict[str, str]]) -> None:
    """Flight seconds of an independent script, which took them from the throttle: within a fifth."""
    seen = 0
    for row in manifest:
        note = re.search(r"IMU ([\d.]+) Hz; flying ~(\d+) s", row["notes"])
        if note is None or int(note[2]) == 0:
            continue
        found = describe_log(read_log(shared / "data" / row["file"])[0], PRESETS)
        assert found["imu"]["span_s"] == pytest.approx(float(row["duration_s"]), abs=1.0)
        assert found["imu"]["samples"] / found["imu"]["span_s"] == pytest.approx(float(note[1]), rel=0.02)
        if row["file"] != "bin/erle_1008_10.BIN":  # vibration makes its estimates and so that guess wrong
            assert found["reference"]["airborne_s"] == pytest.approx(float(note[2]), rel=0.2), row["file"]
        seen += 1
    assert seen == 5


def test_a_climb_rate_wrong_from_vibration_is_not_trusted(shared: Path) -> None:
    log = read_log(shared / "data" / "bin" / "erle_1008_10.BIN")[0]
    assert log.reference is not None
    assert np.isnan(log.reference.velocity_down_m_s).all()
