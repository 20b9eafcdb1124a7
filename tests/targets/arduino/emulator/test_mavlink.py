"""The emulated node on a serial port (a pty), for pymavlink: report, parameters, requests, signing, restart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_talk import NODE, as_bytes, motion, playing, setup_signing, whole
from pymavlink import mavutil
from pymavlink.dialects.v20 import common as mavlink

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.decision import DECISION_FIELDS
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.run import reported

SPEED = 8.0
FEED = motion(900.0)
KEY = hashlib.sha256(b"a key for tests").digest()
WAIT_S = 30.0


def signed(message: Any) -> bool:
    """Whether there is a signature, known or not."""
    return bool(message.get_header().incompat_flags & mavlink.MAVLINK_IFLAG_SIGNED)


class Station:
    """A ground station of pymavlink on the node's serial port."""

    def __init__(self, node: EmulatedNode) -> None:
        self.link: Any = mavutil.mavlink_connection(
            node.telemetry_path, baud=57600, dialect="common", source_system=255
        )
        self.node = node

    def wait(self, kind: str, ok: Callable[[Any], bool] = lambda message: True, seconds: float = WAIT_S) -> Any:
        """The next message of a kind for which ok(message)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.link.recv_match(type=kind, blocking=True, timeout=1.0)
            if message is not None and ok(message):
                return message
        raise AssertionError(f"no {kind} within {seconds:g} s")

    def set(self, name: bytes, number: int) -> int:
        """PARAM_SET; the value of the answer."""
        self.link.mav.param_set_send(1, NODE, name, as_bytes(number), mavlink.MAV_PARAM_TYPE_INT32)
        return self.value(name)

    def value(self, name: bytes) -> int:
        return whole(self.wait("PARAM_VALUE", lambda value: value.param_id == name.decode()).param_value)

    def command(self, number: int, *values: float) -> Any:
        """COMMAND_LONG; its acknowledgement."""
        parameters = (*values, *([0.0] * (7 - len(values))))
        self.link.mav.command_long_send(1, NODE, number, 0, *parameters)
        return self.wait("COMMAND_ACK", lambda ack: ack.command == number)


@pytest.fixture(scope="module")
def station(image: Path) -> Iterator[Station]:
    with EmulatedNode(image, pty=True, usb=True) as node, playing(node, FEED, SPEED):
        station = Station(node)
        yield station
        station.link.close()


def test_heartbeat(station: Station) -> None:
    beat = station.wait("HEARTBEAT")
    assert (beat.get_srcSystem(), beat.get_srcComponent()) == (1, NODE)
    assert beat.type == mavlink.MAV_TYPE_IMU and beat.autopilot == mavlink.MAV_AUTOPILOT_INVALID
    station.wait("HEARTBEAT", lambda beat: beat.system_status == mavlink.MAV_STATE_ACTIVE)


def test_report(station: Station, bundle: ModelBundle) -> None:
    arrays = [station.wait("DEBUG_FLOAT_ARRAY") for _ in range(12)]
    assert all(message.name == "MOTION" for message in arrays)
    found = reported(arrays, bundle.spec, 0).decisions
    expected = bundle.classifier().run(FEED).decisions
    first = int(np.flatnonzero(expected["end_us"] == found["end_us"][0])[0])
    for field in DECISION_FIELDS:
        assert np.array_equal(found[field], expected[field][first : first + len(found)]), field
    assert len(np.unique(found["class_index"])) > 1
    vector = station.wait("DEBUG_VECT")
    (decision,) = expected[expected["end_us"] == vector.time_usec]
    assert (vector.name, vector.x, vector.y) == ("MOTION", decision["class_index"], decision["confidence_q16"] / 65536)


def test_parameters(station: Station) -> None:
    station.link.mav.param_request_list_send(1, NODE)
    found: dict[int, Any] = {}
    while len(found) < 9:
        value = station.wait("PARAM_VALUE")
        assert value.param_count == 9 and value.get_srcComponent() == NODE
        found[value.param_index] = value
    assert sorted(found) == list(range(9))
    rate = next(value for value in found.values() if value.param_id == "MN_RATE")
    assert whole(rate.param_value) == 2
    assert station.set(b"MN_RATE", 5) == 5
    assert station.set(b"MN_RATE", 51) == 5


def test_request_message(station: Station, bundle: ModelBundle) -> None:
    ask = mavlink.MAV_CMD_REQUEST_MESSAGE
    assert station.command(ask, mavlink.MAVLINK_MSG_ID_ATTITUDE).result == mavlink.MAV_RESULT_UNSUPPORTED
    station.link.mav.command_long_send(1, NODE, ask, 0, mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION, 0, 0, 0, 0, 0, 0)
    version = station.wait("AUTOPILOT_VERSION")
    assert bytes(version.flight_custom_version).hex() == bundle.spec.hash[:16]
    assert station.wait("COMMAND_ACK", lambda ack: ack.command == ask).result == mavlink.MAV_RESULT_ACCEPTED


def test_signing_on_and_off(station: Station) -> None:
    assert station.node.usb is not None
    station.node.usb.sendall(setup_signing(KEY))
    # Without the key its words are still read, but it does not listen.
    station.wait("HEARTBEAT", signed)
    while station.link.recv_match(blocking=False) is not None:
        pass
    station.link.mav.command_long_send(1, NODE, mavlink.MAV_CMD_REQUEST_MESSAGE, 0, 148, 0, 0, 0, 0, 0, 0)
    with pytest.raises(AssertionError, match="no "):
        station.wait("AUTOPILOT_VERSION", seconds=3.0)
    # With the key everything works, and pymavlink believes nothing that is not signed.
    station.link.setup_signing(KEY, allow_unsigned_callback=None)
    assert station.command(mavlink.MAV_CMD_REQUEST_MESSAGE, 148).result == mavlink.MAV_RESULT_ACCEPTED
    assert station.wait("DEBUG_FLOAT_ARRAY").get_signed()
    station.link.disable_signing()
    station.node.usb.sendall(setup_signing(bytes(32)))
    station.wait("HEARTBEAT", lambda message: not signed(message))
    assert station.command(mavlink.MAV_CMD_REQUEST_MESSAGE, 148).result == mavlink.MAV_RESULT_ACCEPTED


def test_restart_keeps_the_settings(station: Station) -> None:
    station.set(b"MN_HOLD", 3)
    reboot = station.command(mavlink.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN, 1)
    assert reboot.result == mavlink.MAV_RESULT_ACCEPTED
    station.wait("HEARTBEAT", lambda beat: beat.system_status == mavlink.MAV_STATE_BOOT)
    station.link.mav.param_request_read_send(1, NODE, b"MN_HOLD", -1)
    assert station.value(b"MN_HOLD") == 3
    station.wait("HEARTBEAT", lambda beat: beat.system_status == mavlink.MAV_STATE_ACTIVE)
