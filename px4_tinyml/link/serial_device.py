"""Finding a serial device again after its cable was pulled: often it comes back under another number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SerialDevice:
    """A device as it was when first opened: its USB identity, and what else was there."""

    device: str
    _identity: tuple[object, ...] | None = None
    _others: set[str] = field(default_factory=set)

    def remember(self, opened: str) -> None:
        """Note who this is while it is there."""
        self._identity = usb_identity(opened)
        self._others = set(_siblings(self.device)) - {opened}

    def present(self) -> str:
        """The device's path now: the one asked for, or where the same hardware has come back."""
        wanted = self.device if Path(self.device).exists() else None
        if wanted and (self._identity is None or usb_identity(wanted) in (None, self._identity)):
            return wanted
        for other in _siblings(self.device):
            identity = usb_identity(other)
            same = identity == self._identity if self._identity else other not in self._others
            if same and other != self.device:
                return other
        return self.device


def usb_identity(device: str) -> tuple[object, ...] | None:
    """Vendor, product and serial number of a USB device; None for what is not one."""
    from serial.tools import list_ports

    real = str(Path(device).resolve())
    for port in list_ports.comports():
        if port.device == real and port.vid is not None:
            return port.vid, port.pid, port.serial_number
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
