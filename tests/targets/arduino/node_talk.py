"""What tests send to a node: frames of a ground station, and feeds for its sensors."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import common as mavlink

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.flight_log import U64
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import sample_records

NODE = 25
Build = Callable[[ModelBundle], Path]
"""Of the fixture `build`."""


class Sender:
    """Packs messages of a sender into frames, with sequence numbers."""

    def __init__(self, system: int = 255, component: int = 190) -> None:
        self.mav = mavlink.MAVLink(None, srcSystem=system, srcComponent=component)

    def pack(self, message: Any) -> bytes:
        frame = bytes(message.pack(self.mav))
        self.mav.seq = (self.mav.seq + 1) % 256
        return frame


GCS, AUTOPILOT = Sender(), Sender(system=1, component=1)


def command(number: int, *values: float, component: int = NODE, system: int = 1) -> bytes:
    """COMMAND_LONG; parameters without a value are 0."""
    parameters = (*values, *([0.0] * (7 - len(values))))
    return GCS.pack(mavlink.MAVLink_command_long_message(system, component, number, 0, *parameters))


def param_set(name: str, value: float, kind: int = mavlink.MAV_PARAM_TYPE_REAL32, system: int = 1) -> bytes:
    return GCS.pack(mavlink.MAVLink_param_set_message(system, NODE, name.encode(), value, kind))


def param_read(name: str, index: int = -1, component: int = NODE, system: int = 1) -> bytes:
    return GCS.pack(mavlink.MAVLink_param_request_read_message(system, component, name.encode(), index))


def param_list(component: int = NODE, system: int = 1) -> bytes:
    return GCS.pack(mavlink.MAVLink_param_request_list_message(system, component))


def heartbeat(sender: Sender = AUTOPILOT, armed: bool = False, autopilot: int = mavlink.MAV_AUTOPILOT_PX4) -> bytes:
    mode = mavlink.MAV_MODE_FLAG_SAFETY_ARMED if armed else 0
    return sender.pack(mavlink.MAVLink_heartbeat_message(mavlink.MAV_TYPE_QUADROTOR, autopilot, mode, 0, 4, 3))


def setup_signing(key: bytes, timestamp: int = 0, component: int = NODE) -> bytes:
    """SETUP_SIGNING, sent by USB. All zeros: signing off."""
    return GCS.pack(mavlink.MAVLink_setup_signing_message(1, component, list(key), timestamp))


def as_bytes(number: int) -> float:
    """A whole number as PARAM_SET carries it for PX4."""
    return float(struct.unpack("<f", struct.pack("<i", number))[0])


def whole(value: float) -> int:
    """And back."""
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


def messages_in(data: bytes, **signing: Any) -> list[Any]:
    """Every message in the bytes; raises MAVError for anything but frames."""
    parser = mavlink.MAVLink(None)
    for name, value in signing.items():
        setattr(parser.signing, name, value)
    return list(parser.parse_buffer(data) or [])


def imu_feed(time_us: U64, imu: NDArray[Any]) -> Feed:
    """Without a barometer."""
    return Feed(time_us, imu.astype(np.float32), time_us[:0], np.zeros(0, np.float32), np.zeros(len(time_us), np.int64))


def motion(seconds: float, seed: int = 1, rate_hz: int = 25, start_us: int = 10_000_000, baro_hz: int = 0) -> Feed:
    """Calm and shaken by turns, ten seconds each, so that decisions change; a slow climb for the barometer."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    time_us = (start_us + (np.arange(count) + 0.5) * 1_000_000 / rate_hz).astype(np.uint64)
    shaken = (np.arange(count) // (10 * rate_hz)) % 2
    noise: Any = rng.normal(0, 1, (count, 6)) * np.array([1, 1, 2, 0.5, 0.5, 0.3])
    imu = np.array([0, 0, -9.81, 0, 0, 0]) + noise * (0.1 + 2 * shaken[:, None])
    baro_us = (start_us + np.arange(round(seconds * baro_hz)) * 1_000_000 / max(baro_hz, 1)).astype(np.uint64)
    altitude = 100 + 0.3 * np.arange(len(baro_us)) / max(baro_hz, 1) + rng.normal(0, 0.1, len(baro_us))
    before = np.searchsorted(baro_us, time_us, side="right")
    return Feed(time_us, imu.astype(np.float32), baro_us, altitude.astype(np.float32), before)


@contextlib.contextmanager
def playing(node: EmulatedNode, feed: Feed, speed: float) -> Iterator[None]:
    """The node's sensors see a feed, at so many times real time, until the end of the block."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(node.play, sample_records(feed), speed, stop)
        try:
            yield
        finally:
            stop.set()
        run.result(30)
