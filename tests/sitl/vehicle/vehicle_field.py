"""A served vehicle in a thread, and pymavlink clients on real sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from pymavlink import mavutil

from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

PATIENCE_S = 30.0
NAN = float("nan")


class Client:
    """A ground station: a pymavlink connection with a clock."""

    def __init__(self, url: str, system: int = 255, component: int = 190) -> None:
        self.link: Any = mavutil.mavlink_connection(url, source_system=system, source_component=component)
        # A fast vehicle sends more between two looks than the kernel keeps by itself.
        if url.startswith("udp"):
            self.link.port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    @property
    def port(self) -> int:
        return int(self.link.port.getsockname()[1])

    def wait(
        self, kind: str | list[str], ok: Callable[[Any], bool] = lambda m: True, seconds: float = PATIENCE_S
    ) -> Any:
        """The next message of a kind for which ok(message)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.link.recv_match(type=kind, blocking=True, timeout=0.2)
            if message is not None and ok(message):
                return message
        raise AssertionError(f"no such {kind} within {seconds:.0f} s")

    def collect(self, seconds: float) -> list[Any]:
        """Everything that comes for a while."""
        end = time.monotonic() + seconds
        messages = []
        while (left := end - time.monotonic()) > 0.0:
            message = self.link.recv_match(blocking=True, timeout=left)
            if message is not None:
                messages.append(message)
        return messages

    def command(self, number: int, *params: float, system: int = 1, tries: int = 1) -> tuple[int, list[str]]:
        """Send COMMAND_LONG; (MAV_RESULT, texts that came before it). tries: for links that lose frames."""
        while True:
            tries -= 1
            try:
                return self._command_once(number, params, system, 2.0 if tries else PATIENCE_S)
            except AssertionError:
                if tries <= 0:
                    raise

    def _command_once(
        self, number: int, params: tuple[float, ...], system: int, seconds: float
    ) -> tuple[int, list[str]]:
        texts: list[str] = []
        self.link.mav.command_long_send(system, 1, number, 0, *[*params, *[NAN] * (7 - len(params))])
        while True:
            message = self.wait(["COMMAND_ACK", "STATUSTEXT"], seconds=seconds)
            if message.get_type() == "STATUSTEXT":
                texts.append(message.text)
            elif message.command == number and message.get_srcSystem() == system:
                return message.result, texts

    def set_parameter(self, name: str, value: float, kind: int = 9) -> float:
        """PARAM_SET; the value that came back."""
        self.link.mav.param_set_send(1, 1, name.encode(), value, kind)
        return float(self.wait("PARAM_VALUE", lambda m: m.param_id == name).param_value)

    def fly_up(self, height: float = 5.0) -> None:
        """Arm and take off, and wait until it hovers."""
        self.set_parameter("MIS_TAKEOFF_ALT", height)
        assert self.command(22) == (0, [])
        assert self.command(400, 1.0)[0] == 0
        self.wait("EXTENDED_SYS_STATE", lambda m: m.landed_state == 2)

    def land(self) -> None:
        """Land, and wait until it is disarmed."""
        assert self.command(21)[0] == 0
        self.wait("HEARTBEAT", lambda m: m.get_srcComponent() == 1 and not m.base_mode & 128)

    def close(self) -> None:
        self.link.close()


class Field:
    """Where clients and vehicles meet; closes all of them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def client(self, url: str = "udpin:127.0.0.1:0", **options: Any) -> Client:
        client = Client(url, **options)
        self._stack.callback(client.close)
        return client

    def vehicle(self, addresses: str | list[str], **options: Any) -> EmbeddedVehicle:
        return self._stack.enter_context(EmbeddedVehicle(addresses, **options))

    def pair(self, **options: Any) -> tuple[Client, EmbeddedVehicle]:
        """A client that listens and a vehicle that speaks to it; it has been heard."""
        client = self.client()
        vehicle = self.vehicle(f"udpout:127.0.0.1:{client.port}", **options)
        client.wait("HEARTBEAT")
        return client, vehicle
