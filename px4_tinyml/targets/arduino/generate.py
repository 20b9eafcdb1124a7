"""`generate arduino`: a sketch for the sensor node (firmware/motion_node) around a bundle's classifier."""

from __future__ import annotations

from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.emit.write import SOURCE_SUFFIXES, render, write_tree
from px4_tinyml.errors import SpecError
from px4_tinyml.targets.arduino.mavlink_headers import mavlink_headers
from px4_tinyml.targets.arduino.node_boards import DEFAULT_BOARD, node_board
from px4_tinyml.targets.sources import classifier_files
from px4_tinyml.targets.tflm.generate import Arena

SKETCH = "motion_node"
"""Folder and name of the sketch: Arduino wants them to be the same."""


TFLM_LIBRARY = "Chirale_TensorFLowLite (2.0.0)"


def arduino_files(bundle: ModelBundle, board: str = DEFAULT_BOARD, tflm: Arena | None = None) -> dict[str, str]:
    """Every file by relative path. board: a key of NODE_BOARDS. tflm: for TensorFlow Lite Micro, with this arena.

    Raises SpecError for an unknown board, or one with an IMU slower than the bundle's slots.
    """
    device = node_board(board)
    if bundle.spec.rate_hz > device.imu_hz:
        raise SpecError(
            f"--board {board}: its IMU gives {device.imu_hz} samples a second, the bundle's slots need "
            f"{bundle.spec.rate_hz}: no window would be classified. Train with a lower rate_hz"
        )
    libraries = (*device.libraries, *([TFLM_LIBRARY] if tflm else []))
    values = {"board": device, "name": board, "tflm": tflm is not None, "libraries": libraries, "spec": bundle.spec}
    return {
        **sketch_sources(),
        **{f"{SKETCH}/src/{name}": _beside(name, text) for name, text in classifier_files(bundle, tflm).items()},
        **{f"{SKETCH}/src/mavlink/{name}": text for name, text in mavlink_headers().items()},
        f"{SKETCH}/src/BoardConfig.hpp": render("targets/arduino/templates/BoardConfig.hpp.j2", **values),
        f"{SKETCH}/sketch.yaml": render("targets/arduino/templates/sketch.yaml.j2", **values),
        "README.md": render("targets/arduino/templates/README.md.j2", **values),
    }


def _beside(name: str, text: str) -> str:
    """A generated file with includes relative to itself: no include path has the sketch's folder."""
    if not name.startswith("model/"):
        return text
    text = text.replace('#include "model/', '#include "').replace('#include "engine/', '#include "../engine/')
    # BoardConfig.hpp selects the engine for every file that needs it.
    return text.replace('#include "TflmModel.hpp"', '#include "../BoardConfig.hpp"\n#include "TflmModel.hpp"')


def sketch_sources() -> dict[str, str]:
    """The hand-written part of the sketch, by path relative to the folder that holds it."""
    root = target_root("firmware")
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((root / SKETCH).rglob("*"))
        if path.suffix in (*SOURCE_SUFFIXES, ".ino")
    }


def generate_arduino(
    bundle: ModelBundle, folder: Path, tflm: Arena | None = None, board: str = DEFAULT_BOARD
) -> list[Path]:
    """Write the sketch; returns the files that changed.

    The model of the other engine is removed: Arduino compiles every file in the folder.
    """
    files = arduino_files(bundle, board, tflm)
    for old in ("CompiledModel", "TflmModel"):
        for suffix in SOURCE_SUFFIXES:
            name = f"{SKETCH}/src/model/{old}{suffix}"
            if name not in files:
                (folder / name).unlink(missing_ok=True)
    return write_tree(folder, files)
