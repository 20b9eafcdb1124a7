"""ULog format definitions: `name:type field;type[n] field;…`, their sizes and NumPy layouts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

SCALARS = {
    "int8_t": "i1", "uint8_t": "u1", "int16_t": "<i2", "uint16_t": "<u2", "int32_t": "<i4",
    "uint32_t": "<u4", "int64_t": "<i8", "uint64_t": "<u8", "float": "<f4", "double": "<f8",
    "bool": "i1", "char": "S1",
}  # fmt: skip
_FIELD = re.compile(r"([A-Za-z_]\w*)(?:\[(\d{1,4})\])? ([A-Za-z_]\w*)")
_MAX_MESSAGE = 1 << 16
_MAX_DEPTH = 8


class FormatError(Exception):
    """A format that makes no sense (never leaves the reader: it becomes a damage note)."""


class Formats:
    """All formats of a file by name. A field is (type, array length or 0, name)."""

    def __init__(self) -> None:
        self._fields: dict[str, list[tuple[str, int, str]]] = {}
        self._sizes: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    @staticmethod
    def parse(body: bytes) -> tuple[str, list[tuple[str, int, str]]] | None:
        """Name and fields of a format message; None when it is not one."""
        name, colon, text = body.partition(b":")
        if not colon or not re.fullmatch(rb"[A-Za-z_][\w/]*", name) or not text.endswith(b";"):
            return None
        matches = [_FIELD.fullmatch(part) for part in text[:-1].decode("ascii", "replace").split(";")]
        if not all(matches):
            return None
        return name.decode("ascii"), [(m[1], int(m[2] or 0), m[3]) for m in matches if m]

    def define(self, name: str, fields: list[tuple[str, int, str]]) -> str | None:
        """Take a format in; what is wrong with it, if anything."""
        if len({field[2] for field in fields}) != len(fields):
            return f"format of {name} names a field twice: not used"
        if self._fields.setdefault(name, fields) != fields:
            return f"format of {name} is defined twice: the first is used"
        return None

    def size(self, name: str, depth: int = 0) -> int:
        """Bytes of a whole message, padding included. FormatError when it has no sensible size."""
        if name in self._sizes:
            return self._sizes[name]
        if depth > _MAX_DEPTH:
            raise FormatError(f"format {name} is nested too deeply")
        if name not in self._fields:
            raise FormatError(f"no format {name}")
        total = sum(self._field_size(field, depth) for field in self._fields[name])
        if total > _MAX_MESSAGE:
            raise FormatError(f"format {name} is larger than a message can be")
        self._sizes[name] = total
        return total

    def _field_size(self, field: tuple[str, int, str], depth: int = 0) -> int:
        kind, length, _ = field
        item = np.dtype(SCALARS[kind]).itemsize if kind in SCALARS else self.size(kind, depth + 1)
        return item * max(length, 1)

    def logged(self, name: str) -> list[tuple[str, int, str]]:
        """Fields as they are logged: without the trailing padding of the outermost format."""
        fields = list(self._fields[name])
        while fields and fields[-1][2].startswith("_padding"):
            fields.pop()
        return fields

    def logged_size(self, name: str) -> int:
        """Bytes of a message as it is logged."""
        self.size(name)
        return sum(self._field_size(field) for field in self.logged(name))

    def layout(self, name: str) -> np.dtype[Any]:
        """NumPy layout of a logged message; padding and nested formats stay opaque."""
        layout: list[Any] = []
        for kind, length, field_name in self.logged(name):
            if kind not in SCALARS or field_name.startswith("_padding"):
                layout.append((field_name, f"V{self._field_size((kind, length, field_name))}"))
            else:
                layout.append((field_name, SCALARS[kind], (length,)) if length else (field_name, SCALARS[kind]))
        return np.dtype(layout)
