"""uORB messages, from .msg text or from a ULog format: their layout as a C++ struct and in a ULog.

Source: PX4's rules, in Tools/msg and msg/README of PX4-Autopilot: `timestamp` is the first field, the others are
ordered by the size of their type, largest first, and the struct is padded to a multiple of eight. Nested messages are
rejected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.errors import ToolchainError
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_format import SCALARS, Field, logged_fields, parse_fields

ALIGNMENT = 8
_C_TYPES = {
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float", "float64": "double", "bool": "bool", "char": "char",
}  # fmt: skip
_FIELD = re.compile(r"(?P<type>\w+)(?:\[(?P<length>\d+)\])?\s+(?P<name>[a-z_]\w*)")
_CONSTANT = re.compile(r"(?P<type>\w+)\s+(?P<name>[A-Z]\w*)\s*=\s*(?P<value>[-+.\w]+)")


@dataclass(frozen=True)
class Message:
    """A topic's message, its fields in the order they have in memory; constants: name → (C type, value)."""

    name: str
    fields: tuple[Field, ...]
    constants: dict[str, tuple[str, str]]

    @property
    def logged_size(self) -> int:
        """Bytes of a message in a ULog: without the padding at its end."""
        return sum(field.size for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes of the struct."""
        return -(-self.logged_size // ALIGNMENT) * ALIGNMENT

    @property
    def queue(self) -> int:
        """Messages that uORB keeps."""
        return int(self.constants.get("ORB_QUEUE_LENGTH", ("", "1"))[1])

    @property
    def ulog_format(self) -> str:
        """`type name;type[n] name;…`, with the padding, as PX4's logger writes it."""
        padding = self.size - self.logged_size
        fields = [*self.fields, Field("uint8_t", "_padding0", padding)] if padding else self.fields
        return "".join(f"{field};" for field in fields)

    def dtype(self, padded: bool = True) -> np.dtype[Any]:
        """NumPy type of the struct; not padded: of a message in a ULog. Texts (char arrays) are bytes."""
        layout: Any = {
            "names": [f.name for f in self.fields],
            "formats": [f"S{f.length}" if f.type == "char" else (SCALARS[f.type], f.shape) for f in self.fields],
            "offsets": [sum(before.size for before in self.fields[:i]) for i in range(len(self.fields))],
            "itemsize": self.size if padded else self.logged_size,
        }
        result: np.dtype[Any] = np.dtype(layout)
        return result


def parse_msg(name: str, text: str, where: str = "") -> Message:
    """A message from the text of its .msg file. name: the topic, in snake_case.

    Raises ToolchainError for lines that are not a field or constant of a basic type.
    """
    fields, constants = [], {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        constant, field = _CONSTANT.fullmatch(content), _FIELD.fullmatch(content)
        match = constant or field
        if match is None or match["type"] not in _C_TYPES:
            raise ToolchainError(
                f"{where or name}:{number}: {content!r} found, expected `type name`, `type[n] name` or "
                "`type NAME = value` with a basic type"
            )
        kind = _C_TYPES[match["type"]]
        if constant is not None:
            constants[constant["name"]] = (kind, constant["value"])
        elif field is not None:
            fields.append(Field(kind, field["name"], int(field["length"] or 0)))
    if not fields or fields[0] != Field("uint64_t", "timestamp"):
        raise ToolchainError(f"{where or name}: expected `uint64 timestamp` as the first field")
    ordered = sorted(fields, key=lambda field: -np.dtype(SCALARS[field.type]).itemsize)
    return Message(name, tuple(ordered), constants)


def of_topic(name: str) -> Message:
    """A message of PX4 v1.17 (topics.py). Raises ToolchainError for a format that is not of basic types."""
    fields = parse_fields(topics.FORMATS[name])
    if fields is None or any(field.type not in SCALARS for field in fields):
        raise ToolchainError(f"topic {name}: format {topics.FORMATS[name]!r} is not `type name;type[n] name;…`")
    return Message(name, logged_fields(fields), dict(topics.CONSTANTS.get(name, {})))


def of_checkout(name: str, px4: Path) -> Message:
    """A message of PX4 from a checkout's msg/ folder. Raises ToolchainError when the checkout does not have it."""
    file = "".join(word.capitalize() for word in name.split("_")) + ".msg"
    for folder in (px4 / "msg", px4 / "msg" / "versioned"):
        path = folder / file
        if path.is_file():
            return parse_msg(name, path.read_text(encoding="utf-8"), str(path))
    raise ToolchainError(f"{px4}: no msg/{file} or msg/versioned/{file}: is it a PX4 checkout?")
