"""A double of PX4's end of the simulator link: it answers HIL_SENSOR, and nothing else."""

from __future__ import annotations

import socket
import threading

from pymavlink.dialects.v20 import common


class Px4Double(threading.Thread):
    """Connects and answers every n-th HIL_SENSOR with HIL_ACTUATOR_CONTROLS of its time. sensors: what came."""

    def __init__(self, port: int, every: int = 1, first: int = 0, silent_after: int | None = None) -> None:
        """first: how many samples it takes to start up; silent_after: how many it answers before it stands still."""
        super().__init__(daemon=True)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        self._every, self._first, self._silent_after = every, first, silent_after
        self.sensors: list[common.MAVLink_hil_sensor_message] = []
        self.others: list[common.MAVLink_message] = []
        self.start()

    def run(self) -> None:
        """Until the other end hangs up."""
        codec = common.MAVLink(None)
        while data := self._receive():
            for message in codec.parse_buffer(data) or ():
                if message.get_type() != "HIL_SENSOR":
                    self.others.append(message)
                    continue
                self.sensors.append(message)
                count = len(self.sensors)
                silent = self._silent_after is not None and count > self._silent_after
                if count > self._first and count % self._every == 0 and not silent:
                    controls = [0.25, 0.5, 0.75, 1.0] + [0.0] * 12
                    answer = common.MAVLink_hil_actuator_controls_message(message.time_usec, controls, 128 + 1, 1)
                    self._socket.sendall(answer.pack(codec))

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except OSError:
            return b""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        self.join(5.0)
