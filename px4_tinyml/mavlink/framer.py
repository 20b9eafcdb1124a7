"""Bytes of a link → MAVLink frames, at a cost a companion computer does not notice.

A frame is taken when its checksum (X.25, seeded with the message's CRC_EXTRA) is right. Garbage costs only itself:
after a wrong checksum the search continues at the very next byte. Frames of unknown messages cannot be checked. They
are taken when a frame follows and no good frame of a known message starts inside. Nothing is decoded before it is
asked for.

The work is linear in the bytes received, also when somebody crafts them: each offset is examined a fixed number of
times, and its checksum is computed once.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from enum import Enum
from functools import cache
from typing import Any

from px4_tinyml.logs.tlog.tlog_file import MAGIC_V1, MAGIC_V2, SIGNATURE_SIZE, SIGNED, definitions
from px4_tinyml.mavlink.statistics import LinkStatistics

STALE_US = 500_000
"""An unfinished frame is given up after this long."""

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# CRC-16/MCRF4XX is CRC-CCITT of mirrored bits, and the standard library has that one in C.

_START = re.compile(rb"\xfe|\xfd(?!.[\x02-\xff])", re.DOTALL)
"""Where a frame may start: a magic, in MAVLink 2 with flags that are in use."""


@cache
def _known_messages() -> dict[int, tuple[bytes, int]]:
    """By message id: CRC_EXTRA, mirrored, and the longest payload in MAVLink 1 (version 2 may extend a message)."""
    return {
        number: (bytes((message.crc_extra,)).translate(_MIRROR), message.unpacker.size)
        for number, message in definitions().items()
    }


@cache
def _decoder() -> Any:
    from pymavlink.dialects.v20 import ardupilotmega

    return ardupilotmega.MAVLink(None)


class Frame:
    """One MAVLink frame as it was received. received_us: µs since 1970; version: 1 or 2."""

    __slots__ = ("_message", "component", "data", "message_id", "received_us", "sequence", "system", "version")

    def __init__(self, received_us: int, data: bytes, version: int, message_id: int) -> None:
        self.received_us = received_us
        self.data = data
        self.version = version
        self.message_id = message_id
        if version == 2:
            self.sequence, self.system, self.component = data[4], data[5], data[6]
        else:
            self.sequence, self.system, self.component = data[2], data[3], data[4]
        self._message: Any = None

    @property
    def signed(self) -> bool:
        """Whether it carries a signature (right or wrong)."""
        return self.version == 2 and bool(self.data[2] & SIGNED)

    @property
    def payload(self) -> bytes:
        """The payload as on the wire: MAVLink 2 trims zeros at its end."""
        start = 10 if self.version == 2 else 6
        return self.data[start : start + self.data[1]]

    @property
    def message(self) -> Any:
        """pymavlink's MAVLink_message, decoded when first asked for (MAVLink_unknown when the id is)."""
        if self._message is None:
            self._message = _decoder().decode(bytearray(self.data))
        return self._message

    @property
    def name(self) -> str:
        """Name of the message, "UNKNOWN_id" when it is not known here."""
        known = definitions().get(self.message_id)
        return str(known.msgname) if known else f"UNKNOWN_{self.message_id}"

    def __repr__(self) -> str:
        return f"Frame({self.name} {self.system}/{self.component} #{self.sequence} at {self.received_us})"


class _Header:
    """What the first bytes of a possible frame say. Offsets are in the buffer.

    end: after the frame (after the shortest one, if the header is incomplete). checksum: where it is.
    extra: CRC_EXTRA, mirrored; None for an unknown message. incomplete: only offset and end are known yet.
    """

    __slots__ = ("checksum", "end", "extra", "number", "offset", "version")

    def __init__(self, offset: int, end: int, checksum: int, version: int, number: int, extra: bytes | None) -> None:
        self.offset, self.end, self.checksum = offset, end, checksum
        self.version, self.number, self.extra = version, number, extra

    @property
    def incomplete(self) -> bool:
        return not self.checksum


class _Buffer:
    """Bytes not framed yet, and the offsets where good frames of known messages start.

    Each offset is examined once, and again when missing bytes have arrived. Its checksum is computed once.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._known = _known_messages()
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
        self._mirrored += data.translate(_MIRROR)
        if self._unfinished:
            for offset in [offset for offset, end in self._unfinished.items() if end <= len(self.data)]:
                del self._unfinished[offset]
                self._examine(offset)

    def drop(self, offset: int) -> None:
        """Forget the bytes before a offset."""
        if offset == len(self.data):
            self._clear()
        elif offset:
            self.data, self._mirrored = self.data[offset:], self._mirrored[offset:]
            self._examined = max(0, self._examined - offset)
            self._good = {good - offset for good in self._good if good >= offset}
            self._unfinished = {
                start - offset: end - offset for start, end in self._unfinished.items() if start >= offset
            }

    def header(self, offset: int) -> _Header | None:
        """The header at a offset; None when no frame can start there."""
        data, known = self.data, self._known
        room = len(data) - offset
        if data[offset] == MAGIC_V1:
            if room < 8:
                return _Header(offset, offset + 8, 0, 1, 0, None)
            length, number = data[offset + 1], data[offset + 5]
            extra, longest = known.get(number, (None, 255))
            checksum = offset + 6 + length
            return _Header(offset, checksum + 2, checksum, 1, number, extra) if length <= longest else None
        if data[offset] != MAGIC_V2 or (room > 2 and data[offset + 2] > SIGNED):
            return None
        if room < 12:
            return _Header(offset, offset + 12, 0, 2, 0, None)
        number = data[offset + 7] | data[offset + 8] << 8 | data[offset + 9] << 16
        extra, _ = known.get(number, (None, 255))
        if extra is None and data[offset + 3]:
            return None  # compat flags that are never used, and an unknown id
        checksum = offset + 10 + data[offset + 1]
        end = checksum + (2 + SIGNATURE_SIZE if data[offset + 2] else 2)
        return _Header(offset, end, checksum, 2, number, extra)

    def starts_with_good_frame(self) -> bool:
        """Whether the first bytes are a good frame of a known message."""
        header = self.header(0) if self.data else None
        if header is None or header.extra is None or header.end > len(self.data):
            return False
        return self._checksum_is_right(header)

    def good_at(self, header: _Header) -> bool:
        """Whether this frame of a known message, which is complete, has the right checksum."""
        if header.offset < self._examined:
            return header.offset in self._good
        self._examined = header.offset + 1
        return self._checksum_is_right(header)

    def good_inside(self, header: _Header) -> bool:
        """Whether a good frame of a known message starts inside this one."""
        for match in _START.finditer(self.data, max(self._examined, header.offset + 1), header.end):
            self._examine(match.start())
        self._examined = max(self._examined, header.end)
        self._good = {good for good in self._good if good > header.offset}
        return min(self._good, default=header.end) < header.end

    def unfinished_inside(self, header: _Header) -> bool:
        """Whether more bytes may show that a good frame starts inside this one. Ask good_inside first."""
        return any(header.offset < offset < header.end for offset in self._unfinished)

    def _examine(self, offset: int) -> None:
        header = self.header(offset)
        if header is None or (header.extra is None and not header.incomplete):
            return
        if header.end > len(self.data):
            self._unfinished[offset] = header.end
        elif self._checksum_is_right(header):
            self._good.add(offset)

    def _checksum_is_right(self, header: _Header) -> bool:
        mirrored, checksum = self._mirrored, header.checksum
        assert header.extra is not None
        crc = crc_hqx(header.extra, crc_hqx(mirrored[header.offset + 1 : checksum], 0xFFFF))
        return crc == mirrored[checksum] << 8 | mirrored[checksum + 1]


class _Verdict(Enum):
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
        """Forget the beginning of a frame: the connection it came by has ended."""
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
        for match in _START.finditer(data):
            offset = match.start()
            header = buffer.header(offset) if offset >= next_offset else None
            if header is None:
                continue
            verdict = self._judge(header, offset < final)
            if verdict is _Verdict.WAIT:
                break
            if verdict is _Verdict.FRAME:
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

    def _judge(self, header: _Header, final: bool) -> _Verdict:
        buffer = self._buffer
        if header.end > len(buffer.data):
            return _Verdict.NO_FRAME if final else _Verdict.WAIT
        if header.extra is not None:
            return _Verdict.FRAME if buffer.good_at(header) else _Verdict.NO_FRAME
        if not _frame_may_follow(buffer.data, header.end) or buffer.good_inside(header):
            return _Verdict.NO_FRAME
        # Senders cut datagrams between frames: what starts inside and ends in a later datagram is no frame.
        wait = not (final or self._datagrams) and buffer.unfinished_inside(header)
        return _Verdict.WAIT if wait else _Verdict.FRAME

    def _count_bad(self, header: _Header) -> None:
        """Count a wrong checksum, if this is a whole frame with another one behind it."""
        data = self._buffer.data
        if self._counted <= header.offset and header.end <= len(data) and _frame_may_follow(data, header.end):
            count = self._statistics.bad_crc
            count[header.number] = count.get(header.number, 0) + 1
            self._count_garbage(header.offset)
            self._counted = header.end

    def _count_garbage(self, offset: int) -> None:
        """Bytes up to this offset that are not counted yet are garbage."""
        if self._counted < offset:
            self._statistics.garbage_bytes += offset - self._counted
            self._counted = offset


def _frame_may_follow(data: bytes, offset: int) -> bool:
    return offset == len(data) or data[offset] in (MAGIC_V1, MAGIC_V2)
