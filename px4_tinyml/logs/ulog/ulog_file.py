"""The ULog container, read so that damage is seen (https://docs.px4.io/main/en/dev_log/ulog_file_format).

ULog has no checksums, but it is redundant: every data message has the size of its format, every subscription names a
format, every text is text. This reader walks the message headers once and checks each. After one that does not fit it
resumes where messages fit again; `damage` lists the bytes it skipped. Values are decoded with NumPy, and only of the
topics asked for. pyulog is the oracle in the tests. It is not used here because it does not report every byte it skips,
nor the offset of each message, which gives the order of messages between topics.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.logs.container import rows_at, skipped_note, split_by_id
from px4_tinyml.logs.ulog.ulog_format import SCALARS, FormatError, Formats

MAGIC = b"ULog\x01\x12\x35"
HEADER_SIZE = 16
SYNC = b"\x2f\x73\x13\x20\x25\x0c\xbb\x12"

FLAGS_SIZE = 40
"""Bytes of the flag bits message without its header."""

_KEY = re.compile(rb"([a-z]\w*)(?:\[(\d{1,5})\])? ([\x21-\x7e]+)")
_DATA = ord("D")
_UNKNOWN = -1
_ANY_SIZE = -2
_LOG_LEVELS = (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7")
_SEARCH_FIRST, _SEARCH_MOST = 1 << 10, 1 << 16


@dataclass(frozen=True)
class Subscription:
    """The topic instance of a message id."""

    name: str
    multi_id: int


@dataclass
class Topic:
    """All messages of one topic instance: rows[N] is a structured array, offset[N] the place of each in the file."""

    name: str
    multi_id: int
    rows: NDArray[Any]
    offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, name: str) -> bool:
        return name in (self.rows.dtype.names or ())

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.rows[name]


@dataclass
class UlogFile:
    """A ULog in memory: call `read`, then `topic`.

    info, parameters: initial values by name. dropouts: (offset, duration_ms). damage: notes on what is wrong.
    """

    data: bytes
    info: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)
    dropouts: list[tuple[int, int]] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    formats: Formats = field(default_factory=Formats)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    _sizes: list[int] = field(default_factory=lambda: [_UNKNOWN] * 65536)
    _padded: dict[int, int] = field(default_factory=dict)
    _offsets: list[int] = field(default_factory=list)
    _appended: list[int] = field(default_factory=list)
    _skipped: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes, where: str) -> UlogFile:
        """Walk the whole file. Raises LogError when it is not a ULog, or one with unknown incompatible flags."""
        if not data.startswith(MAGIC):
            raise LogError(f"{where}: not a ULog (its first bytes are {data[:8].hex(' ')})")
        if len(data) < HEADER_SIZE:
            raise LogError(f"{where}: the ULog is cut inside its header ({len(data)} bytes); copy it again")
        log = cls(data)
        if data[7] > 1:
            log.damage.append(f"ULog version {data[7]} found, 0 or 1 expected: newer features are not read")
        log._read_flags(where)
        bounds = [HEADER_SIZE, *log._appended, len(data)]
        for start, end in pairwise(bounds):
            log._walk(start, end)
        log._report_skipped()
        return log

    # ---- walking the messages

    def _read_flags(self, where: str) -> None:
        """The flag bits message, first in the file: reject unknown incompatible flags, find appended data."""
        data = self.data
        if len(data) < HEADER_SIZE + 3 + FLAGS_SIZE or data[HEADER_SIZE + 2] != ord("B"):
            return
        flags = data[HEADER_SIZE + 3 : HEADER_SIZE + 3 + FLAGS_SIZE]
        if flags[8] & ~1 or any(flags[9:16]):
            raise LogError(
                f"{where}: its incompatible flags are {flags[8:16].hex(' ')}; this reader knows only the first bit: "
                "the file is damaged or needs a newer px4-tinyml"
            )
        if flags[8] & 1:
            offsets = [o for o in struct.unpack("<3Q", flags[16:40]) if o]
            if offsets != sorted(offsets) or any(not HEADER_SIZE < o < len(data) for o in offsets):
                self.damage.append("the offsets of its appended data make no sense: not followed")
            else:
                self._appended = offsets

    def _walk(self, start: int, end: int) -> None:
        """Record the offset of every valid data message in [start, end) and the content of all other messages."""
        data, sizes, offsets = self.data, self._sizes, self._offsets
        place = start
        last = end - 3
        while place <= last:
            size = data[place] | data[place + 1] << 8
            following = place + 3 + size
            if data[place + 2] == _DATA and size >= 2 and following <= end:
                expected = sizes[data[place + 3] | data[place + 4] << 8]
                if size == expected:
                    offsets.append(place)
                    place = following
                    continue
            if following <= end and self._is_valid(place, size, end):
                self._record(place, size)
                place = following
                continue
            resumed = self._resynchronise(place + 1, end)
            self._skipped.append((place, resumed))
            place = resumed
        if place < end:
            self._skipped.append((place, end))

    def _is_valid(self, place: int, size: int, end: int) -> bool:
        """Whether a message other than ordinary data is valid ULog."""
        kind = chr(self.data[place + 2])
        body = self.data[place + 3 : place + 3 + size]
        if kind == "D":
            return self._is_odd_data(place, size, end)
        if kind == "S":
            return body == SYNC
        if kind in "OR":
            return size == 2
        if kind == "F":
            return Formats.parse(body) is not None
        if kind == "A":
            return len(body) >= 4 and re.fullmatch(rb"[A-Za-z_][\w/]*", body[3:]) is not None
        if kind in "IMPQ":
            return _keyed_value(kind, body) is not None or (kind == "M" and self._is_piece(place, body, end))
        if kind in "LC":
            skip = 9 if kind == "L" else 11
            return size >= skip and body[:1] in _LOG_LEVELS and _is_text(body[skip:])
        return kind == "B" and place == HEADER_SIZE and size >= FLAGS_SIZE

    def _is_odd_data(self, place: int, size: int, end: int) -> bool:
        """Data with trailing padding, or of a topic without a format (then the next message must fit)."""
        if size < 2:
            return False
        ident = self.data[place + 3] | self.data[place + 4] << 8
        if self._sizes[ident] == _ANY_SIZE:
            return place + 3 + size + 3 > end or self._fits(place + 3 + size, end)
        return self._sizes[ident] < size <= self._padded.get(ident, 0)

    def _is_piece(self, place: int, body: bytes, end: int) -> bool:
        """A piece of a long information message whose length differs from its key (PX4 writes these)."""
        match = _KEY.match(body[2 : 2 + body[1]]) if len(body) > 2 else None
        if match is None or match[2] is None:
            return False
        value = body[2 + body[1] :]
        plausible = _is_text(value) if match[1] == b"char" else len(value) < int(match[2])
        following = place + 3 + len(body)
        return plausible and (following == end or self._fits(following, end))

    def _record(self, place: int, size: int) -> None:
        """Keep the content of a valid message."""
        kind = chr(self.data[place + 2])
        body = self.data[place + 3 : place + 3 + size]
        if kind == "D" and self._sizes[body[0] | body[1] << 8] != _ANY_SIZE:
            self._offsets.append(place)
        elif kind == "O":
            self.dropouts.append((place, body[0] | body[1] << 8))
        elif kind == "F" and (parsed := Formats.parse(body)) is not None:
            fault = self.formats.define(*parsed)
            self.damage += [fault] if fault is not None else []
        elif kind == "A":
            self._subscribe(body[1] | body[2] << 8, Subscription(body[3:].decode("ascii"), body[0]))
        elif kind in "IP" and (value := _keyed_value(kind, body)) is not None:
            self._record_value(kind, *value)

    def _subscribe(self, ident: int, subscription: Subscription) -> None:
        name, known = subscription.name, self.subscriptions.get(ident, subscription)
        if known != subscription:
            self.damage.append(f"message id {ident} is used for {known.name} and for {name}")
        self.subscriptions[ident] = subscription
        try:
            logged, padded = self.formats.logged_size(name), self.formats.size(name)
        except FormatError as error:
            self._sizes[ident] = _ANY_SIZE
            self.damage.append(f"topic {name} cannot be read: {error}")
            return
        self._sizes[ident] = logged + 2
        if padded != logged:
            self._padded[ident] = padded + 2

    def _record_value(self, kind: str, ctype: str, name: str, is_array: bool, raw: bytes) -> None:
        """Information or a parameter: texts, and single numbers."""
        if ctype == "char":
            if not _is_text(raw):
                self.damage.append(f"information {name} is not text")
            self.info[name] = raw.decode("utf-8", "replace").rstrip("\0")
        elif not is_array:
            number = np.frombuffer(raw, SCALARS[ctype])[0].item()
            (self.parameters if kind == "P" else self.info).setdefault(name, number)

    def _fits(self, place: int, end: int) -> bool:
        """Whether a valid message starts here."""
        if place + 3 > end:
            return False
        size = self.data[place] | self.data[place + 1] << 8
        if place + 3 + size > end:
            return False
        if self.data[place + 2] == _DATA and size >= 2:
            expected = self._sizes[self.data[place + 3] | self.data[place + 4] << 8]
            if expected >= 0:
                return size == expected
            if expected == _ANY_SIZE:
                return True
        return self._is_valid(place, size, end)

    def _resynchronise(self, place: int, end: int) -> int:
        """First place from where two valid messages follow each other (or one ends the section); else the end."""
        span = _SEARCH_FIRST
        while place < end:
            chunk = np.frombuffer(self.data, np.uint8, min(span, end - place), place)
            span = min(2 * span, _SEARCH_MOST)
            if len(chunk) < 3:
                return end
            for candidate in np.flatnonzero(_KINDS[chunk[2:]]):
                here = place + int(candidate)
                if self._fits(here, end):
                    following = here + 3 + (self.data[here] | self.data[here + 1] << 8)
                    if following == end or self._fits(following, end):
                        return here
            place += len(chunk) - 2
        return end

    def _report_skipped(self) -> None:
        # After a crash the last message before appended data is always truncated.
        skipped = [(a, b) for a, b in self._skipped if not (b in self._appended and self._reaches_over(a, b))]
        self.damage += skipped_note(skipped, len(self.data))

    def _reaches_over(self, place: int, end: int) -> bool:
        """Whether the message at a place ends after `end`, or has no room for its header."""
        return place + 3 > end or place + 3 + (self.data[place] | self.data[place + 1] << 8) > end

    # ---- values

    @cached_property
    def _by_id(self) -> dict[int, NDArray[np.int64]]:
        """Offsets of the data messages by message id, in file order."""
        offsets = np.array(self._offsets, dtype=np.int64)
        raw = np.frombuffer(self.data, np.uint8)
        return split_by_id(raw[offsets + 3].astype(np.int64) | raw[offsets + 4].astype(np.int64) << 8, offsets)

    def counts(self) -> dict[str, int]:
        """Messages of each topic (instance 0 as "name", others as "name[i]")."""
        found = {}
        for ident, offsets in self._by_id.items():
            sub = self.subscriptions[ident]
            found[sub.name if sub.multi_id == 0 else f"{sub.name}[{sub.multi_id}]"] = len(offsets)
        return found

    def topic(self, name: str) -> Topic | None:
        """The lowest instance of a topic that has data; None for a topic without data."""
        ids = [i for i, s in self.subscriptions.items() if s.name == name and i in self._by_id]
        if not ids:
            return None
        ident = min(ids, key=lambda i: self.subscriptions[i].multi_id)
        multi_id = self.subscriptions[ident].multi_id
        note = f"instance 0 of {name} has no data: instance {multi_id} used"
        if multi_id and note not in self.damage:
            self.damage.append(note)
        offsets = self._by_id[ident]
        return Topic(name, multi_id, rows_at(self.data, offsets + 5, self.formats.layout(name)), offsets)

    def message_ends(self, topic: Topic) -> NDArray[np.int64]:
        """Offset after each message of a topic."""
        raw = np.frombuffer(self.data, np.uint8)
        size = raw[topic.offset].astype(np.int64) | raw[topic.offset + 1].astype(np.int64) << 8
        return np.asarray(topic.offset + 3 + size, np.int64)


def _keyed_value(kind: str, body: bytes) -> tuple[str, str, bool, bytes] | None:
    """C type, name, whether it is an array, and value of an information (I, M) or parameter (P, Q) message.

    None when it is damaged.
    """
    skip = 1 if kind in "MQ" else 0
    if len(body) < skip + 2 or len(body) < skip + 1 + body[skip]:
        return None
    split = skip + 1 + body[skip]
    match = _KEY.fullmatch(body[skip + 1 : split])
    if match is None:
        return None
    ctype, length = match[1].decode(), int(match[2]) if match[2] else 1
    if ctype not in SCALARS or (kind in "PQ" and ctype not in ("float", "int32_t")):
        return None
    if len(body) - split != np.dtype(SCALARS[ctype]).itemsize * length:
        return None
    return ctype, match[3].decode(), match[2] is not None, body[split:]


def _is_text(raw: bytes) -> bool:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(c >= " " or c in "\t\r\n\0\x1b" for c in text)


_KINDS = np.zeros(256, dtype=np.bool_)
_KINDS[list(b"DSOFAIMPQLCR")] = True
