"""Bytes of a link → MAVLink frames, one by one as they come, at a cost a companion computer does not notice.

A frame is taken when its checksum (X.25, seeded with the message's CRC_EXTRA) is right, so garbage costs only
itself: after a wrong checksum the search goes on at the very next byte. Frames of messages nobody here knows cannot
be checked; they are taken when what follows is the next frame. Nothing is decoded before somebody asks for it.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache
from typing import Any

from px4_tinyml.logs.tlog.tlog_file import MAGIC_V1, MAGIC_V2, SIGNATURE_SIZE, SIGNED, definitions
from px4_tinyml.mavlink.statistics import LinkStatistics

STALE_US = 500_000
"""The beginning of a frame that is not finished by then was none."""

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# CRC-16/MCRF4XX is CRC-CCITT of mirrored bits, and the standard library has that one in C.


@cache
def _crc_extras() -> dict[int, bytes]:
    """CRC_EXTRA by message id, mirrored."""
    return {number: bytes((message.crc_extra,)).translate(_MIRROR) for number, message in definitions().items()}


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


class Framer:
    """Finds frames in the bytes of one sender's stream (or its datagrams); what is none goes to the statistics."""

    def __init__(self, datagrams: bool = False, statistics: LinkStatistics | None = None) -> None:
        self._statistics = statistics or LinkStatistics()
        self._datagrams = datagrams
        self._rest = b""
        self._rest_since_us = 0
        self._bad_until = 0
        self._final = False
        self._extras = _crc_extras()

    def feed(self, data: bytes, received_us: int) -> list[Frame]:
        """Frames completed by these bytes."""
        frames: list[Frame] = []
        place, stale = 0, False
        had_rest = bool(self._rest)
        if had_rest:
            # A datagram that starts with a good frame does not continue the one before.
            if self._datagrams and self._inside(data, 0, 1, len(data)) > 0:
                self._give_up(frames)
            stale = received_us - self._rest_since_us > STALE_US
            data = self._rest + data
        end = len(data)
        while place < end:
            size = self._take(data, place, end, received_us, frames)
            if size == 0 and stale and place == 0:
                size = self._take_final(data, 0, received_us, frames)
            if size > 0:
                self._bad_until = 0
                place += size
            elif size == 0:
                break
            else:
                place = self._skip(data, place, end)
        self._rest = data[place:]
        self._bad_until = max(0, self._bad_until - place)
        if self._rest and not (had_rest and place == 0):
            self._rest_since_us = received_us
        return frames

    def reset(self) -> None:
        """Forget the beginning of a frame: the connection it came by has ended."""
        self._give_up([])

    def _take(self, data: bytes, place: int, end: int, received_us: int, frames: list[Frame]) -> int:
        """Size of the frame at place, which is added to frames; 0: wait for more bytes; −1: there is none."""
        magic = data[place]
        if magic == MAGIC_V2:
            if end - place < 12:
                return -1 if end - place > 2 and data[place + 2] > SIGNED else 0
            flags = data[place + 2]
            if flags > SIGNED:
                return -1
            checked = place + 10 + data[place + 1]
            size = data[place + 1] + (12 + SIGNATURE_SIZE if flags else 12)
            number = data[place + 7] | data[place + 8] << 8 | data[place + 9] << 16
            version = 2
        elif magic == MAGIC_V1:
            if end - place < 8:
                return 0
            checked = place + 6 + data[place + 1]
            size = data[place + 1] + 8
            number = data[place + 5]
            version = 1
        else:
            return -1
        extra = self._extras.get(number)
        after = place + size
        if extra is None and version == 2 and data[place + 3]:
            return -1  # compat flags that nobody uses and an id that nobody knows
        if after > end:
            return 0
        if extra is None:
            inside = self._inside(data, place + 1, after, end)
            if inside > 0 or not _frame_may_follow(data, after, end):
                return -1
            if inside == 0 and not (self._datagrams or self._final):
                return 0
        else:
            crc = crc_hqx(extra, crc_hqx(data[place + 1 : checked].translate(_MIRROR), 0xFFFF))
            if crc != int.from_bytes(data[checked : checked + 2].translate(_MIRROR), "big"):
                if place >= self._bad_until and _frame_may_follow(data, after, end):
                    count = self._statistics.bad_crc
                    count[number] = count.get(number, 0) + 1
                    self._bad_until = after
                return -1
        frames.append(Frame(received_us, data[place:after], version, number))
        return size

    def _skip(self, data: bytes, place: int, end: int) -> int:
        """The next place where a frame may start; bytes passed over are garbage unless a bad frame's."""
        one, two = data.find(MAGIC_V1, place + 1), data.find(MAGIC_V2, place + 1)
        found = min(one if one >= 0 else end, two if two >= 0 else end)
        self._statistics.garbage_bytes += max(0, found - max(place, self._bad_until))
        return found

    def _inside(self, data: bytes, place: int, stop: int, end: int) -> int:
        """Whether a good frame of a known message starts between place and stop: 1 yes, 0 that is not all there, −1 no.

        Counts nothing.
        """
        held, self._bad_until = self._bad_until, end
        best = -1
        for at in range(place, stop):
            if data[at] in (MAGIC_V1, MAGIC_V2) and self._number(data, at, end) in self._extras:
                size = self._take(data, at, end, 0, [])
                best = max(best, min(size, 1))
        self._bad_until = held
        return best

    @staticmethod
    def _number(data: bytes, place: int, end: int) -> int:
        """Message id of the frame at place, −1 when its header is not all there."""
        if end - place < 12:
            return -1
        if data[place] == MAGIC_V1:
            return data[place + 5]
        return data[place + 7] | data[place + 8] << 8 | data[place + 9] << 16

    def _give_up(self, frames: list[Frame]) -> None:
        """What waits will not be finished: take what is a frame as it stands."""
        data, self._rest = self._rest, b""
        place, end = 0, len(data)
        while place < end:
            size = self._take_final(data, place, self._rest_since_us, frames)
            place = place + size if size > 0 else self._skip(data, place, end)
        self._bad_until = 0

    def _take_final(self, data: bytes, place: int, received_us: int, frames: list[Frame]) -> int:
        """The same when nothing more is waited for: size of the frame, −1 for none."""
        self._final = True
        size = self._take(data, place, len(data), received_us, frames)
        self._final = False
        return size or -1


def _frame_may_follow(data: bytes, place: int, end: int) -> bool:
    return place == end or data[place] in (MAGIC_V1, MAGIC_V2)
