"""Flash and RAM of an image that holds one thing and what it needs: linked with one root, unused sections dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.errors import ToolchainError


@dataclass(frozen=True)
class Footprint:
    """flash_bytes: code, constants and the first values of variables. ram_bytes: variables, the arena among them."""

    flash_bytes: int
    ram_bytes: int


def footprint(image: Path, size: str) -> Footprint:
    """Of an ELF image. size: the binutils program for it."""
    told = run_tool([size, str(image)])
    try:
        text, data, bss = map(int, told.splitlines()[1].split()[:3])
    except (IndexError, ValueError) as error:
        raise ToolchainError(f"{size} says something unexpected about {image}: {told!r}") from error
    return Footprint(text + data, data + bss)
