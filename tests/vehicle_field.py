"""A simulated vehicle in a thread, and pymavlink clients on real sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

TIMEOUT_S = 60.0
NAN = float("nan")


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.005)


class Client:
    """A ground station: a pymavlink connection."""

    def __init__(self, url: str, system: int = 255, component: int = 190) -> None:
        self.link: Any = mavutil.mavlink_connection(url, source_system=system, source_component=component)
        # A fast vehicle sends more between two reads than the kernel's default buffer holds.
        if url.startswith("udp"):
            self.link.port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    @property
    def port(self) -> int:
        return int(self.link.port.getsockname()[1])

    def wait(
        self, kind: str | list[str], ok: Callable[[Any], bool] = lambda m: True, seconds: float = TIMEOUT_S
    ) -> Any:
        """The next message of a kind for which ok(message)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.link.recv_match(type=kind, blocking=True, timeout=0.2)
            if message is not None and ok(message):
                return message
        raise AssertionError(f"no such {kind} within {seconds:.0f} s")

    def collect(self, seconds: float) -> list[Any]:
        """All messages over so many seconds of the vehicle's boot clock."""
        messages: list[Any] = []
        clock: list[int] = []

        def over(message: Any) -> bool:
            messages.append(message)
            if message.get_type() == "ATTITUDE":
                clock.append(message.time_boot_ms)
            return bool(clock) and clock[-1] - clock[0] >= 1000 * seconds

        self.wait(None, over)
        return messages

    def types(self, seconds: float) -> set[str]:
        """Types of all messages over so many seconds of the vehicle's boot clock."""
        return {m.get_type() for m in self.collect(seconds)}

    def drain(self) -> list[Any]:
        """All messages received so far."""
        return list(iter(self.link.recv_match, None))

    def command(self, number: int, *params: float, system: int = 1, tries: int = 1) -> tuple[int, list[str]]:
        """Send COMMAND_LONG; (MAV_RESULT, texts received before it). tries: for links that lose frames."""
        texts: list[str] = []

        def answered(message: Any) -> bool:
            if message.get_type() == "STATUSTEXT":
                texts.append(message.text)
                return False
            return bool(message.command == number and message.get_srcSystem() == system)

        for left in reversed(range(tries)):
            self.link.mav.command_long_send(system, 1, number, 0, *[*params, *[NAN] * (7 - len(params))])
            with contextlib.suppress(*[AssertionError] if left else []):
                ack = self.wait(["COMMAND_ACK", "STATUSTEXT"], answered, 2.0 if left else TIMEOUT_S)
                return ack.result, texts
        raise AssertionError

    def arm(self, on: float = 1.0, force: float = NAN) -> tuple[int, list[str]]:
        """Arm or disarm: (MAV_RESULT, texts)."""
        return self.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, on, force)

    def set_parameter(self, name: str, value: float, kind: int = mavlink.MAV_PARAM_TYPE_REAL32) -> float:
        """Send PARAM_SET; the value in the answer."""
        self.link.mav.param_set_send(1, 1, name.encode(), value, kind)
        return float(self.wait("PARAM_VALUE", lambda m: m.param_id == name).param_value)

    def wait_disarmed(self) -> None:
        self.wait("HEARTBEAT", lambda m: m.get_srcComponent() == 1 and not m.base_mode & 128)

    def fly_up(self, height: float = 5.0) -> None:
        """Arm and take off, and wait until it hovers."""
        self.set_parameter("MIS_TAKEOFF_ALT", height)
        assert self.command(mavlink.MAV_CMD_NAV_TAKEOFF) == (0, [])
        assert self.arm()[0] == 0
        self.wait("EXTENDED_SYS_STATE", lambda m: m.landed_state == mavlink.MAV_LANDED_STATE_IN_AIR)

    def land(self) -> None:
        """Land, and wait until it is disarmed."""
        assert self.command(mavlink.MAV_CMD_NAV_LAND)[0] == 0
        self.wait_disarmed()

    def close(self) -> None:
        self.link.close()


class Field(contextlib.ExitStack):
    """Makes clients and vehicles; closes all of them."""

    def client(self, url: str = "udpin:127.0.0.1:0", **options: Any) -> Client:
        client = Client(url, **options)
        self.callback(client.close)
        return client

    def vehicle(self, addresses: str | list[str], **options: Any) -> EmbeddedVehicle:
        return self.enter_context(EmbeddedVehicle(addresses, **options))

    def pair(self, **options: Any) -> tuple[Client, EmbeddedVehicle]:
        """A client and a vehicle that sends to it; a heartbeat was received."""
        client = self.client()
        vehicle = self.vehicle(f"udpout:127.0.0.1:{client.port}", **options)
        client.wait("HEARTBEAT")
        return client, vehicle
