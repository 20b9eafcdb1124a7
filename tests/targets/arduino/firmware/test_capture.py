"""What the node sees, for training: HIGHRES_IMU at the spec's rate, and the tutorial's CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from node_talk import as_bytes, imu_feed, param_set
from pc_node import TELEMETRY, USB, PcNode

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.logs.csv.arduino_csv import BOARD_TO_FRD, ROWS, read_arduino_csv
from px4_tinyml.signal.slots import Feed, make_slots
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.units import RAD_PER_DEG, STANDARD_GRAVITY_M_S2

IMU, CSV = 1, 2


def capture(node: PcNode, mode: int) -> None:
    node.receive(USB, param_set("MN_CAPTURE", as_bytes(mode), 6))
    node.take()


def test_a_recording_holds_the_samples_of_the_board(node: PcNode, bundle: ModelBundle) -> None:
    capture(node, IMU)
    rng = np.random.default_rng(1)
    time = (np.arange(0, 40, 1 / 238) * 1e6 + rng.uniform(0, 500, 9520) + 3e6).astype(np.uint64)
    feed = imu_feed(time, rng.normal([0, 0, -9.8, 0, 0, 0], [2, 2, 3, 0.5, 0.5, 0.3], (len(time), 6)))
    node.play(feed)
    taken = node.take()
    messages = taken.messages(USB, "HIGHRES_IMU")
    assert not taken.messages(TELEMETRY, "HIGHRES_IMU")
    stream = make_slots(feed, bundle.spec)
    fields = ("xacc", "yacc", "zacc", "xgyro", "ygyro", "zgyro")
    got = np.array([[getattr(m, name) for name in fields] for m in messages], np.float32)
    assert np.array_equal(got, stream.imu[: len(got)]) and len(got) == len(stream.imu)
    assert {m.fields_updated for m in messages} == {0x3F}

    # Read back, it gives the decisions of the board.
    recorded = np.array([m.time_usec for m in messages], np.uint64)
    again = bundle.classifier().run(imu_feed(recorded, got)).decisions
    reported = taken.messages(USB, "DEBUG_FLOAT_ARRAY")
    assert [m.time_usec for m in reported] == again["end_us"].tolist() and len(again) > 50
    assert [m.data[1] * 65536 for m in reported] == again["confidence_q16"].tolist()


def test_with_the_barometer_when_there_is_a_new_value(node: PcNode) -> None:
    capture(node, IMU)
    node.run(1.0)
    node.baro(node.time_us, 512.25)
    messages = node.after(0.5).messages(USB, "HIGHRES_IMU")
    with_baro = [m for m in messages if m.fields_updated != 0x3F]
    assert len(with_baro) == 1 and with_baro[0].fields_updated == 0x1A3F
    assert with_baro[0].pressure_alt == 512.25 and with_baro[0].abs_pressure == 950.0
    assert with_baro[0].temperature == 21.5


def test_loss_shows_in_the_sequence_numbers(node: PcNode) -> None:
    capture(node, IMU)
    first = node.after(2.0).messages(USB)[-1].get_seq()
    node.room(USB, 0)
    node.run(1.0)
    node.room(USB)
    taken = node.after(0.2)
    lost = (taken.messages(USB)[0].get_seq() - first - 1) % 256
    assert lost == taken.counts[USB]["dropped"] >= 50


@pytest.fixture
def shaken() -> Feed:
    """Ten seconds at rest, level, but shaken for a while at 2 s and at 6 s: more than 2.5 g in all."""
    t = np.arange(0, 10, 1 / 238)
    busy = ((t > 2) & (t < 2.9)) | ((t > 6) & (t < 6.9))
    accel = np.where(busy[:, None], [12.0, -14.0, -9.8], [0, 0, -9.8])
    gyro = np.array([[1.0, -2.0, 0.5]]) * np.sin(t * 9)[:, None]
    return imu_feed((t * 1e6 + 4e6).astype(np.uint64), np.hstack([accel, gyro]))


def test_csv_as_the_tutorial_has_it(node: PcNode, shaken: Feed) -> None:
    capture(node, CSV)
    node.play(shaken)
    taken = node.take()
    text = taken.sent[USB].decode("ascii")
    lines = text.split("\r\n")
    assert lines[0] == "aX,aY,aZ,gX,gY,gZ"
    assert [len(block.split("\r\n")) for block in text.split("\r\n\r\n") if block.strip()] == [1 + ROWS, ROWS]
    assert lines[1].count(",") == 5 and all(len(v.split(".")[1]) == 3 for v in lines[1].split(","))

    logs = read_arduino_csv(Path("nano_shake.csv"), taken.sent[USB], "")
    assert [log.complete for log in logs] == [True, True] and {log.labels[0].label for log in logs} == {"shake"}
    # The values are the means of the board's samples over the tutorial's 119 slots a second, in its units and axes.
    stream = make_slots(shaken, PRESETS["arduino119"])
    start = 1 + int(np.argmax(np.abs(stream.imu[1:, :3]).sum(axis=1) >= 2.5 * STANDARD_GRAVITY_M_S2))
    expected = stream.imu[start : start + ROWS]
    read = np.hstack([logs[0].imu.accel_m_s2, logs[0].imu.gyro_rad_s])
    assert np.abs(read[:, :3] - expected[:, :3]).max() < 0.00051 * STANDARD_GRAVITY_M_S2
    assert np.abs(read[:, 3:] - expected[:, 3:]).max() < 0.00051 * RAD_PER_DEG
    # The other link continues.
    assert taken.messages(TELEMETRY, "HEARTBEAT")


def test_a_serial_monitor_switches_it(node: PcNode) -> None:
    node.run(1.0)
    near = (b"csv", b"CSV\n", b"acsv\n", b"csvv\r\n", b"cs\nv\n", b"imuimuimuimuimu\n", b"\xfdcsv\n" + bytes(300))
    for words in near:
        node.receive(USB, words + b"\x00")
    assert node.after(1.0).messages(USB, "HEARTBEAT")
    node.receive(TELEMETRY, b"csv\n")
    node.receive(USB, b"\nimu\r\n")
    assert node.after(1.0).messages(USB, "HIGHRES_IMU")
    node.receive(USB, b"csv\r\n")
    assert node.after(1.5).sent[USB] == b"aX,aY,aZ,gX,gY,gZ\r\n"
    node.receive(USB, b"off\n")
    taken = node.after(1.5)
    assert {m.get_type() for m in taken.messages(USB)} >= {"HEARTBEAT", "DEBUG_VECT"} and taken.writes == 0


def test_an_interrupted_capture_is_incomplete(node: PcNode, shaken: Feed) -> None:
    capture(node, CSV)
    time = shaken.imu_time_us
    keep = ((time < 6_500_000) | (time > 6_700_000)) & (time < 9_000_000)
    node.play(imu_feed(time[keep], shaken.imu[keep]))
    first, *_ = read_arduino_csv(Path("nano_shake.csv"), node.take().sent[USB], "")
    assert not first.complete and len(first.imu) < ROWS


def test_header_and_reader_agree(sketch: Path) -> None:
    text = (sketch / "src" / "node" / "CsvCapture.hpp").read_text()
    values = text.split("BOARD_TO_FRD[3] = {")[1].split("}")[0].replace("f", "").split(",")
    assert [float(v) for v in values] == BOARD_TO_FRD.tolist()
