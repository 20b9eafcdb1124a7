"""The five kinds of port under a link. None ever blocks; failures are OSErrors."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from px4_tinyml.link.address import LinkAddress

Peer = tuple[object, ...]
"""Source of bytes; () when there is only one."""
RECEIVE_BUFFER = 4 << 20
"""Bytes requested of the kernel: a minute of a fast link, for times when this program does not run."""
MAX_DATAGRAM = 65536
MAX_READS = 4096
MAX_PEERS = 16
SEND_ROOM = 4096
"""Bytes of unsent frames kept for a full stream; further frames are dropped."""
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _SO_RXQ_OVFL = 33, 35, 40  # asm-generic/socket.h; Python has no names for them
_TIMESPEC, _COUNT = struct.Struct("@ll"), struct.Struct("@I")


class Chunk(NamedTuple):
    """Bytes received together. age_us: how long the kernel kept them; dropped: datagrams it dropped before them."""

    data: bytes
    peer: Peer = ()
    age_us: int = 0
    dropped: int = 0


class Port(Protocol):
    """An open (or opening) port."""

    datagrams: bool

    @property
    def open(self) -> bool:
        """Whether there can be a peer."""

    def fileno(self) -> int:
        """File descriptor for poll()."""

    @property
    def wants_to_write(self) -> bool:
        """Whether to poll for writing, too."""

    def read(self) -> list[Chunk]:
        """All received bytes. OSError when the port is lost."""

    def write(self, data: bytes, peer: Peer | None) -> bool:
        """Send a frame, to one peer or to all; False without room or peer."""

    def close(self) -> None:
        """Close it."""


class UdpPort:
    """udpin and udpout: one socket. Peers are those that sent something (and the target)."""

    datagrams = True

    def __init__(self, address: LinkAddress) -> None:
        self._peers: dict[Peer, None] = {}
        self._target: Peer | None = None
        self._dropped = 0
        with _new_socket(address, socket.SOCK_DGRAM) as (self._socket, where):
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            # Forcing a buffer beyond net.core.rmem_max takes a privilege; without it the kernel limits the size.
            for option, value in ((_SO_RCVBUFFORCE, RECEIVE_BUFFER), (_SO_TIMESTAMPNS, 1), (_SO_RXQ_OVFL, 1)):
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, option, value)
            if address.kind == "udpin":
                self._socket.bind(where)
            else:
                self._target = where
                self._peers[where] = None
        self._buffer = bytearray(MAX_DATAGRAM)
        self._emptied_ns = time.monotonic_ns()
        self.wants_to_write = False

    @property
    def open(self) -> bool:
        return bool(self._peers)

    @property
    def local_port(self) -> int:
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        view = memoryview(self._buffer)
        now_ns, read_ns = time.time_ns(), time.monotonic_ns()
        # Datagrams arrived after the socket was last empty, and in this order: also when the clock was set since.
        oldest_ns = read_ns - self._emptied_ns
        for _ in range(MAX_READS):
            try:
                size, extra, _, peer = self._socket.recvmsg_into([self._buffer], 64)
            except BlockingIOError:
                self._emptied_ns = read_ns
                break
            except ConnectionRefusedError:
                continue  # no program listens where a datagram was sent: the port itself is not lost
            if peer not in self._peers:
                self._add_peer(peer)
            age_us = dropped = 0
            for _level, what, value in extra:
                if what == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
                    seconds, nanoseconds = _TIMESPEC.unpack(value)
                    oldest_ns = min(oldest_ns, max(0, now_ns - seconds * 1_000_000_000 - nanoseconds))
                    age_us = oldest_ns // 1000
                elif what == _SO_RXQ_OVFL:
                    total = _COUNT.unpack(value)[0]
                    dropped, self._dropped = total - self._dropped & 0xFFFFFFFF, total
            chunks.append(Chunk(bytes(view[:size]), peer, age_us, dropped))
        return chunks

    def _add_peer(self, peer: Peer) -> None:
        self._peers[peer] = None
        if len(self._peers) > MAX_PEERS:
            del self._peers[next(other for other in self._peers if other != self._target)]

    def write(self, data: bytes, peer: Peer | None) -> bool:
        sent = False
        for where in [peer] if peer else list(self._peers):
            with contextlib.suppress(OSError):  # a peer that is unreachable now may be reachable later
                sent |= self._socket.sendto(data, where) == len(data)
        return sent

    def close(self) -> None:
        self._socket.close()


class StreamPort:
    """A byte stream by file descriptor: frames are sent whole or not at all."""

    datagrams = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unsent = b""

    @property
    def open(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    @property
    def wants_to_write(self) -> bool:
        return bool(self._unsent)

    def read(self) -> list[Chunk]:
        self._flush()
        parts: list[bytes] = []
        for _ in range(MAX_READS):
            try:
                part = os.read(self._descriptor, MAX_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                if parts:
                    break  # bytes before the end are not lost; the next read fails again
                raise
            if not part:
                if not parts and self._ended():
                    raise OSError(errno.ECONNRESET, "closed by the other end")
                break
            parts.append(part)  # a tty returns 4095 bytes at most: read until it is empty
        return [Chunk(b"".join(parts))] if parts else []

    def _ended(self) -> bool:
        """Whether reading no bytes means the end of the stream."""
        return True

    def write(self, data: bytes, peer: Peer | None) -> bool:
        self._flush()
        if len(self._unsent) + len(data) > SEND_ROOM:
            return False
        self._unsent += data
        self._flush()
        return True

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]

    def close(self) -> None:
        """The subclass owns the descriptor."""


class SerialPort(StreamPort):
    """A UART or USB device, set up by pyserial and locked against a second program."""

    def __init__(self, device: str, baud: int) -> None:
        import serial

        try:
            self._serial = serial.Serial(device, baud, timeout=0, write_timeout=0, exclusive=True)
        except ValueError as error:
            raise OSError(errno.EINVAL, f"baud rate {baud} is not supported here ({error})") from error
        except serial.SerialException as error:
            number = error.errno if isinstance(error.errno, int) else errno.EIO
            reason = os.strerror(number) if isinstance(error.errno, int) else str(error)
            raise OSError(number, reason) from error
        super().__init__(self._serial.fileno())

    def _ended(self) -> bool:
        """A quiet UART has no bytes either; one that is ready without bytes was unplugged."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._serial.close()


class TcpPort(StreamPort):
    """tcp: a client that connects in the background."""

    def __init__(self, address: LinkAddress) -> None:
        self._connecting = True
        with _new_socket(address, socket.SOCK_STREAM) as (self._socket, where):
            _prepare(self._socket)
            started = self._socket.connect_ex(where)
            if started not in (0, errno.EINPROGRESS):
                raise OSError(started, os.strerror(started))
        super().__init__(self._socket.fileno())

    @property
    def open(self) -> bool:
        return not self._connecting

    @property
    def wants_to_write(self) -> bool:
        return self._connecting or super().wants_to_write

    def read(self) -> list[Chunk]:
        if self._connecting:
            failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, os.strerror(failed))
            try:
                self._socket.getpeername()
            except OSError:
                return []
            self._connecting = False
        return super().read()

    def write(self, data: bytes, peer: Peer | None) -> bool:
        return self.open and super().write(data, peer)

    def close(self) -> None:
        self._socket.close()


class TcpServerPort:
    """tcpin: a server with any number of clients, each a stream."""

    datagrams = False

    def __init__(self, address: LinkAddress) -> None:
        self._clients: dict[Peer, tuple[socket.socket, StreamPort]] = {}
        with _new_socket(address, socket.SOCK_STREAM) as (self._socket, where):
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(where)
            self._socket.listen()
        self._poll = select.epoll()  # ready when a client or the listening socket is
        self._poll.register(self._socket, select.EPOLLIN)
        self.gone: list[Peer] = []

    @property
    def open(self) -> bool:
        return bool(self._clients)

    @property
    def wants_to_write(self) -> bool:
        return False

    @property
    def local_port(self) -> int:
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        return self._poll.fileno()

    def read(self) -> list[Chunk]:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            for _ in range(MAX_PEERS):
                client, peer = self._socket.accept()
                _prepare(client)
                self._clients[peer] = client, StreamPort(client.fileno())
                self._poll.register(client, select.EPOLLIN)
        chunks: list[Chunk] = []
        for peer, (_, stream) in list(self._clients.items()):
            try:
                chunks += [chunk._replace(peer=peer) for chunk in stream.read()]
            except OSError:
                self._drop(peer)
        return chunks

    def write(self, data: bytes, peer: Peer | None) -> bool:
        sent = False
        for where in [peer] if peer in self._clients else list(self._clients):
            try:
                sent |= self._clients[where][1].write(data, None)
            except OSError:
                self._drop(where)
        return sent

    def _drop(self, peer: Peer) -> None:
        client, _ = self._clients.pop(peer)
        self._poll.unregister(client)
        client.close()
        self.gone.append(peer)

    def close(self) -> None:
        for peer in list(self._clients):
            self._drop(peer)
        self._poll.close()
        self._socket.close()


def open_port(address: LinkAddress) -> Port:
    """The port of an address. OSError when it cannot be opened."""
    if address.kind == "serial":
        return SerialPort(address.device, address.baud)
    if address.kind == "tcp":
        return TcpPort(address)
    return TcpServerPort(address) if address.kind == "tcpin" else UdpPort(address)


@contextlib.contextmanager
def _new_socket(address: LinkAddress, kind: int) -> Iterator[tuple[socket.socket, Any]]:
    """A socket and its address to bind or connect to: IPv4 first, as vehicles use it. Closed when the block fails."""
    found = socket.getaddrinfo(address.host, address.port, type=kind)
    family, kind, protocol, _, where = min(found, key=lambda info: info[0] != socket.AF_INET)
    opened = socket.socket(family, kind, protocol)
    try:
        yield opened, where
    except OSError:
        opened.close()
        raise


def _prepare(stream: socket.socket) -> None:
    """Non-blocking, without delay for small frames, with keep-alive to detect a lost peer."""
    stream.setblocking(False)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 10_000)):
        if hasattr(socket, name):
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
