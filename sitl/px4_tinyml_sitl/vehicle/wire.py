"""One address of a vehicle with all its peers, and a version of it that injects faults.

Ports, framing and signing are those of px4_tinyml. The vehicle flies on without a peer: a port that was lost is opened
again.
"""

from __future__ import annotations

import errno
import random
import time
from dataclasses import dataclass

from px4_tinyml.errors import LinkError
from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.transports import Peer, Port, TcpServerPort, UdpPort, open_port
from px4_tinyml.mavlink.framer import Frame, Framer
from px4_tinyml.mavlink.signing import SignatureCheck, SigningKey

RETRY_S, PEER_TIMEOUT_S = 0.5, 10.0
_MAX_PEERS = 16


class Wire:
    """One address. Raises LinkError when it cannot be opened at all."""

    def __init__(self, address: str | LinkAddress, signing: SigningKey | None = None) -> None:
        self.address = LinkAddress.parse(address) if isinstance(address, str) else address
        self.signing = SigningKey(signing.key, signing.link_id) if signing else None
        self.rejected = 0
        """Frames without a valid signature."""
        self._framers: dict[Peer, Framer] = {}
        self._port: Port | None = None
        self._lost_s = time.monotonic()
        self._retry_s = 0.0
        try:
            self._port = open_port(self.address)
        except OSError as error:
            if self.address.kind != "tcp" or not isinstance(error, ConnectionError):  # its server may start later
                in_use = error.errno in (errno.EADDRINUSE, errno.EBUSY)
                hint = ". It is in use by another program: end that, or serve elsewhere" if in_use else ""
                raise LinkError(f"{self.address}: {error.strerror or error}{hint}") from error

    @property
    def baud(self) -> int | None:
        """Baud rate of a serial wire."""
        return self.address.baud if self.address.kind == "serial" else None

    @property
    def local_port(self) -> int:
        """The port of a udp or tcpin address."""
        if isinstance(self._port, (UdpPort, TcpServerPort)):
            return self._port.local_port
        raise LinkError(f"{self.address} has no local port")

    @property
    def busy(self) -> bool:
        """Whether frames wait to be sent."""
        return self._port is not None and self._port.wants_to_write

    @property
    def gone(self) -> bool:
        """Whether a serial or TCP client wire has had no peer for PEER_TIMEOUT_S."""
        away = self._port is None or not self._port.open
        return away and self.address.kind in ("serial", "tcp") and time.monotonic() - self._lost_s > PEER_TIMEOUT_S

    def receive(self) -> list[tuple[Frame, Peer]]:
        """Frames received so far, each with its peer; frames without a valid signature are dropped."""
        port = self._connected()
        if port is None:
            return []
        try:
            chunks = port.read()
        except OSError:
            self._lose()
            return []
        if port.open:
            self._lost_s = time.monotonic()
        received = []
        for chunk in chunks:
            framer = self._framers.get(chunk.peer)
            if framer is None:
                framer = self._framers[chunk.peer] = Framer(datagrams=port.datagrams)
                if len(self._framers) > _MAX_PEERS:
                    del self._framers[next(iter(self._framers))]
            frames = framer.feed(chunk.data, time.time_ns() // 1000)
            received += [(frame, chunk.peer) for frame in frames if self._accept(frame)]
        return received

    def _accept(self, frame: Frame) -> bool:
        if self.signing is None or self.signing.check(frame.data) is SignatureCheck.GOOD:
            return True
        self.rejected += 1
        return False

    def _connected(self) -> Port | None:
        if self._port is None and time.monotonic() > self._retry_s:
            try:
                self._port = open_port(self.address)
            except OSError:
                self._retry_s = time.monotonic() + RETRY_S
        return self._port

    def _lose(self) -> None:
        self.close()
        self._framers.clear()
        self._retry_s = time.monotonic() + RETRY_S

    def send(self, data: bytes, but_not: Peer | None = None) -> bool:
        """Send a frame to all peers, or to all but the one it was received from."""
        if self._port is None:
            return False
        try:
            if but_not is None:
                return self._port.write(data, None)
            others = [peer for peer in self._framers if peer not in (but_not, ())]
            return sum(self._port.write(data, peer) for peer in others) > 0
        except OSError:
            self._lose()
            return False

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None


@dataclass
class Faults:
    """Probabilities for each frame sent: dropped, sent twice, sent after the next few, preceded by random bytes.
    drop_received: that a received frame is dropped."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    garbage: float = 0.0
    drop_received: float = 0.0


@dataclass
class FaultCounts:
    """Injected faults. sent: all frames, dropped ones and those of outages included."""

    sent: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    garbage_bytes: int = 0
    dropped_received: int = 0


class FaultyWire(Wire):
    """A wire with faults, for tests: the same seed and frames give the same faults. `faults` may be changed."""

    def __init__(
        self, address: str | LinkAddress, signing: SigningKey | None = None, faults: Faults | None = None, seed: int = 0
    ) -> None:
        super().__init__(address, signing)
        self.faults = faults or Faults()
        self.counts = FaultCounts()
        self._random = random.Random(seed)
        self._late: list[tuple[int, bytes, Peer | None]] = []
        self._cut_until_s = 0.0

    def cut(self, seconds: float) -> None:
        """Drop all frames for a while, in both directions."""
        self._cut_until_s = time.monotonic() + seconds

    @property
    def _cut(self) -> bool:
        return time.monotonic() < self._cut_until_s

    def receive(self) -> list[tuple[Frame, Peer]]:
        received = super().receive()
        kept = [item for item in received if not self._cut and self._random.random() >= self.faults.drop_received]
        self.counts.dropped_received += len(received) - len(kept)
        return kept

    def send(self, data: bytes, but_not: Peer | None = None) -> bool:
        faults, counts, chance = self.faults, self.counts, self._random.random
        counts.sent += 1
        if self._cut or chance() < faults.drop:
            counts.dropped += 1
            return True
        if chance() < faults.reorder:
            counts.reordered += 1
            self._late.append((self._random.randint(1, 4), data, but_not))
            return True
        garbage = b""
        if chance() < faults.garbage:
            garbage = self._random.randbytes(self._random.randint(1, 40))
            counts.garbage_bytes += len(garbage)
        sent = super().send(garbage + data, but_not)
        if chance() < faults.duplicate:
            counts.duplicated += 1
            super().send(data, but_not)
        late, self._late = self._late, []
        for left, frame, without in late:
            if left > 1:
                self._late.append((left - 1, frame, without))
            else:
                super().send(frame, without)
        return sent
