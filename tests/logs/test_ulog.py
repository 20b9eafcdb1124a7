"""ULog: the same values as pyulog on undamaged files, warnings on damaged ones."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collect_samples import START_US, small_ulog

from px4_tinyml.errors import LogError, UnusableLogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import read_log
from px4_tinyml.logs.describe import describe_log
from px4_tinyml.logs.ulog.read_ulog import read_ulog
from px4_tinyml.logs.ulog.topics import FORMATS
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter, dropout_message, ulog_message
from px4_tinyml.signal.spec import PRESETS

TOPICS = [
    "sensor_combined", "vehicle_air_data", "vehicle_local_position", "vehicle_land_detected", "vehicle_status",
    "wind", "wind_estimate", "sensor_baro",
]  # fmt: skip


def read(data: bytes) -> FlightLog:
    return read_ulog(Path("made.ulg"), data, "0")[0]


def test_a_generated_log_reads_back() -> None:
    log = read(small_ulog())
    assert log.vehicle == "quad 4001 PX4_FMU_V6C"
    assert log.warnings == () and log.gaps == ()
    assert len(log.imu) == 3200
    assert log.imu.timestamp_us[0] == START_US
    assert log.imu.accel_m_s2[:, 2].mean() == pytest.approx(-9.80665, abs=0.01)
    assert log.baro is not None and log.baro.timestamp_us[0] == START_US + 400  # timestamp_sample
    reference = log.reference
    assert reference is not None and reference.timestamp_us[0] == START_US + 300
    t_s = (reference.timestamp_us.astype(float) - START_US) / 1e6
    assert (reference.velocity_down_m_s[(t_s > 3.1) & (t_s < 7.9)] == -1.5).all()
    assert (reference.airborne[t_s > 3.1] == 1).all() and (reference.airborne[t_s < 2.9] == 0).all()
    assert (reference.armed[t_s > 2.1] == 1).all() and (reference.armed[t_s < 1.9] == 0).all()
    assert np.isnan(reference.edr_m23_s).all()


def test_truth_of_a_simulation_holds_between_its_messages() -> None:
    log = read(small_ulog(truth=True))
    assert log.vehicle == "sim 450" and log.info["simulated"]
    assert log.reference is not None
    t_s = (log.reference.timestamp_us.astype(float) - START_US) / 1e6
    assert log.reference.edr_m23_s[t_s < 7.9] == pytest.approx(0.05)
    assert log.reference.edr_m23_s[t_s > 8.0] == pytest.approx(0.3)
    assert log.reference.wind_speed_m_s[t_s > 8.0] == pytest.approx(5.0)


def flight(**topics: tuple[str, dict[str, Any]]) -> FlightLog:
    """A recording of level IMU samples and other topics: fields after the timestamp, and their values."""
    log = ULogWriter(0)
    timestamp = next(iter(topics.values()))[1]["timestamp"]
    level = {"timestamp": timestamp, "accelerometer_m_s2": (0, 0, -9.8)}
    for name, (fields, values) in {"sensor_combined": (FORMATS["sensor_combined"], level), **topics}.items():
        log.topic(name, fields, values)
    return read(log.content())


def test_groundtruth_is_preferred_for_the_vertical_speed() -> None:
    time_us = np.arange(100) * 5000
    log = flight(
        vehicle_local_position=(
            "uint64_t timestamp;float vz;bool v_z_valid;", {"timestamp": time_us, "vz": 7.0, "v_z_valid": 1}
        ),
        vehicle_local_position_groundtruth=(  # PX4's sample time is 0 here
            "uint64_t timestamp;uint64_t timestamp_sample;float vz;", {"timestamp": time_us, "vz": 0.25},
        ),
    )  # fmt: skip
    assert log.reference is not None and (log.reference.velocity_down_m_s == 0.25).all()
    assert (log.reference.timestamp_us == time_us).all()


def test_vertical_speed_is_nan_where_invalid_and_around_a_large_reset() -> None:
    i = np.arange(400)
    reset = {"delta_vz": np.where(i >= 200, -3.0, 0.0), "vz_reset_counter": i >= 200}
    log = flight(
        vehicle_local_position=(
            "uint64_t timestamp;float vz;float delta_vz;bool v_z_valid;uint8_t vz_reset_counter;",
            {"timestamp": i * 100_000, "vz": 0.1, "v_z_valid": i >= 5, **reset},
        )
    )
    assert log.reference is not None
    unknown = np.isnan(log.reference.velocity_down_m_s)
    assert unknown[:5].all() and not unknown[5:130].any()
    assert unknown[130:300].all() and not unknown[300:].any()  # 7 s before to 10 s after
    assert any("its estimator was reset" in w for w in log.warnings)


def test_dropouts_become_gaps_and_a_warning() -> None:
    whole = small_ulog(4.0)
    parsed = UlogFile.read(whole, "x")
    sensors = parsed.topic("sensor_combined")
    assert sensors is not None
    at = int(sensors.offset[400])
    log = read(whole[:at] + dropout_message(250) + whole[at:])
    assert [(g.end_us - g.start_us, g.why) for g in log.gaps] == [(250_000, "logger dropout")]
    assert log.gaps[0].start_us == int(sensors["timestamp"][399])
    assert any("dropout" in w for w in log.warnings)


def test_a_ulog_without_imu_lists_its_topics() -> None:
    with pytest.raises(UnusableLogError, match=r"sensor_combined.*it holds .*vehicle_air_data") as caught:
        read(small_ulog(imu=False))
    assert caught.value.facts["topics"]["vehicle_air_data"] == 320
    assert caught.value.facts["firmware"].startswith("PX4")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"float vz;", b"float vr;", "no field vz"),
        (b"float delta_z;", b"float delta_v;", "no field delta_z"),
        (b"float sigma_u;", b"float sigma_v;", "names a field twice"),
        (b"float edr;", b"float ed ;", "bytes skipped"),
        (b"bool landed", b"bool lanked", "no field landed"),
        (b"float baro_alt_meter", b"flo!t baro_alt_meter", "bytes skipped"),
    ],
)
def test_damaged_formats_give_warnings(old: bytes, new: bytes, message: str) -> None:
    log = read(small_ulog(4.0, truth=True).replace(old, new, 1))
    assert any(message in w for w in log.warnings), log.warnings


def test_unknown_incompatible_flags_are_rejected() -> None:
    data = bytearray(small_ulog(1.0))
    data[16 + 3 + 8] = 4
    with pytest.raises(LogError, match="incompatible flags"):
        read(bytes(data))


def test_a_wrong_size_is_skipped_and_the_rest_read() -> None:
    data = bytearray(small_ulog(4.0))
    sensors = UlogFile.read(bytes(data), "x").topic("sensor_combined")
    assert sensors is not None
    data[int(sensors.offset[300])] ^= 0x10
    log = read(bytes(data))
    assert len(log.imu) == 799
    assert any("bytes skipped" in w for w in log.warnings)


def test_every_topic_equals_pyulog(shared: Path) -> None:
    from pyulog import ULog

    compared, data = 0, shared / "data"
    for path in (*data.glob("ulg/*.ulg"), data / "bad" / "pyulog_sample_appended_multiple.ulg"):
        ours = UlogFile.read(path.read_bytes(), str(path))
        for theirs in ULog(str(path), TOPICS).data_list:
            if theirs.multi_id:
                continue
            topic = ours.topic(theirs.name)
            assert topic is not None
            for key, values in theirs.data.items():
                name, _, index = key.partition("[")
                if name.startswith("_padding"):
                    continue
                column: Any = topic[name][:, int(index[:-1])] if index else topic[name]
                equal = np.array_equal(column, values, equal_nan=column.dtype.kind == "f")
                assert equal, (path.name, theirs.name, key)
                compared += 1
        assert ours.damage == [], path.name
    assert compared > 500


def test_flight_times_agree_with_the_manifest(shared: Path, manifest: list[dict[str, str]]) -> None:
    """Airborne, climb, descend, level seconds as computed by an independent script (manifest notes)."""
    seen = 0
    for row in manifest:
        note = re.search(r"airborne (\d+) s: climb (\d+), descend (\d+), level (\d+)", row["notes"])
        if not row["file"].startswith("ulg/") or note is None:
            continue
        reference = describe_log(read_log(shared / "data" / row["file"])[0], PRESETS)["reference"]
        airborne, *parts = (int(x) for x in note.groups())
        assert reference["airborne_s"] == pytest.approx(airborne, abs=1.6), row["file"]
        for name, expected in zip(("climb_s", "descend_s", "level_s"), parts, strict=True):
            assert expected - reference["unknown_s"] - 2 <= reference[name] <= expected + 2, (row["file"], name)
        seen += 1
    assert seen >= 7


def test_diverged_estimate_is_not_trusted_after_65_s(shared: Path) -> None:
    log = read_log(shared / "data" / "ulg" / "frrs_ekf_failure.ulg")[0]
    assert log.reference is not None
    t_s = (log.reference.timestamp_us - log.reference.timestamp_us[0]) / 1e6
    assert np.isnan(log.reference.velocity_down_m_s[t_s > 65.0]).all()
    assert np.isfinite(log.reference.velocity_down_m_s[t_s < 22.0]).all()
    assert np.isfinite(log.reference.velocity_down_m_s[t_s < 38.0]).mean() > 0.9  # wrong by 0.6 m/s at 23 s
    assert any("not trusted" in w for w in log.warnings)


def test_the_corrupt_production_log_is_read_quickly_with_a_warning(shared: Path) -> None:
    started = time.process_time()
    log = read_log(shared / "data" / "bad" / "px4ulogrs_corrupt_actuator_armed_wrong_size.ulg")[0]
    assert time.process_time() - started < 2.0
    assert len(log.imu) == 4385  # as many as pyulog reads
    assert any("711032 of 1462529 bytes skipped" in w for w in log.warnings)


def test_not_slower_than_pyulog_with_a_topic_filter(shared: Path) -> None:
    from pyulog import ULog

    path = shared / "data" / "ulg" / "pyulog_sample.ulg"

    def fastest(work: Any) -> float:
        times = []
        for _ in range(3):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
        return min(times)

    def read_topics() -> None:
        log = UlogFile.read(path.read_bytes(), "x")
        for name in TOPICS:
            log.topic(name)

    assert fastest(read_topics) <= fastest(lambda: ULog(str(path), TOPICS))


def test_endlessly_nested_formats_are_rejected_quickly() -> None:
    formats = [f"n{level}:" + "".join(f"n{level + 1} f{i};" for i in range(60)) for level in range(9)]
    formats += ["n9:float x;", "loop:uint64_t timestamp;loop again;"]
    data = b"".join([
        ULogWriter(0).content(),
        *(ulog_message(b"F", text.encode()) for text in formats),
        *(ulog_message(b"A", bytes([0, i, 0]) + name) for i, name in enumerate((b"n0", b"loop"))),
    ])  # fmt: skip
    started = time.process_time()
    parsed = UlogFile.read(data, "x")
    assert time.process_time() - started < 1.0
    assert len(parsed.damage) == 2


def test_a_log_of_noise_is_read_quickly() -> None:
    noise = np.random.default_rng(5).integers(0, 256, 1_000_000, dtype=np.uint8).tobytes()
    started = time.process_time()
    log = read(small_ulog(1.0)[:4000] + noise)
    assert len(log.imu) > 0 and any("bytes skipped" in w for w in log.warnings)
    assert time.process_time() - started < 3.0
