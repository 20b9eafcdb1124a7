"""The .tlog container: records of an 8-byte big-endian time (µs) and one MAVLink 1 or 2 frame.

All frames are found at once with NumPy: every byte that could start a frame is a candidate, and its checksum
(X.25, seeded with the message's CRC_EXTRA) decides. So garbage, lost bytes and damaged lengths cost only the
frames they hit. What lies between good frames is then counted by cause. Definitions come from pymavlink.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.logs.container import rows_at

TIME_SIZE = 8
MAGIC_V1, MAGIC_V2 = 0xFE, 0xFD
SIGNED = 0x01
SIGNATURE_SIZE = 13
_HEADER = {MAGIC_V1: 6, MAGIC_V2: 10}
_CRC_BLOCK = 8192


@cache
def definitions() -> dict[int, Any]:
    """Message classes by id: ArduPilot's dialect holds common and the development of both autopilots' messages."""
    from pymavlink.dialects.v20 import ardupilotmega

    return dict(ardupilotmega.mavlink_map)


@cache
def _crc_extras() -> NDArray[np.int16]:
    """CRC_EXTRA by message id, -1 where unknown."""
    known = definitions()
    extras = np.full(max(known) + 1, -1, dtype=np.int16)
    for number, message in known.items():
        extras[number] = message.crc_extra
    return extras


@cache
def _crc_table() -> NDArray[np.uint16]:
    """CRC-16/MCRF4XX (X.25 as MAVLink uses it) of one byte."""
    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ 0x8408, table >> 1).astype(np.uint16)
    return table


def _crc_byte(crc: NDArray[np.uint16], byte: NDArray[Any]) -> NDArray[np.uint16]:
    return np.asarray(_crc_table()[(crc ^ byte) & 0xFF] ^ (crc >> 8))


@cache
def _crc_pair_table() -> NDArray[np.uint16]:
    """The same for two bytes: a 16-bit remainder is used up by then, so one look-up does."""
    zero = np.zeros(1, dtype=np.uint8)
    return _crc_byte(_crc_byte(np.arange(65536, dtype=np.uint16), zero), zero)


@cache
def message_id(name: str) -> int:
    """Number of a MAVLink message."""
    return next(number for number, message in definitions().items() if message.msgname == name)


@cache
def _layout(number: int) -> np.dtype[Any]:
    """NumPy layout of a message's payload as it is on the wire."""
    message = definitions()[number]
    fields: list[Any] = []
    for name, code, length in zip(
        message.ordered_fieldnames, _codes(message.unpacker.format), message.array_lengths, strict=True
    ):
        fields.append(
            (name, f"S{length}") if code.endswith("s") else (name, code, (length,)) if length else (name, code)
        )
    return np.dtype(fields)


def _codes(struct_format: str) -> list[str]:
    """Element codes of a struct format, one a field: "<Q3f50sB" → ["<u8", "<f4", "s", "u1"]."""
    types = {"Q": "<u8", "q": "<i8", "I": "<u4", "i": "<i4", "H": "<u2", "h": "<i2", "B": "u1", "b": "i1",
             "f": "<f4", "d": "<f8", "c": "S1", "s": "s"}  # fmt: skip
    return [types[character] for character in struct_format[1:] if not character.isdigit()]


@dataclass
class Frames:
    """Good frames in file order. All arrays are [N]; offset is where the frame's first byte is."""

    offset: NDArray[np.int64]
    header: NDArray[np.uint8]
    length: NDArray[np.uint8]
    number: NDArray[np.int32]
    system: NDArray[np.uint8]
    component: NDArray[np.uint8]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offset)

    def where(self, mask: NDArray[Any]) -> Frames:
        return Frames(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def senders(self) -> set[tuple[int, int]]:
        """System and component ids that occur."""
        pairs = np.unique(self.system.astype(np.uint16) << 8 | self.component).tolist()
        return {(pair >> 8, pair & 0xFF) for pair in pairs}


@dataclass
class TlogFile:
    """A .tlog in memory. bad_crc, unknown: frames dropped; garbage: bytes that are in no frame."""

    data: bytes
    frames: Frames
    bad_crc: int = 0
    unknown: int = 0
    garbage: int = 0
    damage: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes) -> TlogFile:
        """Find every frame. A file without any gives empty frames; the caller says what that means."""
        raw = np.frombuffer(data, np.uint8)
        frames = _without_overlaps(_good_frames(raw))
        log = cls(data, frames)
        log._count_the_rest(raw)
        return log

    def _count_the_rest(self, raw: NDArray[np.uint8]) -> None:
        """Go through the places that no good frame covers: bad frames, unknown messages, garbage."""
        ends = np.concatenate([[0], self.frames.end])
        starts = np.concatenate([self.frames.offset - TIME_SIZE, [len(raw)]])
        for start, end in zip(ends[starts != ends].tolist(), starts[starts != ends].tolist(), strict=True):
            place = start
            while place < end:
                size = frame_size(raw, place + TIME_SIZE)
                if not size or place + TIME_SIZE + size > end:
                    self.garbage += end - place
                    break
                if message_number(raw, place + TIME_SIZE) in definitions():
                    self.bad_crc += 1
                else:
                    self.unknown += 1
                place += TIME_SIZE + size
        if self.bad_crc:
            self.damage.append(f"{self.bad_crc} frame(s) with a wrong checksum dropped")
        if self.unknown:
            self.damage.append(f"{self.unknown} frame(s) of messages unknown here not read")
        if self.garbage:
            self.damage.append(f"{self.garbage} bytes of {len(self.data)} belong to no MAVLink frame")

    @cached_property
    def _padded(self) -> bytes:
        """The file with room after its end for payloads whose zeros MAVLink 2 trimmed."""
        return self.data + bytes(256)

    def times_us(self, frames: Frames) -> NDArray[np.int64]:
        """When the ground station received these frames (Unix µs; no checksum guards these)."""
        received = rows_at(self.data, frames.offset - TIME_SIZE, np.dtype([("us", ">u8")]))["us"]
        return np.asarray(np.minimum(received, np.uint64(2**62)), dtype=np.int64)

    def rows(self, frames: Frames, name: str) -> NDArray[Any]:
        """Decode frames of one message: a structured array; bytes MAVLink 2 trimmed are zero."""
        layout = _layout(message_id(name))
        rows = rows_at(self._padded, frames.offset + frames.header, layout)
        if len(frames) and int(frames.length.min()) < layout.itemsize:
            payload = rows.view(np.uint8).reshape(len(rows), layout.itemsize)
            payload[np.arange(layout.itemsize) >= frames.length[:, None]] = 0
        return rows

    @cached_property
    def _by_number(self) -> dict[int, NDArray[np.int64]]:
        """Indices of the frames of each message, in file order."""
        order = np.argsort(self.frames.number, kind="stable")
        numbers, first = np.unique(self.frames.number[order], return_index=True)
        return dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))

    def select(self, name: str) -> Frames:
        """Frames of one message, in file order."""
        return self.frames.where(self._by_number.get(message_id(name), np.empty(0, dtype=np.int64)))

    def counts(self, system: int | None = None) -> dict[str, int]:
        """Frames of each message by name (of one system)."""
        found = {
            definitions()[number].msgname: len(at) if system is None else int((self.frames.system[at] == system).sum())
            for number, at in self._by_number.items()
        }
        return {name: number for name, number in found.items() if number}


def frame_size(raw: NDArray[np.uint8], place: int) -> int:
    """Whole size of a frame by its header; 0 when none starts here or it does not fit."""
    if place >= len(raw):
        return 0
    magic = int(raw[place])
    header = _HEADER.get(magic)
    if header is None or place + header + 2 > len(raw):
        return 0
    signature = SIGNATURE_SIZE if magic == MAGIC_V2 and raw[place + 2] & SIGNED else 0
    size = header + int(raw[place + 1]) + 2 + signature
    return size if place + size <= len(raw) else 0


def message_number(raw: NDArray[np.uint8], place: int) -> int:
    """Message id of the frame that starts here."""
    if raw[place] == MAGIC_V1:
        return int(raw[place + 5])
    return int(raw[place + 7]) | int(raw[place + 8]) << 8 | int(raw[place + 9]) << 16


def _good_frames(raw: NDArray[np.uint8]) -> Frames:
    """Every place where a frame of a known message with a right checksum starts."""
    candidates = _candidates(raw)
    # Frames of an undamaged file follow each other; only if these do not cover it, try all the others too.
    starts, ends = candidates.offset - TIME_SIZE, candidates.end
    is_start, is_end = np.zeros((2, len(raw) + 1), dtype=np.bool_)
    is_start[starts] = is_end[ends] = is_start[len(raw)] = is_end[0] = True
    right = is_end[starts] & is_start[ends]
    right[right] = _crc_is_right(raw, candidates, np.flatnonzero(right))
    if int((ends - starts)[right].sum()) < len(raw):
        right = _crc_is_right(raw, candidates, np.arange(len(starts)))
    return candidates.where(right)


def _candidates(raw: NDArray[np.uint8]) -> Frames:
    """Every place whose header could be one of a known message that fits into the file."""
    starts = np.flatnonzero(raw - np.uint8(MAGIC_V2) < 2)  # the two magics are neighbours
    room = np.where(raw[starts] == MAGIC_V2, 12, 8)
    starts = starts[(starts >= TIME_SIZE) & (starts + room <= len(raw))]
    two = raw[starts] == MAGIC_V2
    header = np.where(two, np.uint8(_HEADER[MAGIC_V2]), np.uint8(_HEADER[MAGIC_V1]))
    length = raw[starts + 1]
    flags = raw[starts + 2] * two
    end = starts + header + length + 2
    end += (flags & SIGNED) * SIGNATURE_SIZE
    number = raw[starts + np.where(two, 7, 5)].astype(np.int32)
    high = np.minimum(starts[two] + 9, len(raw) - 1)
    number[two] |= raw[high - 1].astype(np.int32) << 8 | raw[high].astype(np.int32) << 16
    extras = _crc_extras()
    known = (number < len(extras)) & (end <= len(raw)) & (flags <= SIGNED)
    known[known] &= extras[number[known]] >= 0
    sender = starts + np.where(two, 5, 3)
    return Frames(starts, header, length, number, raw[sender], raw[sender + 1], end).where(known)


def _crc_is_right(raw: NDArray[np.uint8], frames: Frames, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Check the checksums of the chosen frames, some thousand together so that they stay in the cache."""
    right = np.empty(len(chosen), dtype=np.bool_)
    for first in range(0, len(chosen), _CRC_BLOCK):
        part = chosen[first : first + _CRC_BLOCK]
        size = frames.header[part].astype(np.int64) - 1 + frames.length[part]  # the magic is not part of it
        extra = _crc_extras()[frames.number[part]].astype(np.uint16)
        right[first : first + _CRC_BLOCK] = _crc_block(raw, frames.offset[part] + 1, size, extra)
    return right


def _crc_block(
    raw: NDArray[np.uint8], place: NDArray[np.int64], size: NDArray[np.int64], extra: NDArray[np.uint16]
) -> NDArray[np.bool_]:
    """Whether `size` bytes from each place and CRC_EXTRA give the checksum after them, two bytes at a time."""
    base = int(place.min())
    here = raw[base : int((place + size).max()) + 2]
    pairs = here[:-1] | here[1:].astype(np.uint16) << 8
    order = np.argsort(-size, kind="stable")  # longest first, so that those still going on are the first ones
    place, size = place[order] - base, size[order]
    crc = np.full(len(place), 0xFFFF, dtype=np.uint16)
    odd = (size & 1).astype(np.bool_)
    crc[odd] = _crc_byte(crc[odd], here[place[odd]])
    place += odd
    table, steps = _crc_pair_table(), size // 2
    for going_on in np.searchsorted(-steps, -np.arange(1, steps[0] + 1), side="right").tolist():
        # take() with a mode skips the bounds check; every place is inside the file by construction
        word = pairs.take(place[:going_on], mode="clip")
        table.take(np.bitwise_xor(crc[:going_on], word, out=word), mode="clip", out=crc[:going_on])
        place[:going_on] += 2
    right = np.empty(len(order), dtype=np.bool_)
    right[order] = _crc_byte(crc, extra[order]) == pairs[place]
    return right


def _without_overlaps(frames: Frames) -> Frames:
    """Of frames that overlap (a chance checksum, 1 in 65536), keep those that follow the one before."""
    if not (frames.offset[1:] - TIME_SIZE < frames.end[:-1]).any():
        return frames
    keep: list[int] = []
    starts, ends = (frames.offset - TIME_SIZE).tolist(), frames.end.tolist()
    previous = 0
    for i, start in enumerate(starts):
        if start < previous:
            continue
        rivals = range(i + 1, min(i + 4, len(starts)))
        if start != previous and any(starts[j] == previous for j in rivals):
            continue
        keep.append(i)
        previous = ends[i]
    return frames.where(np.array(keep, dtype=np.int64))
