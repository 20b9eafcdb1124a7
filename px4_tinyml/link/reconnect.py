"""The port of a link, opened again after it was lost."""

from __future__ import annotations

import errno
import logging
import select
import socket
import time
from collections.abc import Callable

from px4_tinyml.errors import LinkError
from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.serial_device import SerialDevice, available
from px4_tinyml.link.transports import Chunk, Peer, Port, SerialPort, TcpServerPort, UdpPort, open_port

log = logging.getLogger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 0.2, 2.0
# Retrying does not help: another program has the port, or the address is not this machine's.
_PERMANENT = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EBUSY}


class ReconnectingPort:
    """One port and its retries. opened, lost: called when the port got a peer, and when it was lost.

    Raises LinkError when the address cannot work; without reconnect also for errors that retrying may repair (a server
    not up yet, a device not plugged in), and from read() when the port is lost.
    """

    def __init__(
        self, address: LinkAddress, reconnect: bool, opened: Callable[[], None], lost: Callable[[], None]
    ) -> None:
        self.address = address
        self.trouble = ""
        """Why there is no connection, while there is no connection."""
        self._reconnect, self._opened, self._lost = reconnect, opened, lost
        self._serial = SerialDevice(address.device) if address.kind == "serial" else None
        self._unconfirmed = ""
        """Serial device that was opened and has sent nothing yet."""
        self._retry_s, self._retry_at = FIRST_RETRY_S, 0.0
        self._poll = select.poll()
        self._polled = 0
        self._had_peer = False
        """Since the port was opened."""
        self._port: Port | None = None
        try:
            self._open()
        except OSError as error:
            if not reconnect or _is_permanent(error):
                raise LinkError(self._explain(error)) from error
            self._lose(error)

    @property
    def reachable(self) -> bool:
        """Whether there is a peer to send to."""
        return self._port is not None and self._port.open

    @property
    def datagrams(self) -> bool:
        """Whether bytes arrive in datagrams."""
        return self._port is not None and self._port.datagrams

    @property
    def local_port(self) -> int:
        """Port a udpin or tcpin link listens on."""
        if isinstance(self._port, UdpPort | TcpServerPort):
            return self._port.local_port
        raise LinkError(f"{self.address} listens on no port")

    def wait(self, deadline: float) -> bool:
        """Wait for bytes (or for a connection), or to open the port again; whether there is something to read."""
        if self._port is None and time.monotonic() >= self._retry_at:
            try:
                self._open()
            except OSError as error:
                self._lose(error)
        if self._port is None:
            time.sleep(max(0.0, min(deadline, self._retry_at) - time.monotonic()))
            return False
        wanted = select.POLLIN | (select.POLLOUT if self._port.wants_to_write else 0)
        if wanted != self._polled:
            self._poll.register(self._port.fileno(), wanted)
            self._polled = wanted
        return bool(self._poll.poll(max(0.0, (deadline - time.monotonic()) * 1000.0)))

    def read(self) -> list[Chunk]:
        """All bytes that are there."""
        if self._port is None:
            return []
        try:
            chunks = self._port.read()
        except OSError as error:
            self._lose(error)
            return []
        if self._port.open and not self._had_peer:
            self._had_peer, self._retry_s, self.trouble = True, FIRST_RETRY_S, ""
            self._opened()
        return chunks

    def take_gone(self) -> list[Peer]:
        """Clients of a server that have left since the last call."""
        if not isinstance(self._port, TcpServerPort):
            return []
        gone, self._port.gone = self._port.gone, []
        return gone

    def write(self, data: bytes, peer: Peer | None) -> bool:
        """Send a frame to a peer, or to all; False without room or peer."""
        try:
            return self._port is not None and self._port.write(data, peer)
        except OSError:
            return False  # read() reports the reason

    def confirm(self) -> None:
        """A vehicle was received: a serial device is remembered, so that it is found again under another name."""
        if self._serial is not None and self._unconfirmed:
            self._serial.remember(self._unconfirmed)
            self._unconfirmed = ""

    def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _open(self) -> None:
        """Open the port. OSError when that fails now."""
        device = self._serial.present() if self._serial is not None else ""
        self._port = SerialPort(device, self.address.baud) if device else open_port(self.address)
        self._unconfirmed = device
        if device != self.address.device:
            log.warning("%s: device found again as %s", self.address, device)
        self._polled = 0

    def _lose(self, error: OSError) -> None:
        """Close the port, log why once, and retry later."""
        was_open, self._had_peer = self._had_peer, False
        self._poll, self._polled = select.poll(), 0
        self.close()
        self._lost()
        trouble = self._explain(error)
        if not self._reconnect:
            raise LinkError(trouble) from error
        if was_open or trouble != self.trouble:
            log.warning("%s; trying again", trouble)
        self.trouble = trouble
        self._retry_s = FIRST_RETRY_S if was_open else min(self._retry_s * 1.5, LAST_RETRY_S)
        self._retry_at = time.monotonic() + self._retry_s

    def _explain(self, error: OSError) -> str:
        """Which link, which error, what to do."""
        why = error.strerror or str(error)
        address = self.address
        if error.errno == errno.EADDRINUSE:
            why = f"port {address.port} is in use by another program (QGroundControl, MAVProxy?): end it or use another"
        elif error.errno == errno.EADDRNOTAVAIL:
            why = f"{address.host} is no address of this machine: 0.0.0.0 listens on all"
        elif address.kind == "serial":
            why = _explain_serial(address.device, error.errno, why)
        return f"{address}: {why}"


def _explain_serial(device: str, number: int | None, why: str) -> str:
    if number in (errno.EACCES, errno.EPERM):
        return f"no permission for {device}: `sudo adduser $USER dialout` and log in again"
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"{device} is in use by another program (ModemManager, a ground station?)"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"there is no {device} (there is: {', '.join(available()) or 'no serial device'})"
    return why


def _is_permanent(error: OSError) -> bool:
    """Whether retrying will not help."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_NONAME
    return error.errno in _PERMANENT
