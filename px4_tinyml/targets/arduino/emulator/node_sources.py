"""Sources of the emulated node: a sketch of `generate arduino` and the test double of the board around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from px4_tinyml.errors import ToolchainError

DOUBLE = Path(__file__).resolve().parent / "double"
SENSORS = "CustomSensors.hpp"
BOARD = "generic"
"""A key of NODE_BOARDS: its sketch needs the least of a board's core."""
DEFINES = ("-DNODE_BOARD_CUSTOM",)
"""Selects the sensors of CustomSensors.hpp."""


def node_sources(sketch: Mapping[str, str]) -> dict[str, str]:
    """All sources but the startup code, by path; sketch: text by path, as `generate arduino` writes it."""
    main = next((name for name in sketch if name.endswith(".ino")), None)
    if main is None:
        raise ToolchainError("the sketch has no .ino file: write it with `px4-tinyml generate arduino`")
    folder = main.rpartition("/")[0]
    double = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOUBLE.iterdir()) if path.is_file()}
    double[f"{folder}/src/board/{SENSORS}"] = double.pop(SENSORS)
    # As Arduino's builder turns a sketch into C++.
    double[f"{main}.cpp"] = f'#include <Arduino.h>\n#line 1 "{main}"\n{sketch[main]}'
    return {**sketch, **double}
