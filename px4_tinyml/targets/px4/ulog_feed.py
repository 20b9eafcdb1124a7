"""A ULog through the PX4 module, message by message, and the same ULog with what the module published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.logs.ulog.read_ulog import INVALID_RELATIVE_TIME, baro_paused, fresh_baro, sample_time_us
from px4_tinyml.logs.ulog.ulog_file import Topic, UlogFile
from px4_tinyml.logs.ulog.ulog_writer import AddedTopic, add_topics
from px4_tinyml.logs.ulog.uorb_message import Message
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.slots import Feed, delivered_before
from px4_tinyml.targets.px4.run import Px4Host, arrival_us
from px4_tinyml.targets.px4.stand_in.script import Record, Script
from px4_tinyml.targets.px4.stand_in.shim import DECISIONS, PX4_PUBLISHED, Harness

I64 = NDArray[np.int64]
INFORMATION = "motion_classification_source"


@dataclass(frozen=True, eq=False)
class PlayedUlog:
    """What the module did with a ULog.

    events: the samples it was given, for the reference; offset: for every action of the script, where in the file
    its messages go.
    """

    log: UlogFile
    events: Feed
    result: Classification
    record: Record
    offset: I64


def play_ulog(host: Px4Host, path: Path) -> PlayedUlog:
    """Publish sensor_combined and vehicle_air_data of a ULog in the order of their publication.

    (The logger writes them in another order: up to 0.1 s later than they were published.) The clock is
    sensor_combined's. Raises LogError when the file has no such topic.
    """
    log = UlogFile.read(path.read_bytes(), str(path))
    imu = log.topic("sensor_combined")
    vectors = ("gyro_rad", "accelerometer_m_s2")
    if imu is None or not all(imu.has(name) and imu[name].shape[1:] == (3,) for name in vectors):
        raise LogError(f"{path}: no sensor_combined to play: log with PX4's default profile (SDLOG_PROFILE bit 0)")
    harness = host.harness
    air = _air_data(log, imu, harness)
    clock_us = imu["timestamp"].astype(np.uint64)
    before = delivered_before(clock_us, air["timestamp"].astype(np.uint64))
    delivered = np.arange(int(before[-1]))
    after = np.searchsorted(before, delivered, side="right")
    air_clock_us = arrival_us(air["timestamp"][delivered].astype(np.uint64), clock_us, after)
    script = Script(harness)
    script.command(int(clock_us[0]), "start")
    imu_fields = _message_fields(imu, harness.topic("sensor_combined")[1])
    air_events, imu_events = script.publish(
        (script.messages("vehicle_air_data", air_clock_us, {k: v[delivered] for k, v in air.items()}), after),
        (script.messages("sensor_combined", clock_us, imu_fields), np.arange(len(imu))),
    )
    result, record = host.finish(script, int(clock_us[-1]))
    ends = log.message_ends(imu)
    offset = np.full(script.count, ends[-1])
    offset[0] = imu.offset[0]
    offset[air_events] = imu.offset[after]
    offset[imu_events] = ends
    return PlayedUlog(log, _feed(imu, air, before), result, record, offset)


def _message_fields(topic: Topic, message: Message) -> dict[str, NDArray[Any]]:
    """The fields of a logged topic that the message has too, for Script.messages."""
    dtype = message.dtype()
    fields = {f.name: topic[f.name] for f in message.fields if topic.has(f.name)}
    return {
        name: values
        for name, values in fields.items()
        if values.shape[1:] == dtype[name].shape and values.dtype.kind == dtype[name].base.kind
    }


def _air_data(log: UlogFile, imu: Topic, harness: Harness) -> dict[str, NDArray[np.generic]]:
    """Fields of vehicle_air_data; of the sensor_combined of 2016 where the log is so old."""
    topic = log.topic("vehicle_air_data")
    if topic is not None and topic.has("baro_alt_meter"):
        # Until PX4 v1.12 it had no timestamp_sample.
        return {"timestamp_sample": topic["timestamp"], **_message_fields(topic, harness.topic("vehicle_air_data")[1])}
    time_us, altitude = np.zeros(0, np.uint64), np.zeros(0, np.float32)
    if imu.has("baro_alt_meter") and imu.has("baro_timestamp_relative"):
        relative = imu["baro_timestamp_relative"].astype(np.int64)
        time_us, altitude = fresh_baro(imu["timestamp"], relative, imu["baro_alt_meter"])
    return {"timestamp": time_us, "timestamp_sample": time_us, "baro_alt_meter": altitude}


def _feed(imu: Topic, air: dict[str, NDArray[np.generic]], before: I64) -> Feed:
    """The samples the module takes of what was published."""
    keep = np.ones(len(imu), np.bool_)
    if imu.has("accelerometer_timestamp_relative"):
        keep = imu["accelerometer_timestamp_relative"] != INVALID_RELATIVE_TIME
    samples = np.concatenate([imu["accelerometer_m_s2"], imu["gyro_rad"]], axis=1).astype(np.float32)
    baro_us = sample_time_us(air["timestamp"], air["timestamp_sample"]).astype(np.uint64)
    taken = ~baro_paused(baro_us, air, [])
    return Feed(
        imu["timestamp"][keep].astype(np.uint64),
        samples[keep],
        baro_us[taken],
        air["baro_alt_meter"][taken].astype(np.float32),
        np.concatenate([[0], np.cumsum(taken)])[before[keep]],
    )


def write_ulog(host: Px4Host, played: PlayedUlog, path: Path) -> None:
    """The ULog with motion_classification, and debug_vect, debug_array, mavlink_log where they were published.

    Raises LogError when they cannot be added to it or the file cannot be written.
    """
    added = []
    for name in (DECISIONS, *PX4_PUBLISHED):
        published = played.record.topics[name]
        if len(published) or name == DECISIONS:
            added.append(AddedTopic(host.harness.topic(name)[1], published.rows, played.offset[published.event]))
    text = f"px4-tinyml replay, not the vehicle: spec {host.spec.hash[:16]}"
    data = add_topics(played.log, added, {INFORMATION: text}, int(played.offset[0]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise LogError(f"{path}: cannot be written ({error.strerror})") from error
