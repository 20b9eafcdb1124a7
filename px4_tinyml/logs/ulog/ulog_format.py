"""ULog format definitions: `name:type field;type[n] field;…`, their sizes and NumPy layouts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    """A format that makes no sense (the reader turns it into a damage note)."""


@dataclass(frozen=True)
class Field:
    """A field: its C type (or the name of a nested format), its name, its length (0: not an array)."""

    type: str
    name: str
    length: int = 0

    def __str__(self) -> str:
        return f"{self.type}[{self.length}] {self.name}" if self.length else f"{self.type} {self.name}"

    @property
    def shape(self) -> tuple[int, ...]:
        """NumPy shape of one value."""
        return (self.length,) if self.length else ()

    @property
    def size(self) -> int:
        """Bytes of a field of a basic type."""
        return np.dtype(SCALARS[self.type]).itemsize * max(self.length, 1)

    @property
    def is_padding(self) -> bool:
        return self.name.startswith("_padding")


def parse_fields(text: str) -> tuple[Field, ...] | None:
    """The fields of `type name;type[n] name;…`; None for any other text."""
    matches = [_FIELD.fullmatch(part) for part in text.removesuffix(";").split(";")]
    if not text.endswith(";") or not all(matches):
        return None
    return tuple(Field(m[1], m[3], int(m[2] or 0)) for m in matches if m)


def logged_fields(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Fields of a message as it is logged: without the padding at its end."""
    end = len(fields)
    while end and fields[end - 1].is_padding:
        end -= 1
    return tuple(fields[:end])


class Formats:
    """All formats of a file by name."""

    def __init__(self) -> None:
        self._fields: dict[str, tuple[Field, ...]] = {}
        self._sizes: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    @staticmethod
    def parse(body: bytes) -> tuple[str, tuple[Field, ...]] | None:
        """Name and fields of a format message; None for anything else."""
        name, _, text = body.partition(b":")
        fields = parse_fields(text.decode("ascii", "replace"))
        if fields is None or not re.fullmatch(rb"[A-Za-z_][\w/]*", name):
            return None
        return name.decode("ascii"), fields

    def define(self, name: str, fields: tuple[Field, ...]) -> str | None:
        """Add a format. Returns its fault, if it has one."""
        if len({field.name for field in fields}) != len(fields):
            return f"format of {name} names a field twice: not used"
        if self._fields.setdefault(name, fields) != fields:
            return f"format of {name} is defined twice: the first is used"
        return None

    def size(self, name: str, depth: int = 0) -> int:
        """Bytes of a message, padding included. Raises FormatError when its formats give no possible size."""
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

    def _field_size(self, field: Field, depth: int = 0) -> int:
        return field.size if field.type in SCALARS else self.size(field.type, depth + 1) * max(field.length, 1)

    def logged_size(self, name: str) -> int:
        """Bytes of a message as it is logged."""
        self.size(name)
        return sum(self._field_size(field) for field in logged_fields(self._fields[name]))

    def layout(self, name: str) -> np.dtype[Any]:
        """NumPy layout of a logged message; padding and nested formats are opaque bytes."""
        layout: list[Any] = []
        for field in logged_fields(self._fields[name]):
            if field.type not in SCALARS or field.is_padding:
                layout.append((field.name, f"V{self._field_size(field)}"))
            else:
                layout.append((field.name, SCALARS[field.type], field.shape))
        return np.dtype(layout)
