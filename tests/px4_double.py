"""A double of PX4's end of the simulator link, which answers HIL_SENSOR only."""

from __future__ import annotations

import socket
import threading

from pymavlink.dialects.v20 import common


class Integration:
    """When PX4's VehicleIMU (v1.17, IMU_INTEG_RATE 250) completes a sample from HIL_SENSORs.

    After the number that fits 4 ms best, or nearly that time. The number depends on the mean interval since the start,
    and is updated when that mean has changed by more than its spread.
    """

    PERIOD_US = 4000.0

    def __init__(self) -> None:
        self._last_us = 0
        self._intervals = 0
        self._mean_us = self._squares = 0.0
        self._used_us = 0.0
        self._samples, self._elapsed_us = 0, 0

    def completes(self, time_us: int) -> bool:
        """Add a sample; whether it completes one of PX4's."""
        interval_us, self._last_us = time_us - self._last_us, time_us
        if self._last_us != interval_us:  # not the first
            self._update(interval_us)
        self._samples += 1
        self._elapsed_us += interval_us
        if not self._used_us:
            return False
        wanted = max(1, round(self.PERIOD_US / self._used_us))
        if self._samples < wanted and self._elapsed_us < (wanted - 0.5) * self._used_us:
            return False
        self._samples, self._elapsed_us = 0, 0
        return True

    def _update(self, interval_us: int) -> None:
        self._intervals += 1
        before = interval_us - self._mean_us
        self._mean_us += before / self._intervals
        self._squares += before * (interval_us - self._mean_us)
        if self._intervals > 2 and self._intervals % 10 == 0:
            variance = self._squares / (self._intervals - 1)
            if not self._used_us or (self._mean_us - self._used_us) ** 2 > variance:
                self._used_us = self._mean_us


class Px4Double(threading.Thread):
    """Connects and answers every n-th HIL_SENSOR with HIL_ACTUATOR_CONTROLS of its time. sensors: received ones."""

    def __init__(
        self, port: int, every: int = 1, first: int = 0, silent_after: int | None = None, integrates: bool = False
    ) -> None:
        """first: samples without an answer at the start; silent_after: samples after which it answers no more.

        integrates: answer where PX4 would, instead of every n-th.
        """
        super().__init__(daemon=True)
        self._integration = Integration() if integrates else None
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        self._every, self._first, self._silent_after = every, first, silent_after
        self.sensors: list[common.MAVLink_hil_sensor_message] = []
        self.others: list[common.MAVLink_message] = []
        self.start()

    def run(self) -> None:
        codec = common.MAVLink(None)
        while data := self._receive():
            for message in codec.parse_buffer(data) or ():
                if message.get_type() != "HIL_SENSOR":
                    self.others.append(message)
                    continue
                self.sensors.append(message)
                count = len(self.sensors)
                silent = self._silent_after is not None and count > self._silent_after
                due = count % self._every == 0
                if self._integration is not None:
                    due = self._integration.completes(int(message.time_usec))
                if count > self._first and due and not silent:
                    controls = [0.25, 0.5, 0.75, 1.0] + [0.0] * 12
                    answer = common.MAVLink_hil_actuator_controls_message(message.time_usec, controls, 128 + 1, 1)
                    self._socket.sendall(answer.pack(codec))

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except OSError:
            return b""

    def close(self) -> None:
        self._socket.close()
        self.join(5.0)
