"""The MAVLink dialect: message ids, enums, field layouts and checksums, in one place.

They are those of pymavlink's ardupilotmega, which contains common and development messages of both autopilots. Every
name of that module is an attribute here: `dialect.MAV_TYPE_QUADROTOR`, `dialect.MAVLINK_MSG_ID_HEARTBEAT`,
`dialect.MAVLink_heartbeat_message`. pymavlink is loaded at the first use (0.2 s), so write `from px4_tinyml.mavlink
import dialect` and use its names inside functions only.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from collections.abc import Callable, Iterable
from functools import cache
from itertools import islice
from struct import Struct
from typing import Any, NamedTuple

import numpy as np

MAGIC_V1, MAGIC_V2 = 0xFE, 0xFD
SIGNED = 0x01
"""MAVLink 2's only incompatibility flag in use."""
SIGNATURE_SIZE = 13


@cache
def _pymavlink() -> Any:
    from pymavlink.dialects.v20 import ardupilotmega

    return ardupilotmega


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    value = globals()[name] = getattr(_pymavlink(), name)
    return value


@cache
def messages() -> dict[int, Any]:
    """pymavlink's message classes by id."""
    return dict(_pymavlink().mavlink_map)


@cache
def message_id(name: str) -> int:
    """Id of a message by name. AttributeError for an unknown name."""
    return int(getattr(_pymavlink(), f"MAVLINK_MSG_ID_{name}"))


def message_name(number: int) -> str:
    """Name of a message, "UNKNOWN_id" for an unknown id."""
    known = messages().get(number)
    return str(known.msgname) if known else f"UNKNOWN_{number}"


class _Field(NamedTuple):
    """A field as on the wire: its name, its type as in the struct module, its length if it is an array, else 0."""

    name: str
    code: str
    length: int


def _fields(number: int) -> list[_Field]:
    message = messages()[number]
    codes = re.findall(r"\d*([a-zA-Z])", message.unpacker.format)
    return [*map(_Field, message.ordered_fieldnames, codes, message.array_lengths)]


@cache
def record_dtype(number: int) -> np.dtype[Any]:
    """NumPy layout of a message's payload on the wire."""
    fields: list[Any] = []
    for name, code, length in _fields(number):
        numpy_code = f"S{length}" if code == "s" else f"<{code}"
        fields.append((name, numpy_code, (length,)) if length and code != "s" else (name, numpy_code))
    return np.dtype(fields)


@cache
def record_type(number: int) -> Any:
    """Named tuple of a message's fields in the order of the wire."""
    from collections import namedtuple  # the names are data: NamedTuple cannot be used

    message = messages()[number]
    return namedtuple(message.msgname, message.ordered_fieldnames)


@cache
def _decoder(number: int) -> tuple[Struct, Callable[[Iterable[Any]], Any]]:
    """Unpacks a message's payload; makes a named tuple of the values."""
    fields, make = _fields(number), record_type(number)._make
    bytes_code = {code: "s" if code in "Bs" else code for _, code, _ in fields}
    unpacker = Struct("<" + "".join(f"{f.length or ''}{bytes_code[f.code] if f.length else f.code}" for f in fields))
    arrays = [f.length if f.code not in "Bs" else 0 for f in fields]
    if not any(arrays):
        return unpacker, make

    def make_with_arrays(values: Iterable[Any]) -> Any:
        rest = iter(values)
        return make([tuple(islice(rest, length)) if length else next(rest) for length in arrays])

    return unpacker, make_with_arrays


def decode(frame: bytes) -> Any:
    """Fields of a whole frame by name: a named tuple. KeyError for an unknown message.

    char and uint8_t arrays are bytes, other arrays tuples. Zeros that MAVLink 2 trimmed are restored.
    """
    if frame[0] == MAGIC_V1:
        start, number = 6, frame[5]
    else:
        start, number = 10, frame[7] | frame[8] << 8 | frame[9] << 16
    unpacker, make = _decoder(number)
    payload = frame[start : start + min(frame[1], unpacker.size)]
    return make(unpacker.unpack(payload.ljust(unpacker.size, b"\0")))


FRAME_START = re.compile(rb"\xfe|\xfd(?!.[\x02-\xff])", re.DOTALL)
"""Where a frame may start: a magic, in MAVLink 2 with flags that are in use."""

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def mirror(data: bytes) -> bytes:
    """Bytes with the order of their bits reversed, as checksum_is_right expects them."""
    return data.translate(_MIRROR)


@cache
def _known() -> dict[int, tuple[bytes, int]]:
    """By message id: CRC_EXTRA, mirrored, and the longest payload in MAVLink 1 (version 2 may extend a message)."""
    return {number: (mirror(bytes((m.crc_extra,))), m.unpacker.size) for number, m in messages().items()}


class Header:
    """The header of a possible frame. Offsets are in the data that header_at was given.

    end: after the frame (after the shortest one, if the header is incomplete). checksum: where it is; 0: the header is
    incomplete, and only offset and end are known. extra: CRC_EXTRA, mirrored; None for an unknown message.
    """

    __slots__ = ("checksum", "end", "extra", "number", "offset", "version")

    def __init__(self, offset: int, end: int, checksum: int, version: int, number: int, extra: bytes | None) -> None:
        self.offset, self.end, self.checksum = offset, end, checksum
        self.version, self.number, self.extra = version, number, extra


def header_at(data: bytes, offset: int) -> Header | None:
    """The header at an offset; None when no frame can start there."""
    room = len(data) - offset
    if data[offset] == MAGIC_V1:
        if room < 8:
            return Header(offset, offset + 8, 0, 1, 0, None)
        length, number = data[offset + 1], data[offset + 5]
        extra, longest = _known().get(number, (None, 255))
        checksum = offset + 6 + length
        return Header(offset, checksum + 2, checksum, 1, number, extra) if length <= longest else None
    if data[offset] != MAGIC_V2 or (room > 2 and data[offset + 2] > SIGNED):
        return None
    if room < 12:
        return Header(offset, offset + 12, 0, 2, 0, None)
    number = data[offset + 7] | data[offset + 8] << 8 | data[offset + 9] << 16
    extra, _ = _known().get(number, (None, 255))
    if extra is None and data[offset + 3]:
        return None  # compatibility flags, which are never used, and an unknown id
    checksum = offset + 10 + data[offset + 1]
    end = checksum + (2 + SIGNATURE_SIZE if data[offset + 2] else 2)
    return Header(offset, end, checksum, 2, number, extra)


def checksum_is_right(mirrored: bytes, header: Header) -> bool:
    """Check a complete frame of a known message; mirrored: the data that its header is in.

    MAVLink's X.25 checksum is CRC-CCITT of mirrored bits, which the standard library has in C.
    """
    assert header.extra is not None
    checksum = header.checksum
    crc = crc_hqx(header.extra, crc_hqx(mirrored[header.offset + 1 : checksum], 0xFFFF))
    return crc == mirrored[checksum] << 8 | mirrored[checksum + 1]


def good_frame_at(data: bytes, mirrored: bytes, offset: int) -> Header | None:
    """The header of the complete frame of a known message with a right checksum at an offset, else None."""
    header = header_at(data, offset) if offset < len(data) else None
    if header is None or header.extra is None or header.end > len(data):
        return None
    return header if checksum_is_right(mirrored, header) else None
