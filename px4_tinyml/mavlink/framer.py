"""Bytes of a link → MAVLink frames, at a cost a companion computer does not notice.

A frame is taken when its checksum (X.25, seeded with the message's CRC_EXTRA) is right. Garbage costs only itself:
after a wrong checksum the search continues at the very next byte. Frames of unknown messages cannot be checked. They
are taken when a frame follows and no good frame of a known message starts inside. Nothing is decoded before it is
asked for.

The work is linear in the bytes received, crafted ones included: each offset is examined a fixed number of
times, and its checksum is computed once.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.dialect import FRAME_START, MAGIC_V1, MAGIC_V2, SIGNED, Header
from px4_tinyml.mavlink.statistics import LinkStatistics

STALE_US = 500_000
"""An unfinished frame is given up after this long."""


class Frame:
    """One MAVLink frame as it was received. received_us: µs since 1970; version: 1 or 2."""

    __slots__ = ("_fields", "component", "data", "message_id", "received_us", "sequence", "system", "version")

    def __init__(self, received_us: int, data: bytes, version: int, message_id: int) -> None:
        self.received_us = received_us
        self.data = data
        self.version = version
        self.message_id = message_id
        if version == 2:
            self.sequence, self.system, self.component = data[4], data[5], data[6]
        else:
            self.sequence, self.system, self.component = data[2], data[3], data[4]
        self._fields: Any = None

    @property
    def signed(self) -> bool:
        """Whether it carries a signature (right or wrong)."""
        return self.version == 2 and bool(self.data[2] & SIGNED)

    @property
    def fields(self) -> Any:
        """Fields by name (dialect.decode), decoded at the first access. KeyError for an unknown message."""
        if self._fields is None:
            self._fields = dialect.decode(self.data)
        return self._fields

    @property
    def message(self) -> Any:
        """A new pymavlink message (MAVLink_unknown for an unknown id), to be packed again. Rooms use `fields`."""
        return dialect.MAVLink(None).decode(bytearray(self.data))

    @property
    def name(self) -> str:
        """Name of the message, "UNKNOWN_id" for an unknown one."""
        return dialect.message_name(self.message_id)

    def __repr__(self) -> str:
        return f"Frame({self.name} {self.system}/{self.component} #{self.sequence} at {self.received_us})"


class _Buffer:
    """Bytes not framed yet, and the offsets where good frames of known messages start.

    Each offset is examined once, and again when missing bytes have arrived. Its checksum is computed once.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._clear()
        self.append(data)

    def _clear(self) -> None:
        self.data = self._mirrored = b""
        self._examined = 0
        """Offsets before this one have been examined."""
        self._good: set[int] = set()
        self._unfinished: dict[int, int] = {}
        """Offsets where a known message may start, and how long the data must be to decide."""

    def append(self, data: bytes) -> None:
        """Take more bytes; examine the offsets that lacked them."""
        self.data += data
        self._mirrored += dialect.mirror(data)
        if self._unfinished:
            for offset in [offset for offset, end in self._unfinished.items() if end <= len(self.data)]:
                del self._unfinished[offset]
                self._examine(offset)

    def drop(self, offset: int) -> None:
        """Forget the bytes before an offset."""
        if offset == len(self.data):
            self._clear()
        elif offset:
            self.data, self._mirrored = self.data[offset:], self._mirrored[offset:]
            self._examined = max(0, self._examined - offset)
            self._good = {good - offset for good in self._good if good >= offset}
            self._unfinished = {
                start - offset: end - offset for start, end in self._unfinished.items() if start >= offset
            }

    def starts_with_good_frame(self) -> bool:
        """Whether the first bytes are a good frame of a known message."""
        return dialect.good_frame_at(self.data, self._mirrored, 0) is not None

    def good_at(self, header: Header) -> bool:
        """Whether this frame of a known message, which is complete, has the right checksum."""
        if header.offset < self._examined:
            return header.offset in self._good
        self._examined = header.offset + 1
        return dialect.checksum_is_right(self._mirrored, header)

    def good_inside(self, header: Header) -> bool:
        """Whether a good frame of a known message starts inside this one."""
        for match in FRAME_START.finditer(self.data, max(self._examined, header.offset + 1), header.end):
            self._examine(match.start())
        self._examined = max(self._examined, header.end)
        self._good = {good for good in self._good if good > header.offset}
        return min(self._good, default=header.end) < header.end

    def unfinished_inside(self, header: Header) -> bool:
        """Whether more bytes may show that a good frame starts inside this one. Ask good_inside first."""
        return any(header.offset < offset < header.end for offset in self._unfinished)

    def _examine(self, offset: int) -> None:
        header = dialect.header_at(self.data, offset)
        if header is None or (header.extra is None and header.checksum):
            return
        if header.end > len(self.data):
            self._unfinished[offset] = header.end
        elif dialect.checksum_is_right(self._mirrored, header):
            self._good.add(offset)


class _Decision(Enum):
    FRAME = "frame"
    NO_FRAME = "no frame"
    WAIT = "more bytes needed"


class Framer:
    """Finds frames in the bytes of one sender's stream (or its datagrams). Other bytes are counted as garbage."""

    def __init__(self, datagrams: bool = False, statistics: LinkStatistics | None = None) -> None:
        self._statistics = statistics or LinkStatistics()
        self._datagrams = datagrams
        self._buffer = _Buffer()
        self._waiting_since_us = 0
        self._counted = 0
        """Bytes before this offset of the buffer have been counted: as a frame, a bad frame or garbage."""

    def feed(self, data: bytes, received_us: int) -> list[Frame]:
        """Frames completed by these bytes."""
        frames: list[Frame] = []
        waited = bool(self._buffer.data)
        if waited and self._datagrams and _Buffer(data).starts_with_good_frame():
            self._give_up(frames)  # this datagram does not continue the one before
            waited = False
        stale = waited and received_us - self._waiting_since_us > STALE_US
        self._buffer.append(data)
        offset = self._take_frames(frames, received_us, final=1 if stale else 0)
        if not waited or offset:
            self._waiting_since_us = received_us
        return frames

    def reset(self) -> None:
        """Drop an incomplete frame: its connection has ended."""
        self._give_up([])

    def _give_up(self, frames: list[Frame]) -> None:
        """No more bytes will follow: take what is a frame as it stands."""
        self._take_frames(frames, self._waiting_since_us, final=len(self._buffer.data))
        self._counted = 0

    def _take_frames(self, frames: list[Frame], received_us: int, final: int) -> int:
        """Take all frames; drop the bytes up to the first offset that waits for more, and return it.

        Nothing before `final` waits any longer.
        """
        buffer, data, next_offset = self._buffer, self._buffer.data, 0
        for match in FRAME_START.finditer(data):
            offset = match.start()
            header = dialect.header_at(data, offset) if offset >= next_offset else None
            if header is None:
                continue
            decision = self._decide(header, offset < final)
            if decision is _Decision.WAIT:
                break
            if decision is _Decision.FRAME:
                frames.append(Frame(received_us, data[offset : header.end], header.version, header.number))
                self._count_garbage(offset)
                self._counted = next_offset = header.end
            elif header.extra is not None:
                self._count_bad(header)
        else:
            offset = len(data)
        self._count_garbage(offset)
        buffer.drop(offset)
        self._counted -= offset
        return offset

    def _decide(self, header: Header, final: bool) -> _Decision:
        buffer = self._buffer
        if header.end > len(buffer.data):
            return _Decision.NO_FRAME if final else _Decision.WAIT
        if header.extra is not None:
            return _Decision.FRAME if buffer.good_at(header) else _Decision.NO_FRAME
        if not _frame_may_follow(buffer.data, header.end) or buffer.good_inside(header):
            return _Decision.NO_FRAME
        # Senders cut datagrams between frames: what starts inside and ends in a later datagram is no frame.
        wait = not (final or self._datagrams) and buffer.unfinished_inside(header)
        return _Decision.WAIT if wait else _Decision.FRAME

    def _count_bad(self, header: Header) -> None:
        """Count a wrong checksum, if this is a complete frame followed by another one."""
        data = self._buffer.data
        if self._counted <= header.offset and header.end <= len(data) and _frame_may_follow(data, header.end):
            self._statistics.bad_crc[header.number] += 1
            self._count_garbage(header.offset)
            self._counted = header.end

    def _count_garbage(self, offset: int) -> None:
        """Bytes up to this offset that are not counted yet are garbage."""
        if self._counted < offset:
            self._statistics.garbage_bytes += offset - self._counted
            self._counted = offset


def _frame_may_follow(data: bytes, offset: int) -> bool:
    return offset == len(data) or data[offset] in (MAGIC_V1, MAGIC_V2)
