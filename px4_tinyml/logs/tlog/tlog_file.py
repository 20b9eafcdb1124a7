"""The .tlog container: records of an 8-byte big-endian time (µs) and one MAVLink 1 or 2 frame.

The record after a good frame is checked first. Where its checksum is wrong, the search continues byte by byte: garbage,
lost bytes and damaged lengths cost only the frames they hit. Each offset is examined once at most. Bytes between good
frames are then counted by cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.logs.container import rows_at, split_by_id
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame

TIME_SIZE = 8


def tlog_records(frames: Iterable[Frame]) -> bytes:
    """Frames as records of a .tlog, with the times when they were received."""
    return b"".join([frame.received_us.to_bytes(TIME_SIZE, "big") + frame.data for frame in frames])


@dataclass
class Frames:
    """Good frames in file order. All arrays are [N]; offset: of the frame's first byte."""

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
        """Find every frame. A file without any gives empty frames, which is not an error here."""
        headers = _good_headers(data)
        log = cls(data, _frames(data, headers))
        log._count_the_rest(headers)
        return log

    def _count_the_rest(self, headers: list[dialect.Header]) -> None:
        """Count the bytes that no good frame covers: bad frames, unknown messages, garbage."""
        place = 0
        for start, after in [*((h.offset - TIME_SIZE, h.end) for h in headers), (len(self.data), 0)]:
            if place < start:
                self._count_gap(place, start)
            place = after
        if self.bad_crc:
            self.damage.append(f"{self.bad_crc} frame(s) with a wrong checksum dropped")
        if self.unknown:
            self.damage.append(f"{self.unknown} frame(s) of unknown messages not read")
        if self.garbage:
            self.damage.append(f"{self.garbage} bytes of {len(self.data)} belong to no MAVLink frame")

    def _count_gap(self, place: int, end: int) -> None:
        while place < end:
            header = record_at(self.data, place)
            if header is None or header.end > end:
                self.garbage += end - place
                return
            if header.extra is None:
                self.unknown += 1
            else:
                self.bad_crc += 1
            place = header.end

    @cached_property
    def _padded(self) -> bytes:
        """The file with room after its end for payloads whose zeros MAVLink 2 trimmed."""
        return self.data + bytes(256)

    def times_us(self, frames: Frames) -> NDArray[np.int64]:
        """Reception times at the ground station (Unix µs; no checksum protects them)."""
        received = rows_at(self.data, frames.offset - TIME_SIZE, np.dtype([("us", ">u8")]))["us"]
        return np.asarray(np.minimum(received, np.uint64(2**62)), dtype=np.int64)

    def rows(self, frames: Frames, name: str) -> NDArray[Any]:
        """Decode frames of one message: a structured array; bytes MAVLink 2 trimmed are zero."""
        layout = dialect.record_dtype(dialect.message_id(name))
        rows = rows_at(self._padded, frames.offset + frames.header, layout)
        if len(frames) and int(frames.length.min()) < layout.itemsize:
            payload = rows.view(np.uint8).reshape(len(rows), layout.itemsize)
            payload[np.arange(layout.itemsize) >= frames.length[:, None]] = 0
        return rows

    @cached_property
    def _by_number(self) -> dict[int, NDArray[np.int64]]:
        """Indices of the frames of each message, in file order."""
        return split_by_id(self.frames.number, np.arange(len(self.frames)))

    def select(self, name: str) -> Frames:
        """Frames of one message, in file order."""
        return self.frames.where(self._by_number.get(dialect.message_id(name), np.empty(0, dtype=np.int64)))

    def counts(self, system: int | None = None) -> dict[str, int]:
        """Frames of each message by name (of one system)."""
        frames = {
            dialect.message_name(number): len(at) if system is None else int((self.frames.system[at] == system).sum())
            for number, at in self._by_number.items()
        }
        return {name: number for name, number in frames.items() if number}


def record_at(data: bytes, place: int) -> dialect.Header | None:
    """Header of the frame in the record at an offset; None when there is none or it is incomplete."""
    offset = place + TIME_SIZE
    header = dialect.header_at(data, offset) if offset < len(data) else None
    return header if header and header.checksum and header.end <= len(data) else None


def _good_headers(data: bytes) -> list[dialect.Header]:
    """Frames of known messages with a right checksum, in file order, without overlaps."""
    mirrored = dialect.mirror(data)
    headers: list[dialect.Header] = []
    offset = TIME_SIZE
    while header := _next_good_header(data, mirrored, offset):
        headers.append(header)
        offset = header.end + TIME_SIZE
    return headers


def _next_good_header(data: bytes, mirrored: bytes, offset: int) -> dialect.Header | None:
    """The first good frame at or after an offset."""
    header = dialect.good_frame_at(data, mirrored, offset)
    starts = dialect.FRAME_START.finditer(data, offset + 1)
    while header is None and (start := next(starts, None)):
        header = dialect.good_frame_at(data, mirrored, start.start())
    return header


def _frames(data: bytes, headers: list[dialect.Header]) -> Frames:
    raw = np.frombuffer(data, np.uint8)
    offset = np.array([h.offset for h in headers], np.int64)
    two = np.array([h.version == 2 for h in headers], np.bool_)
    sender = offset + np.where(two, 5, 3)
    return Frames(
        offset=offset,
        header=np.where(two, np.uint8(10), np.uint8(6)),
        length=raw[offset + 1],
        number=np.array([h.number for h in headers], np.int32),
        system=raw[sender],
        component=raw[sender + 1],
        end=np.array([h.end for h in headers], np.int64),
    )
