"""Runs the sensor node's sketch on an emulated Cortex-M4F; its decisions are read from its MAVLink."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.mavlink import decision_array as array
from px4_tinyml.mavlink import dialect
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import MAX_LABELS, PipelineSpec
from px4_tinyml.targets.arduino.build import build_node
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import sample_records
from px4_tinyml.targets.base import Runner
from px4_tinyml.targets.compare import reported_decisions
from px4_tinyml.targets.cortex_m.run import emulator
from px4_tinyml.units import US_PER_S

NODE_SYSTEM, NODE_COMPONENT = 1, 25
ANSWER_S = 60.0


class Listener(threading.Thread):
    """Receives the messages of a node, so that it never waits. messages: all so far, in order."""

    def __init__(self, port: socket.socket) -> None:
        super().__init__(daemon=True)
        self.messages: list[Any] = []
        self.status = threading.Event()
        """Set when a SYS_STATUS was received."""
        self._port, self._parser = port, dialect.MAVLink(None)

    def run(self) -> None:
        with contextlib.suppress(OSError):  # the port is closed
            while data := self._port.recv(1 << 16):
                for message in self._parser.parse_buffer(data) or []:
                    self.messages.append(message)
                    if message.get_type() == "SYS_STATUS":
                        self.status.set()

    def lost(self) -> int:
        """Messages missing between the others, by their sequence numbers."""
        numbers = [message.get_seq() for message in self.messages]
        return sum((b - a - 1) % 256 for a, b in itertools.pairwise(numbers))


def arduino_runner(bundle: ModelBundle) -> Runner:
    """Build the emulated node for a bundle; returns what runs a feed through it. Raises ToolchainError."""
    emulator()
    image = build_node(bundle)
    return lambda events: run_node(image, events, bundle.spec)


def run_node(image: Path, events: Feed, spec: PipelineSpec) -> Classification:
    """A feed through the emulated node. It reports decisions, not the int8 values of a window.

    Raises ToolchainError when the node hangs, crashes, loses a message or runs another spec.
    """
    if len(events.imu) == 0:
        return reported([], spec, 0)
    shift_us = clock_shift_us(events, spec)
    with EmulatedNode(image) as node:
        assert node.telemetry is not None
        listener = Listener(node.telemetry)
        listener.start()
        node.play(sample_records(events, shift_us))
        # The node sends SYS_STATUS after everything that waits.
        request = dialect.MAVLink_command_long_message(
            *(NODE_SYSTEM, NODE_COMPONENT, dialect.MAV_CMD_REQUEST_MESSAGE, 0),
            *(dialect.MAVLINK_MSG_ID_SYS_STATUS, 0, 0, 0, 0, 0, 0),
        )
        node.telemetry.sendall(request.pack(dialect.MAVLink(None, srcSystem=255, srcComponent=190)))
        if not listener.status.wait(ANSWER_S):
            raise ToolchainError(f"the emulated node has not answered within {ANSWER_S:g} s: it hangs")
    if lost := listener.lost():
        raise ToolchainError(f"{lost} MAVLink messages of the emulated node were lost: its serial port was not read")
    return reported(listener.messages, spec, shift_us)


def clock_shift_us(events: Feed, spec: PipelineSpec) -> int:
    """Subtract it from a recording's times: the board's clock then begins near zero, with the same windows."""
    delivered = events.baro_time_us[: int(events.baro_before[-1])]
    earliest = min(int(part.min()) for part in (events.imu_time_us, delivered) if len(part))
    step_us = spec.hop * US_PER_S  # whole slots, whole hops
    return earliest // step_us * step_us


def reported(messages: list[Any], spec: PipelineSpec, shift_us: int) -> Classification:
    """Decisions from the DEBUG_FLOAT_ARRAYs among the messages, shift_us later."""
    arrays = [m for m in messages if m.get_type() == "DEBUG_FLOAT_ARRAY" and m.array_id == array.ARRAY_ID]
    data: NDArray[np.float64] = np.array([m.data for m in arrays], np.float64).reshape(len(arrays), array.ARRAY_SIZE)
    if (data[:, array.SPEC_HASH24] != spec.hash24).any():
        found = int(data[0, array.SPEC_HASH24])
        raise ToolchainError(f"the emulated node runs spec {found:06x}; expected {spec.hash24:06x}")
    end_us = np.array([m.time_usec + shift_us for m in arrays], np.uint64)
    values = {"class_index": data[:, array.CLASS], "flags": data[:, array.FLAGS],
              "confidence": data[:, array.CONFIDENCE],
              "probabilities": data[:, array.PROBABILITIES : array.PROBABILITIES + MAX_LABELS]}  # fmt: skip
    decisions = reported_decisions(end_us, values, spec)
    nothing = np.zeros((len(arrays), 0), np.int8)
    return Classification(nothing, nothing, decisions, {"decisions": len(arrays)})
