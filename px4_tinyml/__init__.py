"""Flight logs into motion classifiers that run on the vehicle: the public API.

Each name is imported when it is first used: `import px4_tinyml` is cheap, and only `train`, `evaluate` and
`build_dataset` need the packages of the `train` extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.dataset.build import build_dataset
    from px4_tinyml.dataset.examples import InjectOptions
    from px4_tinyml.logs import find_logs, read_log
    from px4_tinyml.signal.classifier import Classifier
    from px4_tinyml.signal.spec import PRESETS, PipelineSpec, load_spec
    from px4_tinyml.targets.registry import generate
    from px4_tinyml.training.evaluation import evaluate
    from px4_tinyml.training.pipeline import train

__version__ = "0.1.0"
__all__ = [
    "PRESETS",
    "Classifier",
    "InjectOptions",
    "ModelBundle",
    "PipelineSpec",
    "build_dataset",
    "evaluate",
    "find_logs",
    "generate",
    "load_spec",
    "read_log",
    "train",
]

_HOME = {
    "bundle": ("ModelBundle",),
    "dataset.build": ("build_dataset",),
    "dataset.examples": ("InjectOptions",),
    "logs": ("find_logs", "read_log"),
    "signal.classifier": ("Classifier",),
    "signal.spec": ("PRESETS", "PipelineSpec", "load_spec"),
    "targets.registry": ("generate",),
    "training.evaluation": ("evaluate",),
    "training.pipeline": ("train",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"px4_tinyml.{module}"), name)
    raise AttributeError(f"module 'px4_tinyml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
