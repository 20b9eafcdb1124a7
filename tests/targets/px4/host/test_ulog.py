"""ULogs played through the module, and their copies with its topics."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from px4_host_feeds import hover
from pyulog import ULog

from px4_tinyml.cli.main import main
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.errors import LogError
from px4_tinyml.logs import read_log
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter
from px4_tinyml.signal.classifier import Classifier
from px4_tinyml.signal.decision import Flag
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.px4.run import Px4Host
from px4_tinyml.targets.px4.ulog_feed import INFORMATION, PlayedUlog, play_ulog, write_ulog

OURS = ("motion_classification", "debug_vect", "debug_array", "mavlink_log")
OLD_TEXT = "uint64_t timestamp;uint8_t[50] text;uint8_t severity;"


def make_ulog(
    path: Path, seconds: float = 30.0, baro_steps: bool = False, **more: tuple[str, dict[str, object]]
) -> Path:
    """A flight as the logger writes it. more: other topics, format and fields by name.

    baro_steps: after 5 s another barometer, 6 m higher, and after 12 s a calibration that takes it 4 m down.
    """
    events = hover(seconds, (8.0, 18.0))
    log = ULogWriter(20_000_000)
    log.info("sys_name", "PX4")
    log.parameter("MCLS_EN", 1)
    log.text(21_000_000, "a logged text")
    baro_us, altitude_m = events.baro_time_us, events.baro_altitude_m
    air = {"timestamp": baro_us + np.uint64(15_000), "timestamp_sample": baro_us, "baro_alt_meter": altitude_m}
    if baro_steps:
        other, recalibrated = (baro_us >= baro_us[0] + np.uint64(after * 1e6) for after in (5, 12))
        air |= {
            "baro_device_id": np.where(other, 222, 111),
            "calibration_count": recalibrated.astype(np.uint8),
            "baro_alt_meter": altitude_m + 6 * other - 4 * recalibrated,
        }
    imu = {
        "timestamp": events.imu_time_us,
        "accelerometer_m_s2": events.imu[:, :3],
        "gyro_rad": events.imu[:, 3:],
        "gyro_integral_dt": 5000,
    }
    log.topic("sensor_combined", topics.FORMATS["sensor_combined"], imu)
    log.topic("vehicle_air_data", topics.FORMATS["vehicle_air_data"], air)
    for name, (fields, data) in more.items():
        log.topic(name, fields, data)  # type: ignore[arg-type]
    log.save(path)
    return path


def messages(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and payload of every message of a sound ULog."""
    place = 16
    while place < len(data):
        size = struct.unpack_from("<H", data, place)[0]
        yield data[place + 2 : place + 3], data[place + 3 : place + 3 + size]
        place += 3 + size
    assert place == len(data)


def opened(path: Path) -> ULog:
    with contextlib.redirect_stdout(io.StringIO()):
        return ULog(str(path))


def instances(log: ULog) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    return {(topic.name, topic.multi_id): topic.data for topic in log.data_list}


def played(host: Px4Host, source: Path, out: Path) -> PlayedUlog:
    done = play_ulog(host, source)
    write_ulog(host, done, out)
    return done


def test_written_ulog(host: Px4Host, python: Classifier, tmp_path: Path, out: Path) -> None:
    source = make_ulog(tmp_path / "flight.ulg")
    done = played(host, source, out)
    assert compare(("python", "px4"), python.run(done.events), done.result, host.spec).first == ""
    before, after = opened(source), opened(out)
    assert not after.file_corruption and UlogFile.read(out.read_bytes(), "out").damage == []
    old, new = instances(before), instances(after)
    assert set(new) - set(old) == {(name, 0) for name in OURS}
    for key, data in old.items():
        assert all(np.array_equal(values, new[key][name]) for name, values in data.items())
    for name in OURS:
        published, data = done.record.topics[name], new[name, 0]
        assert np.array_equal(data["timestamp"], published["timestamp"]) and len(published) > 1
    copied = new["motion_classification", 0]
    assert copied["class_index"].tolist() == done.result.decisions["class_index"].tolist()
    assert (copied["probabilities[3]"] == done.result.decisions["probability"][:, 3] / 256).all()
    text = bytes(new["mavlink_log", 0][f"text[{i}]"][0] for i in range(20)).rstrip(b"\0").decode()
    assert text.startswith("Turbulence (") and host.spec.hash[:16] in after.msg_info_dict[INFORMATION]


def test_another_barometer_is_not_a_climb(host: Px4Host, python: Classifier, tmp_path: Path, out: Path) -> None:
    """After a recalibration samples are dropped for a second, and windows with the step are flagged as stale."""
    done = played(host, make_ulog(tmp_path / "flight.ulg", baro_steps=True), out)
    assert compare(("python", "px4"), python.run(done.events), done.result, host.spec).first == ""
    decisions = done.result.decisions
    copied, ends_us = decisions["class_index"], decisions["end_us"] - int(done.events.baro_time_us[0])
    level = ends_us < 18_000_000  # from then on it climbs
    assert level.sum() > 20 and not np.isin(copied[level], (1, 2)).any()
    stale = decisions["flags"] & Flag.BARO_STALE != 0
    for step_us in (5_000_000, 12_000_000):
        holds_step = (ends_us > step_us + 700_000) & (ends_us < step_us + 2_560_000)
        assert holds_step.any() and stale[holds_step].all()
    assert not stale[ends_us > 16_000_000].any() and 1 in copied[~stale]
    (log,) = read_log(tmp_path / "flight.ulg")
    assert "the barometer was changed or recalibrated 2 times" in " ".join(log.warnings)


def test_written_ulog_is_the_log_and_more(host: Px4Host, tmp_path: Path, out: Path) -> None:
    """Nothing of the log changes, formats come before data, ids are free, and messages are in order of time."""
    source = make_ulog(tmp_path / "flight.ulg")
    done = played(host, source, out)
    old, new = list(messages(source.read_bytes())), list(messages(out.read_bytes()))
    added = [(*struct.unpack_from("<BH", body), body[3:].decode()) for kind, body in new if kind == b"A"][-4:]
    assert sorted(name for _, _, name in added) == sorted(OURS)
    ids = {ident for _, ident, _ in added}
    assert ids.isdisjoint(struct.unpack_from("<H", body)[0] for kind, body in old if kind == b"D")
    kinds = [kind for kind, _ in new]
    assert max(i for i, kind in enumerate(kinds) if kind == b"F") < kinds.index(b"A") < kinds.index(b"D")
    theirs = [
        (kind, body)
        for kind, body in new
        if not (kind == b"D" and struct.unpack_from("<H", body)[0] in ids)
        and not (kind == b"A" and body[3:].decode() in OURS)
        and not (kind == b"F" and body.split(b":")[0].decode() in OURS)
        and not (kind == b"I" and INFORMATION.encode() in body)
    ]
    assert theirs == old and source.read_bytes()[:16] == out.read_bytes()[:16]
    sizes = {ident: done.record.topics[name].rows.dtype.itemsize for _, ident, name in added}
    newest_us = 0
    imu_id = next(struct.unpack_from("<H", b, 1)[0] for k, b in old if k == b"A" and b[3:] == b"sensor_combined")
    for kind, body in new:
        if kind == b"D":
            ident, time_us = struct.unpack_from("<HQ", body)
            newest_us = time_us if ident == imu_id else newest_us
            if ident in ids:
                assert len(body) == 2 + sizes[ident] and time_us <= newest_us


def test_a_log_that_has_these_topics_already(host: Px4Host, tmp_path: Path, out: Path) -> None:
    """Its own stay what they are: ours are further instances, in its formats; and no id is taken twice."""
    first = make_ulog(tmp_path / "first.ulg")
    once = tmp_path / "once.ulg"
    played(host, first, once)
    done = played(host, once, out)
    found = instances(opened(out))
    assert {(name, i) for name in OURS for i in (0, 1)} <= set(found)
    for name in OURS:
        assert all(np.array_equal(v, found[name, 1][field], True) for field, v in found[name, 0].items())
    assert len(found["motion_classification", 1]["timestamp"]) == len(done.result)

    texts = {"timestamp": np.array([22_000_000], np.uint64), "text": np.zeros((1, 50), np.uint8), "severity": 4}
    vectors = {"timestamp": np.array([22_000_000], np.uint64), "x": 1.0}
    reordered = "uint64_t timestamp;char[10] name;float z;float y;float x;"
    old = make_ulog(tmp_path / "old.ulg", mavlink_log=(OLD_TEXT, texts), debug_vect=(reordered, vectors))
    done = played(host, old, out)
    found = instances(opened(out))
    text = bytes(found["mavlink_log", 1][f"text[{i}]"][0] for i in range(50)).rstrip(b"\0").decode()
    assert text == done.record.topics["mavlink_log"]["text"][0].decode()
    assert np.array_equal(found["debug_vect", 1]["y"], done.record.topics["debug_vect"]["y"])


def test_a_topic_of_another_version_is_rejected(host: Px4Host, tmp_path: Path, out: Path) -> None:
    arrays = {"timestamp": np.array([22_000_000], np.uint64)}
    old = make_ulog(tmp_path / "old.ulg", debug_array=("uint64_t timestamp;float[10] data;uint16_t id;", arrays))
    with pytest.raises(LogError, match=r"topic debug_array of another version, without `float data`"):
        played(host, old, out)
    assert not out.exists()


def test_appended_data_and_unannounced_ids(host: Px4Host, tmp_path: Path, out: Path) -> None:
    source = make_ulog(tmp_path / "flight.ulg", 20.0)
    data = bytearray(source.read_bytes())
    # Data of a topic that nothing announces: 2 is the first id after the log's.
    stray = struct.pack("<HcHQ", 10, b"D", 2, 7)
    appended = struct.pack("<HcBQ", 12, b"L", ord("3"), 39_000_000) + b"bad"
    data[19 + 8] = 1  # the flag that there is appended data
    struct.pack_into("<Q", data, 19 + 16, len(data) + len(stray))
    source.write_bytes(bytes(data) + stray + appended)
    played(host, source, out)
    written = out.read_bytes()
    assert struct.unpack_from("<3Q", written, 19 + 16) == (len(written) - len(appended), 0, 0)
    assert written.endswith(stray + appended)
    announced = [struct.unpack_from("<H", body, 1)[0] for kind, body in messages(written) if kind == b"A"]
    assert 2 not in announced and len(set(announced)) == 6


def test_damaged_logs(host: Px4Host, python: Classifier, tmp_path: Path, out: Path) -> None:
    """The readable part of a damaged log is readable in the written one, with the same decisions."""
    whole = make_ulog(tmp_path / "flight.ulg", 12.0).read_bytes()
    rng = np.random.default_rng(8)
    source, seen = tmp_path / "damaged.ulg", 0
    for case in range(24):
        data = bytearray(whole)
        if case % 3 == 0:
            del data[int(rng.integers(len(data))) :]
        reach = len(data) if case % 3 < 2 else 1500  # the definitions
        for place in rng.integers(0, reach, rng.integers(1, 40)):
            data[place] = rng.integers(256)
        source.write_bytes(data)
        try:
            done = played(host, source, out)
        except LogError:
            continue
        seen += 1
        assert compare(("python", "px4-host"), python.run(done.events), done.result, host.spec).first == ""
        before, after = UlogFile.read(bytes(data), "damaged"), UlogFile.read(out.read_bytes(), "out")
        assert before.counts().items() <= after.counts().items()
    assert seen > 12


def test_logs_that_cannot_be_played(host: Px4Host, tmp_path: Path, out: Path) -> None:
    log = ULogWriter(0)
    log.topic("vehicle_air_data", topics.FORMATS["vehicle_air_data"], {"timestamp": np.arange(3, dtype=np.uint64)})
    log.save(tmp_path / "baro.ulg")
    with pytest.raises(LogError, match="no sensor_combined to play"):
        play_ulog(host, tmp_path / "baro.ulg")
    done = play_ulog(host, make_ulog(tmp_path / "flight.ulg", 6.0))
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="cannot be written"):
        write_ulog(host, done, tmp_path / "file" / "out.ulg")


def test_replay_command_writes_ulogs(cxx: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [make_ulog(tmp_path / name / "flight.ulg") for name in ("a", "b") if (tmp_path / name).mkdir() is None]
    command = ["replay", str(pretrained_bundle()), *map(str, logs), "--targets", "python,px4-host", "--json"]
    assert main([*command, "--ulog-out", str(tmp_path / "a")]) == 0
    copied = json.loads(capsys.readouterr().out)
    assert copied["mismatches"] == 0 and copied["pairs"]["python:px4-host"]["windows"] == 4 * 43
    names = [str(tmp_path / "a" / name) for name in ("flight-2.ulg", "flight-3.ulg")]
    assert [item["log"] for item in copied["logs"]][1:] == [str(logs[0]), names[0], str(logs[1]), names[1]]
    for name in names:
        assert len(instances(opened(Path(name)))["motion_classification", 0]["timestamp"]) == 43


def test_real_ulogs(host: Px4Host, shared: Path, out: Path) -> None:
    """pyulog reads what is written as it reads the log: 2016 to 2025, whole, with appended data, damaged."""
    names = ("ulg/pyulog_sample", "ulg/pyulog_sample_px4_events", "bad/pyulog_sample_appended_multiple",
             "bad/px4ulogrs_corrupt_actuator_armed_wrong_size")  # fmt: skip
    for name in names:
        source = shared / "data" / f"{name}.ulg"
        done = played(host, source, out)
        before, after = opened(source), opened(out)
        old, new = instances(before), instances(after)
        assert len(new["motion_classification", 0]["timestamp"]) == len(done.result) > 10
        for key, data in old.items():
            assert all(np.array_equal(v, new[key][f], v.dtype.kind == "f") for f, v in data.items()), key
        assert before.file_corruption == after.file_corruption
        assert len(before.logged_messages) == len(after.logged_messages)
