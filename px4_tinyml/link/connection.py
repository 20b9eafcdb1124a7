"""A link to vehicles: receives frames, sends messages, reconnects."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Any

from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.reconnect import ReconnectingPort
from px4_tinyml.link.transports import Chunk, Peer
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame, Framer
from px4_tinyml.mavlink.signing import SigningKey, SigningPolicy
from px4_tinyml.mavlink.statistics import OUTAGE_US, LinkStatistics

__all__ = ["Frame", "Link", "LinkStatistics"]

log = logging.getLogger(__name__)

CLOCK_STEP_US = 5_000_000
MAX_FRAMERS = 64
"""Peers whose incomplete frames are kept: programs that connect and leave each add one."""


class Link:
    """One connection, any number of vehicles. Use as a context manager; one thread receives, any may send.

    Raises LinkError when the address cannot work; errors that may pass (a server not up yet, a device not plugged in)
    are retried, unless reconnect is False. component: MAV_COMP_ID_ONBOARD_COMPUTER by default. batch_s: on a busy
    link, receive() waits this long and returns frames together, which saves waking up for each.
    """

    def __init__(
        self,
        address: LinkAddress | str,
        *,
        signing: SigningKey | None = None,
        system: int = 245,
        component: int | None = None,
        reconnect: bool = True,
        batch_s: float = 0.0,
    ) -> None:
        self.address = LinkAddress.parse(address) if isinstance(address, str) else address
        self.statistics = LinkStatistics()
        self._signing, self._batch_s = signing, batch_s
        self._mavlink = dialect.MAVLink(None, system, component or dialect.MAV_COMP_ID_ONBOARD_COMPUTER)
        self._sending = threading.Lock()
        self._policy = SigningPolicy(str(self.address), signing)
        self._known = dialect.messages()
        self._framers: dict[Peer, Framer] = {}
        self._routes: dict[int, Peer] = {}
        """The peer that last sent a frame of a system."""
        self._unread: list[Frame] = []
        self._start_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000
        self._clock_step_us = 0
        """Steps of the system clock that were reported."""
        self._received_us = self._reported_silence_us = 0
        """When the newest frame was received; the same of the last frame before a reported silence."""
        self._busy = False
        self._port = ReconnectingPort(self.address, reconnect, self._opened, self._forget)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    @property
    def trouble(self) -> str:
        """Why there is no connection, while there is no connection."""
        return self._port.trouble

    @property
    def connected(self) -> bool:
        """Whether the port is open and frames were received in the last three seconds."""
        return self._port.reachable and 0 <= self.silent_s < OUTAGE_US / 1e6

    @property
    def reachable(self) -> bool:
        """Whether there is a peer to send to."""
        return self._port.reachable

    @property
    def silent_s(self) -> float:
        """Seconds since a frame was received; infinite before the first."""
        return (self.now_us() - self._received_us) / 1e6 if self._received_us else float("inf")

    @property
    def local_port(self) -> int:
        """Port a udpin or tcpin link listens on."""
        return self._port.local_port

    @property
    def system(self) -> int:
        """Our MAVLink system id; settable, as a companion takes its vehicle's."""
        return int(self._mavlink.srcSystem)

    @system.setter
    def system(self, number: int) -> None:
        self._mavlink.srcSystem = number

    @property
    def component(self) -> int:
        """Our MAVLink component id."""
        return int(self._mavlink.srcComponent)

    def now_us(self) -> int:
        """µs since 1970 on the clock of received_us: the system's at the start, never set back afterwards."""
        return time.monotonic_ns() // 1000 + self._start_us

    def receive(self, timeout_s: float) -> list[Frame]:
        """Frames in the order they arrived: waits for some until the timeout. LinkError without reconnect."""
        if self._unread:
            frames, self._unread = self._unread, []
            return frames
        deadline = time.monotonic() + timeout_s
        while True:
            if frames := self._wait_and_read(deadline):
                return frames
            self._warn_if_silent()
            if time.monotonic() >= deadline:
                return []

    def unread(self, frames: list[Frame]) -> None:
        """Put frames back: the next receive() returns them again (nothing is counted twice)."""
        self._unread = frames + self._unread

    def send(self, message: Any) -> bool:
        """Send a pymavlink message, signed when there is a key; to its target_system's peer where that is known.

        Never waits: False (and counted) without room or peer.
        """
        with self._sending:
            if self._signing is not None:
                self._signing.apply(self._mavlink)
            data = bytes(message.pack(self._mavlink))
            sent = self._port.write(data, self._routes.get(getattr(message, "target_system", 0)))
            if sent:
                self._mavlink.seq = (self._mavlink.seq + 1) % 256
                self.statistics.sent += 1
            else:
                self.statistics.send_dropped += 1
            return sent

    def _wait_and_read(self, deadline: float) -> list[Frame]:
        """Frames, or none at the timeout or when other bytes arrived."""
        if self._batch_s and self._busy:
            # On a busy link: sleep once instead of waking up for each frame.
            time.sleep(max(0.0, min(self._batch_s, deadline - time.monotonic())))
            if frames := self._read():
                return frames
        return self._read() if self._port.wait(deadline) else []

    def _read(self) -> list[Frame]:
        frames = self._frames_of(self._port.read(), self.now_us(), self._port.datagrams)
        self._forget(self._port.take_gone())
        self._busy = bool(frames)
        if frames:
            self._port.confirm()
            self._note_received(frames)
        return frames

    def _frames_of(self, chunks: list[Chunk], now_us: int, datagrams: bool) -> list[Frame]:
        """Accepted frames in the order they arrived. now_us: when the chunks were read."""
        accepted: list[Frame] = []
        for chunk in chunks:
            self.statistics.kernel_dropped += chunk.dropped
            if chunk.peer not in self._framers:
                self._framers[chunk.peer] = Framer(datagrams, self.statistics)
                if len(self._framers) > MAX_FRAMERS:
                    del self._framers[next(iter(self._framers))]
            for frame in self._framers[chunk.peer].feed(chunk.data, now_us - chunk.age_us):
                if self._accept(frame, datagrams):
                    accepted.append(frame)
                    self._routes[frame.system] = chunk.peer
        return accepted

    def _accept(self, frame: Frame, datagrams: bool) -> bool:
        """Check the signature and count the frame."""
        sender = self.statistics.sender(frame.system, frame.component)
        if not self._policy.accepts(frame, sender):
            return False
        known = frame.message_id in self._known
        # A datagram has a checksum of its own, a serial line has none.
        sender.note(frame.sequence, frame.received_us, len(frame.data), known or datagrams)
        if not known:
            sender.unknown += 1
            self.statistics.unknown_ids[frame.message_id] += 1
        return True

    def _forget(self, peers: list[Peer] | None = None) -> None:
        """Drop the incomplete frames and the routes of peers that left, of all by default."""
        for peer in list(self._framers) if peers is None else peers:
            if framer := self._framers.pop(peer, None):
                framer.reset()
            self._routes = {system: at for system, at in self._routes.items() if at != peer}

    def _opened(self) -> None:
        if self._received_us:
            self.statistics.reconnects += 1
            for sender in self.statistics.senders.values():
                sender.reconnect()
            log.info("%s: connected again", self.address)

    def _note_received(self, frames: list[Frame]) -> None:
        """Count a silence that ends; report a step of the system clock."""
        silence_us = frames[0].received_us - self._received_us
        if self._received_us and silence_us > OUTAGE_US:
            self.statistics.outages += 1
            self.statistics.outage_s += silence_us / 1e6
            log.warning("%s: receiving again after %.1f s", self.address, silence_us / 1e6)
        self._received_us = frames[-1].received_us
        step_us = time.time_ns() // 1000 - self.now_us()
        if abs(step_us - self._clock_step_us) > CLOCK_STEP_US:
            log.warning(
                "%s: system clock stepped by %+.0f s; timestamps stay monotonic",
                self.address, (step_us - self._clock_step_us) / 1e6,
            )  # fmt: skip
            self._clock_step_us = step_us

    def _warn_if_silent(self) -> None:
        """Report once that nothing is received any more."""
        if self._received_us != self._reported_silence_us and self.reachable and self.silent_s > OUTAGE_US / 1e6:
            self._reported_silence_us = self._received_us
            log.warning("%s: nothing received for %.0f s", self.address, self.silent_s)
