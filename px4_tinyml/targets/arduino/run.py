"""The sensor node's sketch, compiled for a Cortex-M4F and run in QEMU: its decisions as its MAVLink tells them."""

from __future__ import annotations

import itertools
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.mavlink_report import ARRAY_ID, PROBABILITIES
from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decision import DECISION, ONE_Q16
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import MAX_LABELS, PipelineSpec
from px4_tinyml.targets.arduino.build import build_node
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import sample_records
from px4_tinyml.targets.base import Runner
from px4_tinyml.targets.cortex_m.run import emulator
from px4_tinyml.units import US_PER_S

NODE_SYSTEM, NODE_COMPONENT = 1, 25
ANSWER_S = 60.0


class Listener(threading.Thread):
    """Takes what a node sends, so that it never has to wait. messages: all so far, in order."""

    def __init__(self, port: socket.socket) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        super().__init__(daemon=True)
        self.messages: list[Any] = []
        self.status = threading.Event()
        """Set when a SYS_STATUS has come."""
        self._port, self._parser = port, ardupilotmega.MAVLink(None)

    def run(self) -> None:
        while data := self._receive():
            for message in self._parser.parse_buffer(data) or []:
                self.messages.append(message)
                if message.get_type() == "SYS_STATUS":
                    self.status.set()

    def _receive(self) -> bytes:
        try:
            return self._port.recv(1 << 16)
        except OSError:
            return b""

    def lost(self) -> int:
        """Messages missing between the others, by their sequence numbers."""
        numbers = [message.get_seq() for message in self.messages]
        return sum((b - a - 1) % 256 for a, b in itertools.pairwise(numbers))


def status_request() -> bytes:
    """COMMAND_LONG: the node may send its SYS_STATUS, which comes after all it said before."""
    from pymavlink.dialects.v20 import ardupilotmega as mavlink

    command = mavlink.MAVLink_command_long_message(
        *(NODE_SYSTEM, NODE_COMPONENT, mavlink.MAV_CMD_REQUEST_MESSAGE, 0),
        *(mavlink.MAVLINK_MSG_ID_SYS_STATUS, 0, 0, 0, 0, 0, 0),
    )
    return bytes(command.pack(mavlink.MAVLink(None, srcSystem=255, srcComponent=190)))


def arduino_runner(bundle: ModelBundle) -> Runner:
    """Build the emulated node for a bundle; returns what runs a feed through it. Raises ToolchainError."""
    emulator()
    image = build_node(bundle)
    return lambda events: run_node(image, events, bundle.spec)


def run_node(image: Path, events: Feed, spec: PipelineSpec) -> Classification:
    """A feed through the emulated node. Of a window its report tells the decision, not the int8 values.

    Raises ToolchainError when the node hangs, crashes, loses a message or runs another spec.
    """
    if len(events.imu) == 0:
        return decisions_told([], spec, 0)
    shift_us = clock_shift_us(events, spec)
    records = sample_records(
        *(events.imu_time_us - shift_us, events.imu),
        *(events.baro_time_us - shift_us, events.baro_altitude_m, events.baro_before),
    )
    with EmulatedNode(image) as node:
        assert node.telemetry is not None
        listener = Listener(node.telemetry)
        listener.start()
        node.play(records)
        node.telemetry.sendall(status_request())
        if not listener.status.wait(ANSWER_S):
            raise ToolchainError(f"the emulated node has not answered within {ANSWER_S:g} s: it hangs")
    if lost := listener.lost():
        raise ToolchainError(f"{lost} MAVLink messages of the emulated node were lost: its serial port was not read")
    return decisions_told(listener.messages, spec, int(shift_us))


def clock_shift_us(events: Feed, spec: PipelineSpec) -> np.uint64:
    """What to take off a recording's times so that the board's begin near zero and its windows stay where they are."""
    delivered = events.baro_time_us[: int(events.baro_before[-1])]
    earliest = min(int(part.min()) for part in (events.imu_time_us, delivered) if len(part))
    step_us = spec.hop * US_PER_S  # whole slots, whole hops
    return np.uint64(earliest // step_us * step_us)


def decisions_told(messages: list[Any], spec: PipelineSpec, shift_us: int) -> Classification:
    """Decisions from the DEBUG_FLOAT_ARRAYs among messages: exact, for they are multiples of powers of two."""
    told = [m for m in messages if m.get_type() == "DEBUG_FLOAT_ARRAY" and m.array_id == ARRAY_ID]
    data: NDArray[np.float64] = np.array([m.data for m in told], np.float64).reshape(len(told), -1)
    decisions = np.zeros(len(told), DECISION)
    if len(told):
        if (data[:, 3] != spec.hash24).any():
            raise ToolchainError(f"the emulated node runs spec {int(data[0, 3]):06x}; expected {spec.hash24:06x}")
        ends_us = [m.time_usec + shift_us for m in told]
        decisions["end_us"] = ends_us
        decisions["start_us"] = [spec.slot_start_us(spec.slot_of(end) - spec.window) for end in ends_us]
        decisions["class_index"], decisions["flags"] = data[:, 0], data[:, 2]
        decisions["confidence_q16"] = data[:, 1] * ONE_Q16
        decisions["label_count"] = len(spec.labels)
        decisions["probability"] = data[:, PROBABILITIES : PROBABILITIES + MAX_LABELS] * 256
    nothing = np.zeros((len(told), 0), np.int8)
    return Classification(nothing, nothing, decisions, {"decisions": len(told)})
