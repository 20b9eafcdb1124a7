"""tlog: the same frames and values as pymavlink; units and rules of each message."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from collect_samples import RECEIVED_US, START_US, Tlog, small_tlog

from px4_tinyml.errors import LogError, UnusableLogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import read_log
from px4_tinyml.logs.describe import describe_log
from px4_tinyml.logs.tlog.read_tlog import read_tlog
from px4_tinyml.logs.tlog.tlog_file import TlogFile
from px4_tinyml.mavlink import dialect
from px4_tinyml.signal.spec import PRESETS


def read(data: bytes) -> list[FlightLog]:
    return read_tlog(Path("made.tlog"), data, "0")


@pytest.mark.parametrize("version", [1, 2])
def test_a_generated_log_reads_back(version: int) -> None:
    (log,) = read(small_tlog(version=version))
    assert log.source == "made.tlog" and log.vehicle == "quad PX4 system 1"
    assert log.warnings == () and len(log.imu) == 800
    assert log.imu.timestamp_us[0] == START_US
    assert log.imu.accel_m_s2[:, 2].mean() == pytest.approx(-9.80665, abs=0.02)
    assert log.baro is not None and log.baro.altitude_m[0] == pytest.approx(500.0)
    assert log.reference is not None
    t_s = (log.reference.timestamp_us.astype(float) - START_US) / 1e6
    assert (log.reference.velocity_down_m_s[(t_s > 3.1) & (t_s < 7.9)] == -1.5).all()
    airborne = log.reference.airborne
    assert (airborne[t_s > 3.1] == 1).all() and (airborne[(t_s > 0.1) & (t_s < 2.9)] == 0).all()
    assert (log.reference.armed[t_s > 2.1] == 1).all()


def test_each_system_is_a_recording_but_not_a_ground_station() -> None:
    logs = read(small_tlog(4.0, systems=(1, 7)))
    assert [log.source for log in logs] == ["made.tlog#1.1", "made.tlog#7.1"]
    assert [log.vehicle for log in logs] == ["quad PX4 system 1", "quad PX4 system 7"]
    assert all(len(log.imu) == 200 for log in logs)


def test_a_reboot_stays_visible() -> None:
    (log,) = read(small_tlog(4.0, boots=(200_000_000, 5_000_000)))
    assert (np.diff(log.imu.timestamp_us.astype(np.int64)) < 0).sum() == 1
    assert any("runs backwards 1 time, by up to 198.98 s" in w for w in log.warnings)


def test_bad_checksums_are_dropped_and_counted() -> None:
    data = small_tlog(4.0)
    frames = TlogFile.read(data).select("HIGHRES_IMU")
    damaged = bytearray(data)
    for n in (10, 50, 51):
        damaged[int(frames.offset[n]) + 25] ^= 1
    found = TlogFile.read(bytes(damaged))
    assert found.bad_crc == 3 and found.garbage == 0
    (log,) = read(bytes(damaged))
    assert len(log.imu) == 197
    assert any("3 frame(s) with a wrong checksum" in w for w in log.warnings)


def test_reading_resumes_after_garbage_lost_bytes_and_a_wrong_length() -> None:
    data = small_tlog(4.0)
    frames = TlogFile.read(data).frames
    a, b, c = (int(frames.offset[n]) for n in (30, 100, 200))
    damaged = bytearray(data[: a - 8] + b"\xfe\xfd\x00garbage" + data[a - 8 : b] + data[b + 7 :])
    place = damaged.index(data[c : int(frames.end[200])])
    damaged[place + 1] ^= 0x40  # length of one frame
    found = TlogFile.read(bytes(damaged))
    assert len(found.frames) == len(frames) - 2
    assert found.garbage > 10
    assert (np.diff(found.frames.offset) > 0).all()


@pytest.mark.parametrize("pattern", [b"\xfe", b"\xfd", b"\xfe\xf8", b"\xfd\xfe\1\0\xfe\xfe\xfe"])
def test_the_work_is_linear_in_hostile_bytes(pattern: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one checksum for each offset."""
    checksums, check = 0, dialect.checksum_is_right

    def counted(mirrored: bytes, header: dialect.Header) -> bool:
        nonlocal checksums
        checksums += 1
        return check(mirrored, header)

    monkeypatch.setattr(dialect, "checksum_is_right", counted)
    data = small_tlog() + pattern * (20_000 // len(pattern))
    frames = len(TlogFile.read(small_tlog()).frames)
    checksums = 0
    assert len(TlogFile.read(data).frames) == frames
    assert checksums <= frames + 20_000


def test_signed_frames_are_read() -> None:
    log = Tlog()
    link = log.link(1)
    link.signing.secret_key = b"k" * 32
    link.signing.sign_outgoing = True
    link.signing.timestamp = 1
    for i in range(50):
        log.send(RECEIVED_US + i * 20000, "highres_imu", i * 20000, 0, 0, -9.8, *[0.0] * 10, 0x3F)
    data = bytes(log.data)
    assert data[8 + 2] == 1  # MAVLINK_IFLAG_SIGNED
    (read_back,) = read(data)
    assert len(read_back.imu) == 50 and read_back.warnings == ()


def test_trimmed_payloads_end_in_zeros() -> None:
    log = Tlog()
    log.send(RECEIVED_US, "scaled_imu", 1000, 5, 0, 0, 0, 0, 0, 0, 0, 0)
    found = TlogFile.read(bytes(log.data))
    assert found.frames.length[0] == 5  # the time and the low byte of xacc
    row = found.rows(found.frames, "SCALED_IMU")[0]
    assert (row["time_boot_ms"], row["xacc"], row["zacc"], row["zmag"]) == (1000, 5, 0, 0)


def scaled(name: str, autopilot: int) -> bytes:
    log = Tlog()
    for i in range(100):
        now = 20 * i
        received = RECEIVED_US + now * 1000
        if i % 50 == 0:
            log.send(received, "heartbeat", 2, autopilot, 128, 0, 4, 3)
        log.send(received, name, now * 1000 if name == "raw_imu" else now, 0, 0, -1000, 100, 0, 0, 0, 0, 0)
        log.send(received, "scaled_pressure", now, 1013.25, 0, 2000)
        log.send(received + 7000, "vfr_hud", 0, 0, 0, 0, 5.0, 1.25)
    return bytes(log.data)


@pytest.mark.parametrize(("name", "autopilot"), [("scaled_imu", 12), ("scaled_imu2", 3), ("raw_imu", 3)])
def test_scaled_units(name: str, autopilot: int) -> None:
    (log,) = read(scaled(name, autopilot))
    assert log.imu.accel_m_s2[:, 2] == pytest.approx(-9.80665)
    assert log.imu.gyro_rad_s[:, 0] == pytest.approx(0.1)
    assert log.baro is not None and log.baro.altitude_m == pytest.approx(0.0, abs=0.01)
    assert log.reference is not None and log.reference.velocity_down_m_s == pytest.approx(-1.25)
    # VFR_HUD has no time of its own: 7 ms after the IMU message before it
    assert (log.reference.timestamp_us == log.imu.timestamp_us + 7000).all()


def test_raw_counts_of_other_autopilots_are_rejected() -> None:
    with pytest.raises(UnusableLogError, match="raw counts of unknown scale"):
        read(scaled("raw_imu", 12))


def test_only_updated_highres_imu_fields_are_used() -> None:
    log = Tlog()
    for i in range(100):
        fields = 0x3F if i % 2 else 0x200
        log.send(RECEIVED_US + i * 10000, "highres_imu", i * 10000, 0, 0, -9.8, *[0.0] * 10, fields)
    (made,) = read(bytes(log.data))
    assert len(made.imu) == 50


def test_a_file_without_a_frame_is_not_a_tlog() -> None:
    with pytest.raises(LogError, match="no MAVLink frame"):
        read(struct.pack(">Q", RECEIVED_US) + b"\xfe" + bytes(200))


def test_a_tlog_without_imu_lists_its_messages() -> None:
    log = Tlog()
    log.send(RECEIVED_US, "heartbeat", 6, 8, 0, 0, 0, 3, system=255, component=190)
    with pytest.raises(UnusableLogError, match=r"no IMU messages.*it holds HEARTBEAT"):
        read(bytes(log.data))


def test_messages_equal_pymavlink(shared: Path) -> None:
    from pymavlink import mavutil

    names = (
        "RAW_IMU", "SCALED_IMU2", "SCALED_PRESSURE", "GLOBAL_POSITION_INT", "VFR_HUD", "HEARTBEAT",
        "LOCAL_POSITION_NED",
    )  # fmt: skip
    for path in sorted((shared / "data" / "tlog").glob("*.tlog")):
        theirs: dict[str, list[dict[str, float]]] = {}
        total = 0
        connection = mavutil.mavlink_connection(str(path))
        while (message := connection.recv_match()) is not None:
            total += message.get_type() != "BAD_DATA"
            if message.get_type() in names:
                theirs.setdefault(message.get_type(), []).append(message.to_dict())
        connection.close()
        ours = TlogFile.read(path.read_bytes())
        assert len(ours.frames) == total and ours.damage == []
        for name, rows in theirs.items():
            found = ours.rows(ours.select(name), name)
            fields = [f for f in rows[0] if f != "mavpackettype"]
            assert len(fields) >= 4
            for field in fields:
                assert np.array_equal(found[field], [row[field] for row in rows]), (path.name, name, field)


def test_real_tlogs_are_too_slow_with_a_warning(shared: Path) -> None:
    for path in sorted((shared / "data" / "tlog").glob("*.tlog")):
        (log,) = read_log(path)
        assert log.info["imu_source"] == "RAW_IMU"
        warnings = describe_log(log, PRESETS)["warnings"]
        assert any("the default spec (50 Hz slots) needs 40 Hz" in w for w in warnings)
        if "jschall" not in path.name:  # that one is turned about by hand
            assert log.imu.accel_m_s2[:, 2].mean() == pytest.approx(-9.6, abs=0.5)
