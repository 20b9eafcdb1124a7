"""Values into C++: one function for each kind of value. Each takes that kind and refuses everything else.

The text made here has the type Emitted. Templates of code take Emitted, numbers and booleans (`literal`): a plain
string that was read from a file cannot get into C++.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from px4_tinyml.errors import ConversionError

_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;+*/()<>=!#@$%&|~^-]")
"""Characters that stand for themselves in a string literal. A question mark could begin a trigraph."""


class Emitted(str):
    """Text that one of the emitters made, or that ships with this package."""

    __slots__ = ()


def literal(value: object) -> Emitted:
    """What a template may put into code: emitted text, a whole number, a float32 or a boolean."""
    if isinstance(value, Emitted):
        return value
    if isinstance(value, bool | np.bool_):
        return Emitted("true" if value else "false")
    if isinstance(value, float | np.floating):
        return float_literal(value)
    return integer(value)


def integer(value: object) -> Emitted:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise refused(value, "a whole number")
    return Emitted(int(value))


def float_literal(value: object) -> Emitted:
    """A float32 that reads back as the same bits."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise refused(value, "a number")
    try:
        with np.errstate(over="ignore"):
            number = float(np.float32(value))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise refused(value, "a finite float32")
    text = f"{number:.9g}"
    return Emitted(text + ("f" if "." in text or "e" in text else ".0f"))


def identifier(text: object) -> Emitted:
    """A name."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise refused(text, "a name of letters, digits and _")
    return Emitted(text)


def quoted(text: object) -> Emitted:
    """A string literal. What is not plain ASCII becomes octal escapes of its UTF-8 bytes."""
    if not isinstance(text, str):
        raise refused(text, "text")
    try:
        return Emitted('"' + "".join(map(_character, text)) + '"')
    except UnicodeEncodeError as error:
        raise refused(text, "text that is valid Unicode") from error


def _character(one: str) -> str:
    return one if _PLAIN.fullmatch(one) else "".join(f"\\{byte:03o}" for byte in one.encode())


def comment(text: object) -> Emitted:
    """A line, or a part of one, inside a comment that it cannot end or continue."""
    if not isinstance(text, str) or not text.isprintable() or any(end in text for end in ("\\", "*/", "??/")):
        raise refused(text, "one line of a comment")
    return Emitted(text)


def hex_digits(text: object) -> Emitted:
    """Hexadecimal digits, as a hash has them."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]+", text):
        raise refused(text, "hexadecimal digits")
    return Emitted(text)


def verbatim(text: str) -> Emitted:
    """Text of a file that ships with this package, as it is. For nothing else."""
    return Emitted(text)


def listed(items: Iterable[object]) -> Emitted:
    """Emitted texts, numbers and booleans, with commas between."""
    return Emitted(", ".join(map(literal, items)))


def braced(items: Iterable[object]) -> Emitted:
    """The same in braces."""
    return Emitted("{" + listed(items) + "}")


def numbers(values: Iterable[object]) -> Emitted:
    """Whole numbers, with commas between."""
    return Emitted(", ".join(map(integer, values)))


def rows(items: Iterable[object], per_line: int) -> list[Emitted]:
    """Lines of so many emitted texts, numbers or booleans."""
    texts = list(map(literal, items))
    return [listed(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]


def refused(value: object, expected: str) -> ConversionError:
    """The error of a value that is not what its place in the code is for."""
    shown = ascii(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return ConversionError(f"cannot be written into code: {shown} found, {expected} expected")
