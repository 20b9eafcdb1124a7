"""Bytes of a link → accepted frames, and by which peer each system is reached."""

from __future__ import annotations

from px4_tinyml.link.transports import Chunk, Peer
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame, Framer
from px4_tinyml.mavlink.signing import SigningPolicy
from px4_tinyml.mavlink.statistics import LinkStatistics

MAX_FRAMERS = 64
"""Peers whose incomplete frames are kept: programs that connect and leave each add one."""


class FrameRouter:
    """Frames the bytes of each peer, checks signatures, counts, and remembers the peer of each system."""

    def __init__(self, statistics: LinkStatistics, policy: SigningPolicy) -> None:
        self._statistics, self._policy = statistics, policy
        self._known = dialect.messages()
        self._framers: dict[Peer, Framer] = {}
        self._routes: dict[int, Peer] = {}

    def peer_of(self, system: int) -> Peer | None:
        """The peer that last sent a frame of a system."""
        return self._routes.get(system)

    def frames(self, chunks: list[Chunk], now_us: int, datagrams: bool) -> list[Frame]:
        """Accepted frames in the order they arrived. now_us: when the chunks were read."""
        accepted: list[Frame] = []
        for chunk in chunks:
            self._statistics.kernel_dropped += chunk.dropped
            framer = self._framer(chunk.peer, datagrams)
            for frame in framer.feed(chunk.data, now_us - chunk.age_us):
                if self._accept(frame, datagrams):
                    accepted.append(frame)
                    self._routes[frame.system] = chunk.peer
        return accepted

    def forget(self, peers: list[Peer]) -> None:
        """Peers that left: their incomplete frames and their routes."""
        for peer in peers:
            if peer in self._framers:
                self._framers.pop(peer).reset()
            self._routes = {system: at for system, at in self._routes.items() if at != peer}

    def clear(self) -> None:
        """Forget all peers."""
        for framer in self._framers.values():
            framer.reset()
        self._framers.clear()
        self._routes.clear()

    def _framer(self, peer: Peer, datagrams: bool) -> Framer:
        framer = self._framers.get(peer)
        if framer is None:
            framer = self._framers[peer] = Framer(datagrams, self._statistics)
            if len(self._framers) > MAX_FRAMERS:
                del self._framers[next(iter(self._framers))]
        return framer

    def _accept(self, frame: Frame, datagrams: bool) -> bool:
        sender = self._statistics.sender(frame.system, frame.component)
        if not self._policy.accepts(frame, sender):
            return False
        checked = frame.message_id in self._known
        # A datagram has a checksum of its own, a serial line has none.
        sender.note(frame.sequence, frame.received_us, len(frame.data), checked or datagrams)
        if not checked:
            sender.unknown += 1
            self._statistics.unknown_ids[frame.message_id] += 1
        return True
