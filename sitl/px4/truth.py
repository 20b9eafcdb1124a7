"""PX4's own ULog with the simulator's truth put into it, so that the log is labelled as simulated flights are."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from px4_tinyml.errors import LogError
from px4_tinyml.sitl import topics
from px4_tinyml.sitl.flight import FlightPlan, SlowRow
from px4_tinyml.sitl.turbulence import edr_from_w20, intensities, lengths
from px4_tinyml.sitl.ulog_writer import message_dtype, ulog_message

_HEAD_SIZE = 16
_DEFINITIONS = b"BFIMPQ"
_EVERY = 5
"""Of the 50 Hz truth, 10 Hz are written."""
_TOPIC = "turbulence_truth"


def add_truth(log: Path, out: Path, plan: FlightPlan, rows: Sequence[SlowRow]) -> None:
    """Copy a PX4 log to `out` with `turbulence_truth` (10 Hz) and the information messages of a simulated flight.

    Every message of PX4's log stays as it is. rows: the truth at 50 Hz, time_s on PX4's clock.
    """
    data = log.read_bytes()
    if data[:4] != b"ULog" or len(data) < _HEAD_SIZE:
        raise LogError(f"{log}: PX4 has written no ULog")
    vehicle = plan.vehicle
    info = {
        "sim_airframe": vehicle.airframe.name, "sim_mission": plan.mission, "sim_seed": str(plan.seed),
        "sim_flight": str(plan.index), "sim_weather": plan.weather.condition,
    }  # fmt: skip
    definitions = [_info(key, value) for key, value in info.items()]
    definitions.append(ulog_message(b"F", f"{_TOPIC}:{topics.FORMATS[_TOPIC]}".encode()))
    messages = list(_messages(data))
    number = 1 + max((struct.unpack_from("<H", data, at + 4)[0] for kind, at, _ in messages if kind == b"A"), default=0)
    truth = _truth_messages(rows[::_EVERY], number)
    parts, added, subscribed = [data[:_HEAD_SIZE]], 0, False
    for kind, at, end in messages:
        if kind not in _DEFINITIONS and not subscribed:
            parts += [*definitions, ulog_message(b"A", struct.pack("<BH", 0, number) + _TOPIC.encode())]
            subscribed = True
        if kind == b"D":
            time_us = struct.unpack_from("<Q", data, at + 5)[0]
            while added < len(truth) and truth[added][0] <= time_us:
                parts.append(truth[added][1])
                added += 1
        parts.append(data[at:end])
    parts += [message for _, message in truth[added:]]
    out.write_bytes(b"".join(parts))


def _messages(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of every whole message."""
    at = _HEAD_SIZE
    while at + 3 <= len(data):
        end = at + 3 + int.from_bytes(data[at : at + 2], "little")
        if end > len(data):
            return
        yield data[at + 2 : at + 3], at, end
        at = end


def _info(key: str, value: str) -> bytes:
    name = f"char[{len(value.encode())}] {key}".encode()
    return ulog_message(b"I", bytes([len(name)]) + name + value.encode())


def _truth_messages(rows: Sequence[SlowRow], number: int) -> list[tuple[int, bytes]]:
    """(timestamp, data message) of each row."""
    table = np.zeros(len(rows), message_dtype(topics.FORMATS[_TOPIC]))
    for row, out in zip(rows, table, strict=True):
        height = max(row.height, 0.0)
        sigma_uv, sigma_w = intensities(row.w20, height)
        length_uv, length_w = lengths(height)
        out["timestamp"] = out["timestamp_sample"] = round(row.time_s * 1e6)
        out["edr"], out["w20_m_s"], out["wind_speed_m_s"] = edr_from_w20(row.w20, height), row.w20, row.wind
        out["height_m"] = row.height
        out["sigma_u"] = out["sigma_v"] = sigma_uv
        out["length_u"] = out["length_v"] = length_uv
        out["sigma_w"], out["length_w"] = sigma_w, length_w
        out["gust_n"], out["gust_e"], out["gust_d"] = row.gust_n, row.gust_e, row.gust_d
    head = struct.pack("<H", number)
    return [(int(row["timestamp"]), ulog_message(b"D", head + row.tobytes())) for row in table]
