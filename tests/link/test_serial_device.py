"""Which device is ours after a cable was pulled: ptys, and a test double of the list of USB devices."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from link_senders import Pty, Vehicle
from serial.tools import list_ports

from px4_tinyml.link.connection import Link


class Desk:
    """USB sockets: plug() makes a ttyUSB with this product and serial number, pull() lets it vanish."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._plugged: dict[str, tuple[Pty, SimpleNamespace]] = {}

    def plug(self, name: str, serial_number: str | None, product: int = 0xEA60, location: str = "1-2") -> None:
        cable = self._stack.enter_context(Pty(self._folder / name))
        real = os.path.realpath(cable.device)
        self._plugged[name] = (
            cable,
            SimpleNamespace(device=real, vid=0x10C4, pid=product, serial_number=serial_number, location=location),
        )

    def pull(self, name: str) -> None:
        self._plugged.pop(name)[0].pull()

    def comports(self) -> list[SimpleNamespace]:
        return [port for _, port in self._plugged.values()]

    def receives_from(self, link: Link, name: str, timeout_s: float = 60.0) -> bool:
        """Whether the link receives from this device: it retries to open it for a second or two."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._plugged[name][0].write(Vehicle().heartbeat())
            if link.receive(0.1):
                return True
        return False


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with ExitStack() as stack:
        desk = Desk(tmp_path, stack)
        monkeypatch.setattr(list_ports, "comports", desk.comports)
        yield desk


@pytest.mark.parametrize("serial_number", [None, "0001"])
def test_an_equal_adapter_that_was_present_is_not_ours(tmp_path: Path, desk: Desk, serial_number: str | None) -> None:
    desk.plug("ttyUSB0", serial_number)
    desk.plug("ttyUSB1", serial_number)
    with Link(f"serial:{tmp_path}/ttyUSB0") as link:
        assert desk.receives_from(link, "ttyUSB0")
        desk.pull("ttyUSB0")
        assert not desk.receives_from(link, "ttyUSB1", timeout_s=3.0)
        assert "there is no" in link.trouble
        desk.plug("ttyUSB2", serial_number)
        assert desk.receives_from(link, "ttyUSB2")


def test_an_adapter_without_serial_number_is_found_by_its_name(tmp_path: Path, desk: Desk) -> None:
    desk.plug("ttyUSB0", None)
    with Link(f"serial:{tmp_path}/ttyUSB0") as link:
        assert desk.receives_from(link, "ttyUSB0")
        desk.pull("ttyUSB0")
        assert not link.receive(0.1)
        desk.plug("ttyUSB0", None)
        assert desk.receives_from(link, "ttyUSB0")


def test_another_device_under_our_name_is_not_opened(tmp_path: Path, desk: Desk) -> None:
    """An autopilot pulled, an Arduino plugged in; then the autopilot again."""
    desk.plug("ttyACM0", "F1", 0x32)
    with Link(f"serial:{tmp_path}/ttyACM0") as link:
        assert desk.receives_from(link, "ttyACM0")
        desk.pull("ttyACM0")
        desk.plug("ttyACM0", "A1", 0x99)
        assert not desk.receives_from(link, "ttyACM0", timeout_s=3.0)
        assert "ttyACM0 is another device now" in link.trouble
        desk.plug("ttyACM1", "F1", 0x32)
        assert desk.receives_from(link, "ttyACM1")


def test_a_serial_number_is_found_under_the_name_of_another_device(tmp_path: Path, desk: Desk) -> None:
    """A hub is pulled and its two devices swap their names."""
    desk.plug("ttyUSB0", "one")
    desk.plug("ttyUSB1", "two")
    with Link(f"serial:{tmp_path}/ttyUSB0") as link:
        assert desk.receives_from(link, "ttyUSB0")
        for name in ("ttyUSB0", "ttyUSB1"):
            desk.pull(name)
        assert not link.receive(0.1)
        desk.plug("ttyUSB0", "two")
        desk.plug("ttyUSB1", "one")
        assert desk.receives_from(link, "ttyUSB1")
        assert not desk.receives_from(link, "ttyUSB0", timeout_s=3.0)


def test_a_bootloader_that_was_opened_is_not_ours(tmp_path: Path, desk: Desk) -> None:
    """Autopilot and companion are switched on together: the device that sends first is ours."""
    desk.plug("ttyACM0", "F1", 0x16)
    with Link(f"serial:{tmp_path}/ttyACM0") as link:
        assert not link.receive(0.3)
        desk.pull("ttyACM0")
        assert not link.receive(0.1)
        desk.plug("ttyACM0", "F1", 0x32)
        assert desk.receives_from(link, "ttyACM0")


def test_an_autopilot_that_is_two_devices(tmp_path: Path, desk: Desk) -> None:
    """Both have its serial number, and get other names."""
    desk.plug("ttyACM0", "F1", 0x32, "1-2:1.0")
    desk.plug("ttyACM1", "F1", 0x32, "1-2:1.2")
    with Link(f"serial:{tmp_path}/ttyACM0") as link:
        assert desk.receives_from(link, "ttyACM0")
        for name in ("ttyACM0", "ttyACM1"):
            desk.pull(name)
        assert not link.receive(0.1)
        desk.plug("ttyACM1", "F1", 0x32, "1-3:1.0")
        desk.plug("ttyACM2", "F1", 0x32, "1-3:1.2")
        assert desk.receives_from(link, "ttyACM1")
