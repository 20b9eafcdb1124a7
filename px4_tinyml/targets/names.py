"""Names of engines and targets, one vocabulary for every command. Old spellings stay as aliases."""

from __future__ import annotations

ENGINES = ("compiled", "tflm", "numpy")
"""What runs the model. compiled: generated C++. tflm: TensorFlow Lite Micro. numpy: the reference in NumPy."""
CLASSIFY_ENGINES = ("numpy", "tflm")
"""Those that run behind the signal path in Python: of `classify`, and of bundles with input = "bands"."""
TARGETS = ("host", "cortex-m4", "cortex-m7", "px4", "px4-host", "arduino")
"""Where a classifier runs. px4: a PX4 SITL build. px4-host: the PX4 module in a stand-in for PX4, on this computer."""

REPLAYED = ("numpy", "tflm", "host", "px4-host", "cortex-m4", "cortex-m7", "arduino")
"""What `replay` compares; with a build folder, px4, too."""
NOT_BY_DEFAULT = frozenset({"arduino"})
"""Targets that run only by name: one byte at a time, a long log takes minutes."""
BENCHED = ("host", "cortex-m4", "cortex-m7")
"""Where `bench` measures."""

ENGINE_ALIASES = {"host": "compiled", "python": "numpy"}
TARGET_ALIASES = {"node": "arduino", "python": "numpy", "cortex-m": "cortex-m4"}
"""Old spelling → name. `replay` compares engines, too: numpy and tflm run behind the signal path in Python."""

REPLAY_JSON = {"numpy": "python", "arduino": "node"}
LIVE_JSON = {"compiled": "host"}
"""Names that the JSON of `replay` and `live` spells in the old way: scripts read it."""


def engine_name(name: str) -> str:
    """The name that an old spelling stands for; any other name as it is."""
    return ENGINE_ALIASES.get(name, name)


def target_name(name: str) -> str:
    """The name that an old spelling stands for; any other name as it is."""
    return TARGET_ALIASES.get(name, name)


def target_names(names: str) -> list[str]:
    """Names of a comma-separated list, without repetitions (usable as argparse's `type`)."""
    return list(dict.fromkeys(target_name(name.strip()) for name in names.split(",")))
