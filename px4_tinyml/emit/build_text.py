"""Values into files that CMake, make and arduino-cli read; as emit/cpp.py for C++."""

from __future__ import annotations

import re
from collections.abc import Iterable

from px4_tinyml.emit.cpp import Emitted, identifier, refused


def word(text: object) -> Emitted:
    """One word: no space, and nothing that CMake, make or a shell reads as more than text."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_./+=:,-]+", text):
        raise refused(text, "one plain word")
    return Emitted(text)


def words(texts: Iterable[object]) -> Emitted:
    """Words with spaces between."""
    return Emitted(" ".join(map(word, texts)))


def versioned(text: object) -> Emitted:
    """A package and its version as arduino-cli writes them: "name (1.2.3)"."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_.:-]+ \([0-9.]+\)", text):
        raise refused(text, "a name and a version in brackets")
    return Emitted(text)


def cmake_variable(name: object) -> Emitted:
    """The value of a CMake variable."""
    return Emitted("${" + identifier(name) + "}")
