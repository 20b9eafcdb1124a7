"""Source trees on disk: rendered, copied, and written only where something changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from px4_tinyml.emit import build_text, cpp
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.errors import ConversionError, ToolchainError

PACKAGE = Path(__file__).resolve().parents[1]
"""Folder of px4_tinyml: template names are relative to it."""
MODULE = Path("src/modules/motion_classifier")
SOURCE_SUFFIXES = (".hpp", ".h", ".cpp", ".c", ".S")
TEXT_SUFFIX = ".md.j2"
"""Templates of text for people; every other one is of code."""
FILTERS: Mapping[str, Callable[..., cpp.Emitted]] = {
    function.__name__: function
    for function in (
        cpp.comment, cpp.hex_digits, cpp.identifier, cpp.numbers, cpp.quoted,
        build_text.cmake_variable, build_text.versioned, build_text.word, build_text.words,
    )
}  # fmt: skip


def template_environment(folder: Path, filters: Mapping[str, Callable[..., str]], **options: Any) -> jinja2.Environment:
    """Templates of a folder. An undefined name is an error, and a block leaves no blank line."""
    loader, undefined = jinja2.FileSystemLoader(folder), jinja2.StrictUndefined
    environment = jinja2.Environment(
        loader=loader, undefined=undefined, trim_blocks=True, lstrip_blocks=True, **options
    )
    environment.filters |= filters
    return environment


@cache
def _environment(finalize: Callable[[object], object]) -> jinja2.Environment:
    return template_environment(PACKAGE, FILTERS, keep_trailing_newline=True, autoescape=False, finalize=finalize)


def _text(value: object) -> str:
    """A value in a text for people: one line, so that it cannot begin another."""
    text = str(value)
    if not text.isprintable():
        raise ConversionError(f"cannot be written into a text: {text[:60]!a} found, one line expected")
    return text


def render(template: str, **values: Any) -> str:
    """Text of a template (its name is relative to the package, as targets/host/templates/README.md.j2).

    Raises ConversionError for a value that may not be in it: code takes what the emitters made, numbers and booleans.
    """
    finalize = _text if template.endswith(TEXT_SUFFIX) else cpp.literal
    return _environment(finalize).get_template(template).render(**values)


def license_header() -> cpp.Emitted:
    """The licence of the hand-written C++, as a comment."""
    engine = target_root("px4_module") / MODULE / "engine" / "CompiledEngine.hpp"
    text = engine.read_text(encoding="utf-8")
    return cpp.verbatim(text[: text.index("*/") + 3])


def module_sources(*folders: str) -> dict[str, str]:
    """Hand-written C++ of the PX4 module's folders ("core", "engine"), by path relative to the module."""
    module = target_root("px4_module") / MODULE
    return {
        path.relative_to(module).as_posix(): path.read_text(encoding="utf-8")
        for folder in folders
        for path in sorted((module / folder).rglob("*"))
        if path.suffix in SOURCE_SUFFIXES
    }


def text_files(folder: Path) -> dict[str, str]:
    """Files right in a folder by name, templates left out."""
    paths = (path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix != ".j2")
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def write_tree(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files (by relative path) where their content differs; returns what was written.

    Other files in the folder stay. Raises ToolchainError when a file cannot be written.
    """
    written = []
    for name, text in sorted(files.items()):
        path, data = folder / name, text.encode()
        try:
            if path.is_file() and path.read_bytes() == data:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise ToolchainError(f"{path}: cannot be written ({error.strerror})") from error
        written.append(path)
    return written
