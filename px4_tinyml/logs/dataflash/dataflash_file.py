"""The ArduPilot dataflash container (.bin): messages A3 95 type payload, lengths from FMT messages.

There are no checksums: a message is valid when another one (or the end of the file) follows it. Values are decoded with
NumPy, and only of the messages asked for. pymavlink's DFReader is the oracle in the tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import F64
from px4_tinyml.logs.container import rows_at, skipped_note, split_by_id

HEAD = b"\xa3\x95"
FMT_TYPE = 128
FMT_LENGTH = 89

_TYPES = {
    "a": "V64", "b": "i1", "B": "u1", "h": "<i2", "H": "<u2", "i": "<i4", "I": "<u4", "f": "<f4", "d": "<f8",
    "g": "<f2", "n": "S4", "N": "S16", "Z": "S64", "c": "<i2", "C": "<u2", "e": "<i4", "E": "<u4", "L": "<i4",
    "M": "u1", "q": "<i8", "Q": "<u8",
}  # fmt: skip
_DIVISORS = {"c": 100.0, "C": 100.0, "e": 100.0, "E": 100.0, "L": 1e7}
_NAME = re.compile(rb"[A-Z][A-Z0-9]{0,3}")
_COLUMNS = re.compile(rb"\w+(,\w+)*|")


@dataclass(frozen=True)
class MessageFormat:
    """One FMT message: name, format characters and column names of a message type."""

    name: str
    characters: str
    columns: tuple[str, ...]
    dtype: np.dtype[Any]


@dataclass
class Messages:
    """All messages of one type: rows[N] are their raw values, offset[N] their places in the file."""

    format: MessageFormat
    rows: NDArray[Any]
    offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, column: str) -> bool:
        """Whether there is a numeric column of this name."""
        names = self.rows.dtype.names or ()
        return column in names and self.rows.dtype[column].kind in "iuf"

    def __getitem__(self, column: str) -> F64:
        """Values with their format's factor applied (c, C, e, E: hundredths; L: 1e-7)."""
        with np.errstate(invalid="ignore"):  # damage can make signalling NaNs
            values = self.rows[column].astype(np.float64)
        character = self.format.characters[self.format.columns.index(column)]
        return values / _DIVISORS.get(character, 1.0)

    def where(self, mask: NDArray[np.bool_]) -> Messages:
        return Messages(self.format, self.rows[mask], self.offset[mask])


@dataclass
class DataflashFile:
    """A dataflash log in memory: call `read`, then `messages`."""

    data: bytes
    damage: list[str] = field(default_factory=list)
    formats: dict[int, MessageFormat] = field(default_factory=dict)
    _lengths: list[int] = field(default_factory=lambda: [0] * 256)
    _offsets: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes, where: str) -> DataflashFile:
        """Walk the whole file. Raises LogError when it does not begin like a dataflash log."""
        if not data.startswith(HEAD):
            raise LogError(f"{where}: not a dataflash log (its first bytes are {data[:8].hex(' ')})")
        log = cls(data)
        log._lengths[FMT_TYPE] = FMT_LENGTH
        log._walk()
        return log

    def _walk(self) -> None:
        data, lengths, offsets = self.data, self._lengths, self._offsets
        end, place = len(data), 0
        skipped: list[tuple[int, int]] = []
        while place < end:
            following = place
            if data[place : place + 2] == HEAD and place + 3 <= end:
                kind = data[place + 2]
                following = place + lengths[kind]
                # Define a format first: it may be that of the next message.
                valid = place < following <= end and (kind != FMT_TYPE or self._define(place))
                if valid and self._head_at(following):
                    offsets.append(place)
                    place = following
                    continue
            resumed = self._next_head(place + 1)
            skipped.append((place, resumed))
            place = resumed
        self.damage += skipped_note(skipped, end)

    def _head_at(self, place: int) -> bool:
        """A message of a known type, or the end of the file, here."""
        data, end = self.data, len(self.data)
        if place == end:
            return True
        rest = data[place : place + 3]
        return rest == HEAD[: len(rest)] if len(rest) < 3 else rest[:2] == HEAD and self._lengths[rest[2]] > 0

    def _next_head(self, place: int) -> int:
        while (place := self.data.find(HEAD, place)) >= 0:
            if place + 3 <= len(self.data) and self._lengths[self.data[place + 2]] > 0:
                return place
            place += 1
        return len(self.data)

    def _define(self, place: int) -> bool:
        """Define a message type from a FMT message; False for a damaged one."""
        body = self.data[place + 3 : place + FMT_LENGTH]
        kind, length = body[0], body[1]
        name, characters, columns = (body[a:b].split(b"\0", 1)[0] for a, b in ((2, 6), (6, 22), (22, 86)))
        if not _NAME.fullmatch(name) or not _COLUMNS.fullmatch(columns):
            return False
        text = characters.decode("latin-1")
        names = tuple(columns.decode("ascii").split(",")) if columns else ()
        if kind == FMT_TYPE:
            return length == FMT_LENGTH
        if any(c not in _TYPES for c in text) or len(set(names)) != len(names):
            return False
        if len(names) != len(text):  # the columns are unknown then: only the size is used
            names = tuple(f"_{i}" for i in range(len(text)))
        dtype = np.dtype([(n, _TYPES[c]) for n, c in zip(names, text, strict=True)])
        if dtype.itemsize + 3 != length:
            return False
        found = MessageFormat(name.decode("ascii"), text, names, dtype)
        known = self.formats.get(kind)
        if known is not None and known != found:
            self.damage.append(f"message type {kind} is {known.name} and {found.name}, or changes its columns")
            return False
        self.formats[kind] = found
        self._lengths[kind] = length
        return True

    @cached_property
    def _by_type(self) -> dict[int, NDArray[np.int64]]:
        offsets = np.array(self._offsets, dtype=np.int64)
        return split_by_id(np.frombuffer(self.data, np.uint8)[offsets + 2], offsets)

    def counts(self) -> dict[str, int]:
        """Messages of each type by name."""
        return {self.formats[k].name: len(v) for k, v in self._by_type.items() if k in self.formats}

    def messages(self, name: str) -> Messages | None:
        """All messages of a name; None for a log without any."""
        kinds = [k for k, f in self.formats.items() if f.name == name and k in self._by_type]
        if not kinds:
            return None
        form = self.formats[kinds[0]]
        offsets = self._by_type[kinds[0]]
        if len(kinds) > 1:
            self.damage.append(f"{len(kinds)} message types are called {name}: the first is used")
        if not form.dtype.itemsize:
            return None
        return Messages(form, rows_at(self.data, offsets + 3, form.dtype), offsets)

    def texts(self, name: str, column: str) -> list[str]:
        """A text column of all messages of a name."""
        found = self.messages(name)
        if found is None or column not in found.format.columns or found.rows.dtype[column].kind != "S":
            return []
        return [bytes(v).split(b"\0", 1)[0].decode("utf-8", "replace") for v in found.rows[column]]
