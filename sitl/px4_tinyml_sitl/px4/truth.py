"""Insert the simulator's truth into PX4's own ULog, so that it is labelled like a simulated flight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from px4_tinyml.errors import LogError
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.logs.ulog.ulog_writer import AddedTopic, add_topics
from px4_tinyml.logs.ulog.uorb_message import of_topic
from px4_tinyml_sitl.flight import FlightPlan, SlowRow
from px4_tinyml_sitl.logged_topics import flight_information, turbulence_truth

_EVERY = 5
"""Decimation of the 50 Hz truth to 10 Hz."""


def add_truth(log: Path, out: Path, plan: FlightPlan, rows: Sequence[SlowRow]) -> None:
    """Copy a PX4 log to `out` with `turbulence_truth` (10 Hz) and the information messages of a simulated flight.

    PX4's messages are unchanged. rows: the truth at 50 Hz, time_s on PX4's clock.
    """
    ulog = UlogFile.read(log.read_bytes(), str(log))
    imu = ulog.topic("sensor_combined")
    if imu is None:
        raise LogError(f"{log}: PX4 has logged no sensor_combined")
    message = of_topic("turbulence_truth")
    logged_us = imu["timestamp"]
    known = [row for row in rows[::_EVERY] if row.time_s * 1e6 <= logged_us[-1]]
    truth = np.zeros(len(known), message.dtype(False))
    for row, to in zip(known, truth, strict=True):
        to["timestamp"] = to["timestamp_sample"] = round(row.time_s * 1e6)
        for name, value in turbulence_truth(row._asdict()).items():
            to[name] = value
    information = flight_information(plan, plan.mission, plan.weather.condition)
    place = imu.offset[np.searchsorted(logged_us, truth["timestamp"])]
    out.write_bytes(add_topics(ulog, [AddedTopic(message, truth, place)], information, int(imu.offset[0])))
