"""ULogs in and out of the harness: the topics a module subscribes to, and the same file with more topics in it.

Source: the ULog file format, https://docs.px4.io/main/en/dev_log/ulog_file_format.html
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.logs.ulog.ulog_file import HEADER_SIZE, Topic, UlogFile
from px4_tinyml.targets.px4.stand_in.messages import Message

_FLAGS_SIZE = 40
_APPENDED_OFFSETS = HEADER_SIZE + 3 + 16
"""Where the flag bits message keeps the offsets of appended data (three of 64 bits)."""
_NO_ID = 0xFFFF


@dataclass(frozen=True, eq=False)
class Added:
    """Messages to be put into a ULog. rows: dtype message.dtype(False); offset: each is put there, in this order."""

    message: Message
    rows: NDArray[np.void]
    offset: NDArray[np.int64]


def message_fields(topic: Topic, message: Message) -> dict[str, NDArray[Any]]:
    """The fields of a logged topic that the message has too, for Script.messages."""
    dtype = message.dtype()
    fields = {f.name: topic[f.name] for f in message.fields if topic.has(f.name)}
    return {
        name: values
        for name, values in fields.items()
        if values.shape[1:] == dtype[name].shape and values.dtype.kind == dtype[name].base.kind
    }


def message_ends(log: UlogFile, topic: Topic) -> NDArray[np.int64]:
    """Where the message after each of the topic's begins."""
    raw = np.frombuffer(log.data, np.uint8)
    size = raw[topic.offset].astype(np.int64) | raw[topic.offset + 1].astype(np.int64) << 8
    return np.asarray(topic.offset + 3 + size, np.int64)


def add_topics(log: UlogFile, added: Sequence[Added], information: dict[str, str], announce_at: int) -> bytes:
    """The file with topics put into it, each as an instance of its own, and text information.

    announce_at: where a message of the data section begins, before all that is added. Whatever was in the file stays,
    byte by byte. A topic that the log has too is written in the log's format of it.
    Raises LogError when a format of the log has no room for the topic's fields, or no message id is free.
    """
    formats = [b"F" + f"{a.message.name}:{a.message.ulog_format}".encode() for a in added if not _known(log, a.message)]
    texts = [_information(key, text) for key, text in information.items()]
    ids = _free_ids(log, len(added))
    subscriptions = [
        b"A" + struct.pack("<BH", _free_instance(log, a.message.name), i) + a.message.name.encode()
        for a, i in zip(added, ids, strict=True)
    ]
    pieces = [(_definitions_start(log.data), _messages(*formats, *texts)), (announce_at, _messages(*subscriptions))]
    for a, ident in zip(added, ids, strict=True):
        rows = _in_format_of(log, a)
        start = struct.pack("<HcH", rows.dtype.itemsize + 2, b"D", ident)
        pieces += [(offset, start + row.tobytes()) for offset, row in zip(a.offset.tolist(), rows, strict=True)]
    pieces.sort(key=lambda piece: piece[0])
    return _insert(log.data, pieces)


def _definitions_start(data: bytes) -> int:
    """After the header and the flags, which come first. (Where the definitions end is not sure in a damaged file.)"""
    size = struct.unpack_from("<H", data, HEADER_SIZE)[0]
    flags = data[HEADER_SIZE + 2 : HEADER_SIZE + 3] == b"B" and size >= _FLAGS_SIZE
    return HEADER_SIZE + 3 + size if flags else HEADER_SIZE


def _messages(*kinds_and_bodies: bytes) -> bytes:
    return b"".join(struct.pack("<H", len(message) - 1) + message for message in kinds_and_bodies)


def _known(log: UlogFile, message: Message) -> bool:
    try:
        log.formats.logged(message.name)
    except KeyError:
        return False
    return True


def _information(key: str, text: str) -> bytes:
    value = text.encode()
    name = f"char[{len(value)}] {key}".encode()
    return b"I" + bytes([len(name)]) + name + value


def _free_instance(log: UlogFile, name: str) -> int:
    return 1 + max((s.multi_id for s in log.subscriptions.values() if s.name == name), default=-1)


def _free_ids(log: UlogFile, count: int) -> list[int]:
    """Message ids that nothing in the file uses, data of topics that it does not announce included."""
    raw = np.frombuffer(log.data, np.uint8)
    data = np.flatnonzero(raw[:-2] == ord("D"))  # more than there are data messages: whatever looks like one
    seen = np.zeros(_NO_ID + 1, np.bool_)
    seen[raw[data + 1].astype(np.int64) | raw[data + 2].astype(np.int64) << 8] = True
    first = 1 + max(log.subscriptions, default=-1)
    free: list[int] = (first + np.flatnonzero(~seen[first:_NO_ID])).tolist()
    if len(free) < count:
        raise LogError(f"fewer than {count} message ids are free in the log: topics cannot be added to it")
    return free[:count]


def _in_format_of(log: UlogFile, added: Added) -> NDArray[np.void]:
    """The rows as the log's own format of the topic has them, if it has one."""
    if not _known(log, added.message):
        return added.rows
    name = added.message.name
    layout = log.formats.layout(name)
    rows = np.zeros(len(added.rows), layout)
    for field in added.message.fields:
        known = field.name in (layout.names or ())
        values, place = added.rows[field.name], rows[field.name] if known else None
        if place is not None and field.type == "char" and place.dtype.itemsize == 1:
            _copy_text(values, place)
        elif place is not None and place.shape == values.shape:
            place[...] = values
        else:
            raise LogError(
                f"the log has a topic {name} of another version, without `{field.type} {field.name}`: "
                "messages cannot be added to it"
            )
    return rows


def _copy_text(values: NDArray[Any], place: NDArray[Any]) -> None:
    """Texts of another length, or of uint8 as PX4 had them until v1.10: cut, with a zero at the end."""
    characters = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    room = min(characters.shape[1], place.shape[1] - 1)
    place.view(np.uint8)[:, :room] = characters[:, :room]


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
