"""The .tlog container: records of an 8-byte big-endian time (µs) and one MAVLink 1 or 2 frame.

All frames are found at once with NumPy: every byte that could start a frame is a candidate, and its checksum
(X.25, seeded with the message's CRC_EXTRA) decides. So garbage, lost bytes and damaged lengths cost only the
frames they hit. What lies between good frames is then counted by cause. Definitions come from pymavlink.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

TIME_SIZE = 8
MAGIC_V1, MAGIC_V2 = 0xFE, 0xFD
SIGNED = 0x01
SIGNATURE_SIZE = 13
_HEADER = {MAGIC_V1: 6, MAGIC_V2: 10}
_CHUNK = 1 << 24


@cache
def _definitions() -> dict[int, Any]:
    """Message classes by id: ArduPilot's dialect holds common and the development of both autopilots' messages."""
    from pymavlink.dialects.v20 import ardupilotmega

    return dict(ardupilotmega.mavlink_map)


@cache
def _crc_extras() -> NDArray[np.int16]:
    """CRC_EXTRA by message id, -1 where unknown."""
    known = _definitions()
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
    return next(number for number, message in _definitions().items() if message.msgname == name)


@cache
def _layout(number: int) -> np.dtype[Any]:
    """NumPy layout of a message's payload as it is on the wire."""
    message = _definitions()[number]
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
    codes, digits = [], ""
    types = {"Q": "<u8", "q": "<i8", "I": "<u4", "i": "<i4", "H": "<u2", "h": "<i2", "B": "u1", "b": "i1",
             "f": "<f4", "d": "<f8", "c": "S1", "s": "s"}  # fmt: skip
    for character in struct_format[1:]:
        if character.isdigit():
            digits += character
            continue
        codes.append(types[character])
        digits = ""
    return codes


@dataclass
class Frames:
    """Good frames in file order. All arrays are [N]; offset is where the frame's first byte is."""

    offset: NDArray[np.int64]
    header: NDArray[np.int64]
    length: NDArray[np.int64]
    number: NDArray[np.int64]
    system: NDArray[np.uint8]
    component: NDArray[np.uint8]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offset)

    def where(self, mask: NDArray[Any]) -> Frames:
        return Frames(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


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
                size = _frame_size(raw, place + TIME_SIZE)
                if not size or place + TIME_SIZE + size > end:
                    self.garbage += end - place
                    break
                if _number(raw, place + TIME_SIZE) in _definitions():
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
    def _padded(self) -> NDArray[np.uint8]:
        """The file with room after its end for payloads whose zeros MAVLink 2 trimmed."""
        return np.frombuffer(self.data + bytes(256), np.uint8)

    def times_us(self, frames: Frames) -> NDArray[np.int64]:
        """When the ground station received these frames (Unix µs; no checksum guards these)."""
        at = frames.offset[:, None] - TIME_SIZE + np.arange(TIME_SIZE)
        raw = np.frombuffer(self.data, np.uint8)[np.maximum(at, 0)]
        return np.asarray(np.minimum(raw.view(">u8").reshape(-1), np.uint64(2**62)), dtype=np.int64)

    def rows(self, frames: Frames, name: str) -> NDArray[Any]:
        """Decode frames of one message: a structured array; bytes MAVLink 2 trimmed are zero."""
        layout = _layout(message_id(name))
        raw = self._padded
        start = frames.offset + frames.header
        payload = np.lib.stride_tricks.sliding_window_view(raw, layout.itemsize)[start]
        payload[np.arange(layout.itemsize) >= frames.length[:, None]] = 0
        return np.asarray(payload.view(layout).reshape(-1))

    def is_message(self, frames: Frames, name: str) -> NDArray[np.bool_]:
        """Which of these frames are of a message."""
        return np.asarray(frames.number == message_id(name))

    def counts(self, frames: Frames | None = None) -> dict[str, int]:
        """Frames of each message by name."""
        numbers, found = np.unique((self.frames if frames is None else frames).number, return_counts=True)
        return {_definitions()[n].msgname: c for n, c in zip(numbers.tolist(), found.tolist(), strict=True)}

    def select(self, names: Iterable[str]) -> Frames:
        """Frames of these messages, in file order."""
        return self.frames.where(np.isin(self.frames.number, [message_id(n) for n in names]))


def _frame_size(raw: NDArray[np.uint8], place: int) -> int:
    """Whole size of a frame by its header; 0 when none starts here or it does not fit."""
    if place + 12 > len(raw) + 4 or place >= len(raw):
        return 0
    magic = int(raw[place])
    header = _HEADER.get(magic)
    if header is None or place + header + 2 > len(raw):
        return 0
    signature = SIGNATURE_SIZE if magic == MAGIC_V2 and raw[place + 2] & SIGNED else 0
    size = header + int(raw[place + 1]) + 2 + signature
    return size if place + size <= len(raw) else 0


def _number(raw: NDArray[np.uint8], place: int) -> int:
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
    frames = candidates.where(is_end[starts] & is_start[ends])
    frames = frames.where(_crc_is_right(raw, frames))
    if int((frames.end - frames.offset + TIME_SIZE).sum()) == len(raw):
        return frames
    return candidates.where(_crc_is_right(raw, candidates))


def _candidates(raw: NDArray[np.uint8]) -> Frames:
    """Every place whose header could be one of a known message that fits into the file."""
    starts = np.flatnonzero((raw == MAGIC_V1) | (raw == MAGIC_V2)).astype(np.int64)
    room = np.where(raw[starts] == MAGIC_V2, 12, 8)
    starts = starts[(starts >= TIME_SIZE) & (starts + room <= len(raw))]
    two = raw[starts] == MAGIC_V2
    header = np.where(two, _HEADER[MAGIC_V2], _HEADER[MAGIC_V1])
    length = raw[starts + 1].astype(np.int64)
    flags = np.where(two, raw[starts + 2], 0)
    end = starts + header + length + 2 + np.where(flags & SIGNED, SIGNATURE_SIZE, 0)
    high = np.minimum(starts + 9, len(raw) - 1)
    long_number = raw[starts + 7] | raw[high - 1].astype(np.int64) << 8 | raw[high].astype(np.int64) << 16
    number = np.where(two, long_number, raw[starts + 5])
    extras = _crc_extras()
    known = (number < len(extras)) & (end <= len(raw)) & (flags <= SIGNED)
    known[known] &= extras[number[known]] >= 0
    at = np.where(two, 5, 3)
    return Frames(starts, header, length, number, raw[starts + at], raw[starts + at + 1], end).where(known)


def _crc_is_right(raw: NDArray[np.uint8], frames: Frames) -> NDArray[np.bool_]:
    """Check all frames' checksums together, two bytes of every frame at a time, longest frames first."""
    size = frames.header - 1 + frames.length  # the magic is not part of it
    order = np.argsort(-size, kind="stable")
    place, size = frames.offset[order] + 1, size[order]
    crc = np.full(len(place), 0xFFFF, dtype=np.uint16)
    odd = (size & 1).astype(np.bool_)
    crc[odd] = _crc_byte(crc[odd], raw[place[odd]])
    place += odd
    pairs = raw[:-1] | raw[1:].astype(np.uint16) << 8
    table = _crc_pair_table()
    steps = size // 2
    remaining = np.searchsorted(-steps, -np.arange(1, (steps[0] if len(steps) else 0) + 1), side="right")
    for count in remaining.tolist():
        # take() with a mode skips the bounds check; every place is inside the file by construction
        word = pairs.take(place[:count], mode="clip")
        table.take(np.bitwise_xor(crc[:count], word, out=word), mode="clip", out=crc[:count])
        place[:count] += 2
    crc = _crc_byte(crc, _crc_extras()[frames.number[order]].astype(np.uint16))
    right = np.empty(len(order), dtype=np.bool_)
    right[order] = crc == pairs[place]
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
