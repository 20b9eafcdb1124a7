"""Write ULog 1.0 files: the definitions, then every topic's messages in order of time.

Source: the ULog file format, https://docs.px4.io/main/en/dev_log/ulog_file_format.html. The same input gives
the same bytes; nothing is written that depends on the day or the machine.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from px4_tinyml.errors import LogError

_MAGIC = b"ULog\x01\x12\x35\x01"
_FIELD = re.compile(r"(\w+?)(?:\[(\d+)\])? (\w+)")
_DTYPES = {
    "int8_t": "<i1", "uint8_t": "<u1", "int16_t": "<i2", "uint16_t": "<u2", "int32_t": "<i4",
    "uint32_t": "<u4", "int64_t": "<i8", "uint64_t": "<u8", "float": "<f4", "double": "<f8",
    "bool": "<u1", "char": "S1",
}  # fmt: skip


def ulog_message(kind: bytes, payload: bytes) -> bytes:
    """One ULog message: size, kind, payload."""
    return struct.pack("<Hc", len(payload), kind) + payload


def message_dtype(fields: str) -> np.dtype[Any]:
    """NumPy type of one message from its ULog fields, `type name;type[n] name;…`.

    Trailing padding is left out, as the format demands of data messages. `timestamp` must be the first field.
    """
    parsed = [_FIELD.fullmatch(field) for field in fields.strip(";").split(";")]
    if any(match is None or match[1] not in _DTYPES for match in parsed):
        raise LogError(f"ULog format {fields!r}: expected 'type name;type[n] name;…' with basic types")
    members = [(m[3], _DTYPES[m[1]], (int(m[2]),) if m[2] else ()) for m in parsed if m is not None]
    if members[0][:2] != ("timestamp", "<u8"):
        raise LogError(f"ULog format {fields!r}: expected 'uint64_t timestamp' as the first field")
    while members[-1][0].startswith("_padding"):
        members.pop()
    return np.dtype(members)


@dataclass(frozen=True)
class _Topic:
    """Messages of one topic and instance, ready to write: one row of bytes each."""

    name: str
    multi_id: int
    timestamp: NDArray[np.uint64]
    rows: NDArray[np.uint8]


class ULogWriter:
    """Collect information, parameters and topics, then write them with `save`."""

    def __init__(self, start_us: int) -> None:
        self._head = [_MAGIC + struct.pack("<Q", start_us), ulog_message(b"B", bytes(40))]
        self._formats: dict[str, str] = {}
        self._topics: list[_Topic] = []
        self._text: list[tuple[int, bytes]] = []

    def info(self, key: str, value: str | int) -> None:
        """An information message: text, or a 32-bit number."""
        if isinstance(value, str):
            text = value.encode()
            self._keyed(b"I", f"char[{len(text)}] {key}", text)
        else:
            self._keyed(b"I", f"uint32_t {key}", struct.pack("<I", value))

    def parameter(self, name: str, value: int | float) -> None:
        """A parameter: int32 or float, by the type of the value."""
        kind, code = ("int32_t", "<i") if isinstance(value, int) else ("float", "<f")
        self._keyed(b"P", f"{kind} {name}", struct.pack(code, value))

    def _keyed(self, kind: bytes, key: str, value: bytes) -> None:
        self._head.append(ulog_message(kind, bytes([len(key.encode())]) + key.encode() + value))

    def text(self, timestamp_us: int, message: str, level: int = 6) -> None:
        """A logged string, level as in syslog (6: information)."""
        payload = struct.pack("<BQ", ord("0") + level, timestamp_us) + message.encode()
        self._text.append((timestamp_us, ulog_message(b"L", payload)))

    def topic(self, name: str, fields: str, data: Mapping[str, ArrayLike], multi_id: int = 0) -> None:
        """Add a topic's messages: arrays [N] or [N, n] (or scalars) by field name; fields not given are zero.

        Several instances of a topic share one format.
        """
        if self._formats.setdefault(name, fields) != fields:
            raise LogError(f"topic {name}: two different formats")
        dtype = message_dtype(fields)
        unknown = set(data) - set(dtype.names or ())
        if unknown:
            raise LogError(f"topic {name}: no field {sorted(unknown)[0]!r} in its format")
        timestamp = np.asarray(data["timestamp"], dtype=np.uint64)
        rows = np.zeros(len(timestamp), dtype=np.dtype([("size", "<u2"), ("kind", "u1"), ("id", "<u2"), ("m", dtype)]))
        rows["size"] = dtype.itemsize + 2
        rows["kind"] = ord("D")
        rows["id"] = len(self._topics)
        for key, values in data.items():
            rows["m"][key] = values
        raw = rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
        self._topics.append(_Topic(name, multi_id, timestamp, raw))

    def save(self, path: Path) -> None:
        """Write the file: definitions, subscriptions, then all data in order of time."""
        path.write_bytes(b"".join([*self.definitions(), self._data()]))

    def definitions(self) -> list[bytes]:
        """What comes before the data, message by message: the head, formats and subscriptions, numbered as added."""
        formats = [ulog_message(b"F", f"{name}:{fields}".encode()) for name, fields in self._formats.items()]
        added = [
            ulog_message(b"A", struct.pack("<BH", topic.multi_id, index) + topic.name.encode())
            for index, topic in enumerate(self._topics)
        ]
        return [*self._head, *formats, *added]

    def _data(self) -> bytes:
        blocks = [(topic.timestamp, topic.rows) for topic in self._topics]
        blocks += [(np.array([t], dtype=np.uint64), np.frombuffer(m, dtype=np.uint8)[None, :]) for t, m in self._text]
        if not blocks:
            return b""
        time = np.concatenate([timestamp for timestamp, _ in blocks])
        size = np.concatenate([np.full(len(rows), rows.shape[1], dtype=np.int64) for _, rows in blocks])
        order = np.argsort(time, kind="stable")
        end = np.cumsum(size[order])
        offset = np.empty(len(time), dtype=np.int64)
        offset[order] = end - size[order]
        out = np.empty(int(size.sum()), dtype=np.uint8)
        first = 0
        for _, rows in blocks:
            where = offset[first : first + len(rows), None] + np.arange(rows.shape[1])
            out[where] = rows
            first += len(rows)
        return out.tobytes()
