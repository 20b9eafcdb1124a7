"""Flash and RAM of an image that holds one thing and what it needs: linked with one root, unused sections dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.generate.build import run_tool
from px4_tinyml.generate.cortex_m import tool

SIZE = "arm-none-eabi-size"


@dataclass(frozen=True)
class Footprint:
    """flash_bytes: code, constants and the first values of variables. ram_bytes: variables, the arena among them."""

    flash_bytes: int
    ram_bytes: int


def footprint(image: Path) -> Footprint:
    """Of an ELF image."""
    text, data, bss = map(int, run_tool([tool(SIZE), str(image)]).splitlines()[1].split()[:3])
    return Footprint(text + data, data + bss)
