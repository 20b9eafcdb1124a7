"""Write ULog 1.0: a new file (`ULogWriter`), or more topics into a recorded one (`add_topics`).

Source: the ULog file format, https://docs.px4.io/main/en/dev_log/ulog_file_format.html. The same input gives the same
bytes: nothing depends on the day or the machine.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.logs.ulog.ulog_file import FLAGS_SIZE, HEADER_SIZE, MAGIC, UlogFile
from px4_tinyml.logs.ulog.ulog_format import SCALARS, Field, logged_fields, parse_fields
from px4_tinyml.logs.ulog.uorb_message import Message

_VERSION = b"\x01"
_APPENDED_OFFSETS = HEADER_SIZE + 3 + 16
"""Offset in the file of the flag bits message's three 64-bit offsets of appended data."""
_NO_ID = 0xFFFF


def ulog_message(kind: bytes, payload: bytes) -> bytes:
    """One ULog message: size, kind, payload."""
    return struct.pack("<Hc", len(payload), kind) + payload


def _format(name: str, fields: str) -> bytes:
    return ulog_message(b"F", f"{name}:{fields}".encode())


def _add_logged(name: str, multi_id: int, message_id: int) -> bytes:
    """An A message: data messages with this id belong to this instance of the topic."""
    return ulog_message(b"A", struct.pack("<BH", multi_id, message_id) + name.encode())


def _keyed(kind: bytes, key: str, value: bytes) -> bytes:
    return ulog_message(kind, bytes([len(key.encode())]) + key.encode() + value)


def _text_information(key: str, text: str) -> bytes:
    value = text.encode()
    return _keyed(b"I", f"char[{len(value)}] {key}", value)


def dropout_message(duration_ms: int) -> bytes:
    """A message that reports lost data."""
    return ulog_message(b"O", struct.pack("<H", duration_ms))


def _data_messages(message_id: int, rows: NDArray[np.void]) -> NDArray[np.uint8]:
    """Data messages [N, bytes] of N rows as they are logged (without trailing padding)."""
    layout = np.dtype([("size", "<u2"), ("kind", "u1"), ("id", "<u2"), ("m", rows.dtype)])
    messages = np.zeros(len(rows), layout)
    messages["size"] = rows.dtype.itemsize + 2
    messages["kind"] = ord("D")
    messages["id"] = message_id
    messages["m"] = rows
    return messages.view(np.uint8).reshape(len(rows), layout.itemsize)


def message_dtype(fields: str) -> np.dtype[Any]:
    """NumPy type of one message from its ULog fields, `type name;type[n] name;…`.

    Trailing padding is left out: data messages do not have it. `timestamp` must be the first field.
    Raises LogError for other formats.
    """
    parsed = parse_fields(fields)
    if parsed is None or any(field.type not in SCALARS for field in parsed):
        raise LogError(f"ULog format {fields!r}: expected 'type name;type[n] name;…' with basic types")
    if parsed[0] != Field("uint64_t", "timestamp"):
        raise LogError(f"ULog format {fields!r}: expected 'uint64_t timestamp' as the first field")
    return np.dtype([(field.name, SCALARS[field.type], field.shape) for field in logged_fields(parsed)])


class ULogWriter:
    """Collect information, parameters and topics, then write them with `save`."""

    def __init__(self, start_us: int) -> None:
        self._head = [MAGIC + _VERSION + struct.pack("<Q", start_us), ulog_message(b"B", bytes(FLAGS_SIZE))]
        self._formats: dict[str, str] = {}
        self._topics: list[tuple[str, int]] = []
        self._data: list[tuple[NDArray[np.uint64], NDArray[np.uint8]]] = []
        self._text: list[tuple[NDArray[np.uint64], NDArray[np.uint8]]] = []

    def info(self, key: str, value: str | int) -> None:
        """An information message: text, or a 32-bit number."""
        if isinstance(value, str):
            self._head.append(_text_information(key, value))
        else:
            self._head.append(_keyed(b"I", f"uint32_t {key}", struct.pack("<I", value)))

    def parameter(self, name: str, value: int | float) -> None:
        """A parameter: int32 or float, by the type of the value."""
        kind, code = ("int32_t", "<i") if isinstance(value, int) else ("float", "<f")
        self._head.append(_keyed(b"P", f"{kind} {name}", struct.pack(code, value)))

    def text(self, timestamp_us: int, message: str, level: int = 6) -> None:
        """A logged string, level as in syslog (6: information)."""
        payload = struct.pack("<BQ", ord("0") + level, timestamp_us) + message.encode()
        row = np.frombuffer(ulog_message(b"L", payload), np.uint8)[None, :]
        self._text.append((np.array([timestamp_us], np.uint64), row))

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
        rows = np.zeros(len(timestamp), dtype)
        for key, values in data.items():
            rows[key] = values
        self._data.append((timestamp, _data_messages(len(self._topics), rows)))
        self._topics.append((name, multi_id))

    def save(self, path: Path) -> None:
        """Write the file: definitions, subscriptions, then all data in order of time."""
        path.write_bytes(self.content())

    def content(self) -> bytes:
        """The whole file, as `save` writes it."""
        return b"".join([*self.definitions(), self._in_order()])

    def definitions(self) -> list[bytes]:
        """Everything before the data, message by message: header, formats, subscriptions (ids in the order added)."""
        formats = [_format(name, fields) for name, fields in self._formats.items()]
        added = [_add_logged(*topic, index) for index, topic in enumerate(self._topics)]
        return [*self._head, *formats, *added]

    def _in_order(self) -> bytes:
        """The data messages and texts in order of time."""
        blocks = [*self._data, *self._text]
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


@dataclass(frozen=True, eq=False)
class AddedTopic:
    """Messages to insert into a ULog. rows[N]: dtype message.dtype(False); offset[N]: place of each, ascending."""

    message: Message
    rows: NDArray[np.void]
    offset: NDArray[np.int64]


def add_topics(log: UlogFile, added: Sequence[AddedTopic], information: dict[str, str], announce_at: int) -> bytes:
    """The file with topics inserted, each as an instance of its own, and text information.

    announce_at: offset of a message of the data section, before all inserted data. Every byte of the file stays.
    A topic that the log already has is written in the log's format.
    Raises LogError when a format of the log lacks a field of the topic, or no message id is free.
    """
    formats = [_format(a.message.name, a.message.ulog_format) for a in added if a.message.name not in log.formats]
    texts = [_text_information(key, text) for key, text in information.items()]
    ids = _free_ids(log, len(added))
    subscriptions = [
        _add_logged(a.message.name, _free_instance(log, a.message.name), i) for a, i in zip(added, ids, strict=True)
    ]
    pieces = [(_definitions_start(log.data), b"".join([*formats, *texts])), (announce_at, b"".join(subscriptions))]
    for a, message_id in zip(added, ids, strict=True):
        messages = _data_messages(message_id, _in_format_of(log, a))
        pieces += [(offset, row.tobytes()) for offset, row in zip(a.offset.tolist(), messages, strict=True)]
    pieces.sort(key=lambda piece: piece[0])
    return _insert(log.data, pieces)


def _definitions_start(data: bytes) -> int:
    """Offset after the header and the flag bits. (A damaged file does not show where its definitions end.)"""
    size = struct.unpack_from("<H", data, HEADER_SIZE)[0]
    flags = data[HEADER_SIZE + 2 : HEADER_SIZE + 3] == b"B" and size >= FLAGS_SIZE
    return HEADER_SIZE + 3 + size if flags else HEADER_SIZE


def _free_instance(log: UlogFile, name: str) -> int:
    return 1 + max((s.multi_id for s in log.subscriptions.values() if s.name == name), default=-1)


def _free_ids(log: UlogFile, count: int) -> list[int]:
    """Message ids that are not used in the file, not even by data messages without a subscription."""
    raw = np.frombuffer(log.data, np.uint8)
    data = np.flatnonzero(raw[:-2] == ord("D"))  # every place that could be a data message
    seen = np.zeros(_NO_ID + 1, np.bool_)
    seen[raw[data + 1].astype(np.int64) | raw[data + 2].astype(np.int64) << 8] = True
    first = 1 + max(log.subscriptions, default=-1)
    free: list[int] = (first + np.flatnonzero(~seen[first:_NO_ID])).tolist()
    if len(free) < count:
        raise LogError(f"fewer than {count} message ids are free in the log: topics cannot be added to it")
    return free[:count]


def _in_format_of(log: UlogFile, added: AddedTopic) -> NDArray[np.void]:
    """The rows in the log's own format of the topic, if it has one."""
    name = added.message.name
    if name not in log.formats:
        return added.rows
    layout = log.formats.layout(name)
    rows = np.zeros(len(added.rows), layout)
    for field in added.message.fields:
        known = field.name in (layout.names or ())
        values, place = added.rows[field.name], rows[field.name] if known else None
        if place is not None and field.type == "char" and place.dtype.itemsize == 1:
            # Texts are truncated to the log's length (in PX4 before v1.10: of uint8), with a zero at the end.
            characters = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
            room = min(characters.shape[1], place.shape[1] - 1)
            place.view(np.uint8)[:, :room] = characters[:, :room]
        elif place is not None and place.shape == values.shape:
            place[...] = values
        else:
            raise LogError(
                f"the log has a topic {name} of another version, without `{field.type} {field.name}`: "
                "messages cannot be added to it"
            )
    return rows


def _insert(data: bytes, pieces: Sequence[tuple[int, bytes]]) -> bytes:
    parts, place = [], 0
    for offset, piece in pieces:
        parts += [data[place:offset], piece]
        place = offset
    out = bytearray(b"".join([*parts, data[place:]]))
    if len(data) >= _APPENDED_OFFSETS + 24 and data[HEADER_SIZE + 2] == ord("B"):
        before = struct.unpack_from("<3Q", data, _APPENDED_OFFSETS)
        moved = [o + sum(len(piece) for offset, piece in pieces if offset <= o) if o else 0 for o in before]
        struct.pack_into("<3Q", out, _APPENDED_OFFSETS, *moved)
    return bytes(out)
