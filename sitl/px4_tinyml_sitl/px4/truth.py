"""PX4's own ULog with the simulator's truth put into it, so that the log is labelled as simulated flights are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from px4_tinyml.errors import LogError
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.logs.ulog.ulog_writer import AddedTopic, add_topics
from px4_tinyml.logs.ulog.uorb_message import of_topic
from px4_tinyml_sitl.flight import FlightPlan, SlowRow
from px4_tinyml_sitl.turbulence import edr_from_w20, intensities, lengths

_EVERY = 5
"""Of the 50 Hz truth, 10 Hz are written."""


def add_truth(log: Path, out: Path, plan: FlightPlan, rows: Sequence[SlowRow]) -> None:
    """Copy a PX4 log to `out` with `turbulence_truth` (10 Hz) and the information messages of a simulated flight.

    Every message of PX4's log stays as it is. rows: the truth at 50 Hz, time_s on PX4's clock.
    """
    ulog = UlogFile.read(log.read_bytes(), str(log))
    imu = ulog.topic("sensor_combined")
    if imu is None:
        raise LogError(f"{log}: PX4 has logged no sensor_combined")
    information = {
        "sim_airframe": plan.vehicle.airframe.name, "sim_mission": plan.mission, "sim_seed": str(plan.seed),
        "sim_flight": str(plan.index), "sim_weather": plan.weather.condition,
    }  # fmt: skip
    message = of_topic("turbulence_truth")
    logged_us = imu["timestamp"]
    known = [row for row in rows[::_EVERY] if row.time_s * 1e6 <= logged_us[-1]]
    truth = np.zeros(len(known), message.dtype(False))
    for row, to in zip(known, truth, strict=True):
        height = max(row.height, 0.0)
        to["timestamp"] = to["timestamp_sample"] = round(row.time_s * 1e6)
        to["edr"], to["w20_m_s"], to["wind_speed_m_s"] = edr_from_w20(row.w20, height), row.w20, row.wind
        to["height_m"] = row.height
        sigma_uv, to["sigma_w"] = intensities(row.w20, height)
        length_uv, to["length_w"] = lengths(height)
        to["sigma_u"] = to["sigma_v"] = sigma_uv
        to["length_u"] = to["length_v"] = length_uv
        to["gust_n"], to["gust_e"], to["gust_d"] = row.gust_n, row.gust_e, row.gust_d
    place = imu.offset[np.searchsorted(logged_us, truth["timestamp"])]
    out.write_bytes(add_topics(ulog, [AddedTopic(message, truth, place)], information, int(imu.offset[0])))
