"""Reading files that others wrote: bounded sizes, regular files only, JSON and TOML with clear errors."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from px4_tinyml.errors import Px4TinymlError, SpecError

MAX_TOML_BYTES = 1 << 20

T = TypeVar("T")


class JsonObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An object of a JSON document. A key with a default may be missing in a file; its default is not written."""


def read_file(path: Path, limit: int) -> bytes:
    """Content of a regular file of at most `limit` bytes. OSError for others: a FIFO, a device, a larger file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a FIFO would wait for its writer
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
    return data


def parse_json(data: bytes) -> Any:
    """Plain data of a JSON text. Raises ValueError, also for NaN, infinity and deep nesting."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_reject_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} found, a finite number expected")


def checked(kind: type[T], data: Any, where: str, error: type[Px4TinymlError], advice: str) -> T:
    """Plain data as an object of a type, every key checked. where: the file; advice: what to do, for the error."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as problem:
        why, _, path = str(problem).partition(" - at `$")
        key = path.strip(".`") or "the document"
        raise error(f"{where}: {key}: {why}{_found(data, path)}; {advice}") from problem


def _found(data: Any, path: str) -> str:
    """The value at a path such as .flights[3].part, for an error. Nothing for an object, or a path that has `[...]`."""
    if "[...]" in path:
        return ""
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path):
        data = data[name or int(index)]
    return "" if isinstance(data, dict) else f" ({ascii(data)[:60]} found)"


def write_json(path: Path, document: JsonObject, indent: int, sort_keys: bool = False) -> None:
    """Write a document. A file name in it that is not UTF-8 becomes a JSON escape."""
    data = msgspec.to_builtins(document)
    text = json.dumps(data, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    path.write_bytes((text + "\n").encode("utf-8", "backslashreplace"))


def reject_unknown(data: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises SpecError for a key that is not known."""
    unknown = sorted(set(data) - set(known := tuple(known)))
    if unknown:
        raise SpecError(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(known)}")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SpecError when it cannot be read."""
    try:
        return tomllib.loads(read_file(path, MAX_TOML_BYTES).decode("utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error
