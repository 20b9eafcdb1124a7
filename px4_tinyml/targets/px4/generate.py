"""`generate px4`: an external-modules tree for PX4 (EXTERNAL_MODULES_LOCATION), for the model of a bundle.

px4_module/ of the repository is such a tree, for the pretrained bundle: its hand-written files are copied, the others
are generated.
"""

from __future__ import annotations

import re
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.emit.write import MODULE, render, text_files, write_tree
from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.px4.golden_vectors import golden_vectors
from px4_tinyml.targets.sources import model_files
from px4_tinyml.targets.tflm.generate import ALIGNMENT, Arena, tflm_model

TEMPLATES = Path(__file__).resolve().parent / "templates"
ENGINES = ("auto", "compiled", "tflm")
MODEL_SOURCES = {"compiled": "CompiledModel", "tflm": "TflmModel"}
HAND_WRITTEN = (
    "msg/CMakeLists.txt",
    "src/CMakeLists.txt",
    *(
        f"{MODULE.as_posix()}/{name}"
        for name in (
            "CMakeLists.txt", "Engine.hpp", "MotionClassifier.cpp", "MotionClassifier.hpp",
            "MotionClassifierConsole.cpp", "module.yaml",
        )
    ),
)  # fmt: skip


def px4_arena(host_bytes: int) -> Arena:
    """Arena for the TFLite Micro of PX4, from what the tflite-micro wheel uses.

    PX4 has another version, built without TF_LITE_STATIC_MEMORY: its tensors are larger. In SITL its pointers
    have 8 bytes, as the wheel's.
    """
    size = -(-host_bytes * 3 // 2 // ALIGNMENT) * ALIGNMENT
    return Arena(size, f"estimated: {host_bytes} bytes in the tflite-micro wheel, and a half for PX4's version")


def px4_files(bundle: ModelBundle, engine: str = "auto") -> dict[str, str]:
    """Every file of the tree, by relative path.

    engine: of the model; auto: both, and PX4's configuration selects one.
    """
    spec, graph = bundle.spec, bundle.graph
    root = target_root("px4_module")
    model: dict[str, str] = {}
    if engine != "tflm":
        model |= compile_model(graph, spec.hash)
    if engine != "compiled":
        model |= tflm_model(bundle.model, graph, spec.hash, px4_arena(bundle.tflm_arena_bytes()))
    module = {**model_files(model, graph, spec), **golden_vectors(bundle)}
    return {
        **{name: (root / name).read_text(encoding="utf-8") for name in HAND_WRITTEN},
        **{(MODULE / name).as_posix(): text for name, text in module.items()},
        "msg/MotionClassification.msg": render(
            "targets/px4/templates/MotionClassification.msg.j2", classes=message_classes(spec)
        ),
        **{f"etc/{name}": text for name, text in text_files(TEMPLATES).items()},
        "README.md": render("targets/px4/templates/README.md.j2", spec=spec, bundle=bundle, engine=engine),
    }


def message_classes(spec: PipelineSpec) -> list[tuple[str, str, int]]:
    """(constant's name after CLASS_, label, index). SpecError when two labels would have the same constant."""
    names: dict[str, str] = {"UNCERTAIN": "no class"}
    classes = []
    for index, label in enumerate(spec.labels):
        # The form that the message generators of both uORB and ROS 2 accept.
        name = re.sub("__+", "_", label.upper()).strip("_")
        if not name or name in names:
            clash = names.get(name, "nothing")
            raise SpecError(
                f"label {label!r} would be the constant CLASS_{name} of MotionClassification.msg, already used by "
                f"{clash}: give it another name"
            )
        names[name] = f"the label {label!r}"
        classes.append((name, label, index))
    return classes


def generate_px4(bundle: ModelBundle, folder: Path, engine: str = "auto") -> list[Path]:
    """Write the tree; returns the files that changed. The model for an engine that is not chosen is removed."""
    files = px4_files(bundle, engine)
    written = write_tree(folder, files)
    for name in MODEL_SOURCES.values():
        for suffix in (".hpp", ".cpp"):
            path = folder / MODULE / "model" / f"{name}{suffix}"
            if path.relative_to(folder).as_posix() not in files:
                path.unlink(missing_ok=True)
    return written
