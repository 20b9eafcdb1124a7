"""Builds the sensor node's sketch for an emulated Cortex-M4F, around it the test double of the board."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.write import text_files
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.arduino.generate import arduino_files
from px4_tinyml.targets.cortex_m.build import build_images, frame_files
from px4_tinyml.targets.programs import Program

CPU = "cortex-m4"
DOUBLE = Path(__file__).resolve().parent / "emulator" / "double"
SENSORS = "CustomSensors.hpp"
_STARTUP = ("startup.cpp", "semihosting.hpp")


def build_node(bundle: ModelBundle, cache_dir: Path | None = None) -> Path:
    """The image of an emulated node for a bundle, from the sources `generate arduino` writes. Built once and kept.

    Raises ToolchainError with the packages to install or the compiler's output.
    """
    frame = frame_files()
    files = {**node_sources(arduino_files(bundle, "generic")), **{name: frame[name] for name in _STARTUP}}
    sources = sorted(name for name in files if name.endswith(".cpp"))
    return build_images(files, CPU, {"node": Program(sources, ("-DNODE_BOARD_CUSTOM",))}, cache_dir) / "node"


def node_sources(sketch: Mapping[str, str]) -> dict[str, str]:
    """All sources but the startup code, by path; sketch: text by path, as `generate arduino` writes it."""
    main = next((name for name in sketch if name.endswith(".ino")), None)
    if main is None:
        raise ToolchainError("the sketch has no .ino file: write it with `px4-tinyml generate arduino`")
    double = text_files(DOUBLE)
    double[f"{main.rpartition('/')[0]}/src/board/{SENSORS}"] = double.pop(SENSORS)
    # As Arduino's builder turns a sketch into C++.
    double[f"{main}.cpp"] = f'#include <Arduino.h>\n#line 1 "{main}"\n{sketch[main]}'
    return {**sketch, **double}
