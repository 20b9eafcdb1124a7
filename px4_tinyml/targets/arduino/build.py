"""Builds the sensor node's sketch for an emulated Cortex-M4F, around it the test double of the board."""

from __future__ import annotations

from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.targets.arduino.emulator.node_sources import BOARD, DEFINES, node_sources
from px4_tinyml.targets.arduino.generate import arduino_files
from px4_tinyml.targets.cortex_m.build import build_images, frame_files
from px4_tinyml.targets.programs import Program

CPU = "cortex-m4"
_STARTUP = ("startup.cpp", "semihosting.hpp")


def build_node(bundle: ModelBundle, cache_dir: Path | None = None) -> Path:
    """The image of an emulated node for a bundle, from the sources `generate arduino` writes. Built once and kept.

    Raises ToolchainError with the packages to install or the compiler's output.
    """
    frame = frame_files()
    files = {**node_sources(arduino_files(bundle, BOARD)), **{name: frame[name] for name in _STARTUP}}
    sources = sorted(name for name in files if name.endswith(".cpp"))
    return build_images(files, CPU, {"node": Program(sources, DEFINES)}, cache_dir) / "node"
