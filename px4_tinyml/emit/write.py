"""Source trees on disk: rendered, copied, and written only where something changed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from px4_tinyml.emit.shipped import target_root
from px4_tinyml.errors import ToolchainError

PACKAGE = Path(__file__).resolve().parents[1]
"""Folder of px4_tinyml: template names are relative to it."""
MODULE = Path("src/modules/motion_classifier")
SOURCE_SUFFIXES = (".hpp", ".h", ".cpp", ".c", ".S")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(PACKAGE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def render(template: str, **values: Any) -> str:
    """Text of a template (its name is relative to the package, as targets/host/templates/README.md.j2)."""
    return _environment().get_template(template).render(**values)


def license_header() -> str:
    """The licence of the hand-written C++, as a comment."""
    engine = target_root("px4_module") / MODULE / "engine" / "CompiledEngine.hpp"
    text = engine.read_text(encoding="utf-8")
    return text[: text.index("*/") + 3]


def module_sources(*folders: str) -> dict[str, str]:
    """Hand-written C++ of the PX4 module's folders ("core", "engine"), by path relative to the module."""
    module = target_root("px4_module") / MODULE
    return {
        path.relative_to(module).as_posix(): path.read_text(encoding="utf-8")
        for folder in folders
        for path in sorted((module / folder).rglob("*"))
        if path.suffix in SOURCE_SUFFIXES
    }


def write_tree(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files (by relative path) where their content differs; returns what was written.

    Whatever else is in the folder stays. Raises ToolchainError when a file cannot be written.
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
