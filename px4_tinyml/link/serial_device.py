"""Finds a serial device again after its cable was pulled: often it gets another number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SerialDevice:
    """A device as it was at the last message: its USB identity, whether that is unique, and the other devices."""

    device: str
    _confirmed: bool = False
    _identity: tuple[object, ...] | None = None
    _unique: bool = False
    _others: set[str] = field(default_factory=set)

    def remember(self, opened: str) -> None:
        """Note the identity of the opened device after its first message (a bootloader is silent)."""
        self._confirmed = True
        self._identity = usb_identity(opened)
        self._others = set(_siblings(self.device)) - {opened}
        # Some chips have no serial number, or all the same one (CP2102: 0001).
        alike = any(usb_identity(other) == self._identity for other in self._others)
        self._unique = self._identity is not None and bool(self._identity[-1]) and not alike

    def present(self) -> str:
        """The device's path now: the requested one, or the new path of the same hardware.

        OSError when another device has the requested path.
        """
        for path in (self.device, *_siblings(self.device)):
            if self._confirmed and self._is_ours(path):
                return path
        if self._confirmed and Path(self.device).exists():
            raise OSError(f"{self.device} is another device now")
        return self.device

    def _is_ours(self, path: str) -> bool:
        """Whether it may be ours: devices that were present beside ours are not, unless a serial number matches."""
        return (
            Path(path).exists()
            and self._identity in (None, usb_identity(path))
            and (self._unique or path not in self._others)
        )


def usb_identity(device: str) -> tuple[object, ...] | None:
    """Vendor, product, interface and serial number of a USB device; None for another device."""
    from serial.tools import list_ports

    real = str(Path(device).resolve())
    for port in list_ports.comports():
        if port.device == real and port.vid is not None:
            interface = (port.location or "").partition(":")[2]  # an autopilot may be two devices (1-2:1.0, 1-2:1.2)
            return port.vid, port.pid, interface, port.serial_number
    return None


def available() -> list[str]:
    """Serial devices a vehicle may be at, for messages."""
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports() if port.vid is not None or "ttyA" in port.device)


def _siblings(device: str) -> list[str]:
    """Devices of the same name with any number: /dev/ttyACM0 → /dev/ttyACM*."""
    match = re.fullmatch(r"(.*?)([0-9]+)", device)
    if match is None or not re.search(r"tty[A-Za-z]+$", match[1]):
        return []
    prefix = Path(match[1])
    return sorted(str(path) for path in prefix.parent.glob(f"{prefix.name}[0-9]*"))
