"""Our ULog files as pyulog reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyulog import ULog

from px4_tinyml.errors import LogError
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter, message_dtype

FAST = "uint64_t timestamp;float[3] xyz;int32_t count;bool flag;uint8_t[3] _padding0;"
SLOW = "uint64_t timestamp;double value;"


def write(path: Path) -> None:
    log = ULogWriter(start_us=1_000)
    log.info("sys_name", "PX4")
    log.info("ver_data_format", 2)
    log.parameter("MAV_TYPE", 2)
    log.parameter("SIM_MASS", 1.5)
    fast = np.arange(2_000, 12_000, 1_000)
    log.topic("fast", FAST, {"timestamp": fast, "xyz": np.arange(30).reshape(10, 3), "count": -7, "flag": fast > 5_000})
    log.topic("slow", SLOW, {"timestamp": [3_500, 9_500], "value": [0.25, -1e300]})
    log.topic("slow", SLOW, {"timestamp": [4_500], "value": [3.0]}, multi_id=1)
    log.text(6_000, "onset of gusts")
    log.save(path)


def test_pyulog_reads_back_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "log.ulg")
    log = ULog(str(tmp_path / "log.ulg"))
    assert not log.file_corruption
    assert log.start_timestamp == 1_000
    assert log.msg_info_dict == {"sys_name": "PX4", "ver_data_format": 2}
    assert log.initial_parameters == {"MAV_TYPE": 2, "SIM_MASS": 1.5}
    assert [(m.timestamp, m.message, m.log_level_str()) for m in log.logged_messages] == [
        (6_000, "onset of gusts", "INFO")
    ]
    data = {(d.name, d.multi_id): d.data for d in log.data_list}
    assert set(data) == {("fast", 0), ("slow", 0), ("slow", 1)}
    fast = data["fast", 0]
    assert fast["timestamp"].tolist() == list(range(2_000, 12_000, 1_000))
    assert np.stack([fast[f"xyz[{i}]"] for i in range(3)], axis=1).tolist() == np.arange(30).reshape(10, 3).tolist()
    assert fast["count"].tolist() == [-7] * 10
    assert fast["flag"].tolist() == [0] * 4 + [1] * 6
    assert data["slow", 0]["value"].tolist() == [0.25, -1e300]
    assert data["slow", 1]["value"].tolist() == [3.0]


def test_messages_are_in_order_of_time(tmp_path: Path) -> None:
    """Readers and players rely on it; pyulog does not check."""
    write(tmp_path / "log.ulg")
    raw = (tmp_path / "log.ulg").read_bytes()
    at, times = 16, []
    while at < len(raw):
        size, kind = int.from_bytes(raw[at : at + 2], "little"), raw[at + 2 : at + 3]
        if kind in b"DL":
            first = at + 5 if kind == b"D" else at + 4
            times.append(int.from_bytes(raw[first : first + 8], "little"))
        at += 3 + size
    assert at == len(raw)
    assert len(times) == 14
    assert times == sorted(times)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a.ulg", "b.ulg"):
        write(tmp_path / name)
    assert (tmp_path / "a.ulg").read_bytes() == (tmp_path / "b.ulg").read_bytes()


def test_trailing_padding_is_not_written() -> None:
    assert message_dtype(FAST).itemsize == 8 + 12 + 4 + 1


@pytest.mark.parametrize("fields", ["float x;", "uint64_t timestamp;float32 x;", "uint64_t timestamp;float[x] y;", ""])
def test_a_malformed_format_is_rejected(fields: str) -> None:
    with pytest.raises(LogError, match="ULog format"):
        message_dtype(fields)


def test_unknown_fields_and_a_second_format_are_rejected() -> None:
    log = ULogWriter(0)
    with pytest.raises(LogError, match="no field 'speed'"):
        log.topic("slow", SLOW, {"timestamp": [1], "speed": [1.0]})
    log.topic("slow", SLOW, {"timestamp": [1]})
    with pytest.raises(LogError, match="two different formats"):
        log.topic("slow", FAST, {"timestamp": [1]}, multi_id=1)
