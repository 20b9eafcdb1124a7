"""`generate cortex-m4`: programs for an emulated bare Cortex-M4F or M7, with a Makefile for both.

The code of a flight controller, where anyone can run it and count its instructions.
"""

from __future__ import annotations

from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.write import render, write_tree
from px4_tinyml.targets.cortex_m.build import COMPILER, CPUS, FLAGS, LINK_FLAGS, PACKAGES, frame_files
from px4_tinyml.targets.sources import classifier_files
from px4_tinyml.targets.tflm.build import tflm_values
from px4_tinyml.targets.tflm.generate import Arena


def cortex_m_files(bundle: ModelBundle, tflm: Arena | None = None) -> dict[str, str]:
    """Every file of the project, by relative path. tflm: for TensorFlow Lite Micro, with this arena."""
    values = {"spec": bundle.spec, "cpus": CPUS, "compiler": COMPILER, "packages": PACKAGES}
    values["tflm"] = tflm_values() if tflm else None
    flags = {"flags": FLAGS, "link_flags": LINK_FLAGS}
    return {
        **classifier_files(bundle, tflm),
        **frame_files(),
        "Makefile": render("targets/cortex_m/templates/Makefile.j2", **values, **flags),
        "README.md": render("targets/cortex_m/templates/README.md.j2", **values),
    }


def generate_cortex_m(bundle: ModelBundle, folder: Path, tflm: Arena | None = None) -> list[Path]:
    """Write the project; returns the files that changed."""
    return write_tree(folder, cortex_m_files(bundle, tflm))
