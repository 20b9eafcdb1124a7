"""PX4's simulator interface: HIL messages over TCP, one step at a time.

The simulator is the server, and HIL_SENSOR with id 0 is PX4's clock: PX4 waits for the next one.
Source: PX4-Autopilot v1.17, src/modules/simulation/simulator_mavlink.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from px4_tinyml.errors import LinkError
from px4_tinyml.mavlink import dialect as mavlink

ACCEL, GYRO, MAG, BARO = 0x7, 0x38, 0x1C0, 0x1A00
"""Groups of HIL_SENSOR.fields_updated; PX4 uses a group only when all of its bits are set."""
_FREE_RUN_S = 0.0025
_PATIENCE_S = 2.0
"""Timeout of an answer, long enough for a loaded computer."""
_STALL_S = 20.0


@dataclass(frozen=True)
class Controls:
    """One HIL_ACTUATOR_CONTROLS: outputs of the motors 0…1 and whether PX4 is armed."""

    time_us: int
    motors: tuple[float, float, float, float]
    armed: bool


@dataclass(frozen=True)
class Fix:
    """A GPS fix: degrees, metres above sea level, m/s NED."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    velocity_m_s: tuple[float, float, float]


def pressure_hpa(altitude_m: float) -> float:
    """ISA pressure, the inverse of PX4's altitude (lib/atmosphere)."""
    share: float = (1.0 - 0.0065 * altitude_m / 288.15) ** (9.80665 / (0.0065 * 287.1))
    return 1013.25 * share


class HilLink:
    """The simulator's end. `accept`, then `sensors` (and `gps`, `truth`) and `exchange` for every step."""

    def __init__(self, listener: socket.socket, lag: int) -> None:
        """lag: by how many steps PX4's answers may be late. Its logger takes part in the lockstep and goes by the rate
        of sensor_combined: where n HIL_SENSOR make one of those, PX4 answers every n-th (lag n − 1)."""
        self._listener = listener
        self._codec: Any = mavlink.MAVLink(None, srcSystem=1, srcComponent=51)
        self._codec.robust_parsing = True
        self._socket: socket.socket | None = None
        self._out = bytearray()
        self._answered_s = 0.0
        self._regular = False
        self._sent_us: deque[int] = deque(maxlen=lag + 1)
        self.controls: Controls | None = None
        self.late = 0
        """How often PX4 stopped answering after it had answered every step."""

    def accept(self, check: Callable[[], None], timeout_s: float = 60.0) -> None:
        """Wait for PX4 to connect. check: raises when PX4 has ended. Raises LinkError at the timeout."""
        self._listener.settimeout(0.1)
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            check()
            try:
                self._socket, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        port = self._listener.getsockname()[1]
        raise LinkError(f"PX4 did not connect to the simulator on TCP {port} within {timeout_s:.0f} s")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def sensors(
        self, time_us: int, accel: tuple[float, ...], gyro: tuple[float, ...],
        mag_gauss: tuple[float, ...] | None = None, pressure_hpa: float | None = None,
    ) -> None:  # fmt: skip
        """Add HIL_SENSOR: FRD, m/s² and rad/s; magnetometer and barometer where they have a new sample."""
        fields = ACCEL | GYRO | (0 if mag_gauss is None else MAG) | (0 if pressure_hpa is None else BARO)
        self._add(
            mavlink.MAVLink_hil_sensor_message(
                time_us, *accel, *gyro, *(mag_gauss or (0.0, 0.0, 0.0)), pressure_hpa or 0.0, 0.0, 0.0, 20.0, fields, 0
            )
        )

    def gps(self, time_us: int, fix: Fix) -> None:
        north, east, down = fix.velocity_m_s
        self._add(
            mavlink.MAVLink_hil_gps_message(
                time_us, mavlink.GPS_FIX_TYPE_3D_FIX, round(fix.latitude_deg * 1e7),
                round(fix.longitude_deg * 1e7), round(fix.altitude_m * 1e3), 70, 110,
                round((north * north + east * east) ** 0.5 * 100), round(north * 100), round(east * 100),
                round(down * 100), 65535, 12,
            )
        )  # fmt: skip

    def truth(
        self, time_us: int, quaternion: tuple[float, ...], rates: tuple[float, ...], fix: Fix, accel: tuple[float, ...]
    ) -> None:
        """Add HIL_STATE_QUATERNION, which PX4 logs as ground truth (position whole centimetres a second)."""
        milli_g = [max(-32768, min(32767, round(a / 9.80665 * 1e3))) for a in accel]
        self._add(
            mavlink.MAVLink_hil_state_quaternion_message(
                time_us, quaternion, *rates, round(fix.latitude_deg * 1e7), round(fix.longitude_deg * 1e7),
                round(fix.altitude_m * 1e3), *(round(v * 100) for v in fix.velocity_m_s), 0, 0, *milli_g,
            )
        )  # fmt: skip

    def _add(self, message: Any) -> None:
        self._out += message.pack(self._codec)
        self._codec.seq = (self._codec.seq + 1) & 0xFF

    def exchange(self, time_us: int) -> Controls | None:
        """Send the added messages, wait for PX4's answer to a step at most `lag` older, and return its newest answer.

        None while it starts up and does not answer. Raises LinkError when PX4 closes the link or stops answering.
        """
        sock = self._socket
        if sock is None:
            raise LinkError("PX4 is not connected to the simulator")
        try:
            sock.settimeout(_STALL_S)
            sock.sendall(self._out)
            self._out.clear()
            self._sent_us.append(time_us)
            self._receive(sock, self._sent_us[0])
        except (ConnectionError, BrokenPipeError, TimeoutError) as error:
            raise LinkError(f"PX4 has closed the link to the simulator: {error}") from error
        return self.controls

    def _receive(self, sock: socket.socket, awaited_us: int) -> None:
        """Read until the answer to a step is received, or the timeout."""
        now = time.monotonic()
        patience = now + (_PATIENCE_S if self._regular else _FREE_RUN_S)
        while True:
            behind = self.controls is None or self.controls.time_us < awaited_us
            readable, _, _ = select.select([sock], [], [], max(patience - now, 0.0) if behind else 0.0)
            now = time.monotonic()
            if readable:
                data = sock.recv(4096)
                if not data:
                    raise LinkError("PX4 has closed the link to the simulator")
                answer = self._controls(data)
                if answer is not None:
                    self.controls, self._answered_s = answer, now
            elif not behind:
                self._regular = True
                return
            elif now >= patience:
                self.late += self._regular
                self._regular = False
                if self.controls is not None and now - self._answered_s > _STALL_S:
                    raise LinkError(f"PX4 has not answered the simulator for {_STALL_S:.0f} s")
                return

    def _controls(self, data: bytes) -> Controls | None:
        controls = None
        for message in self._codec.parse_buffer(data) or ():
            if message.get_type() == "HIL_ACTUATOR_CONTROLS":
                motors = tuple(float(value) for value in message.controls[:4])
                armed = bool(message.mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED)
                controls = Controls(int(message.time_usec), motors, armed)  # type: ignore[arg-type]
        return controls
