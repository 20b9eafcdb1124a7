"""Every target by name. A new target is a folder, and a row in each table it has something for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import SpecError
from px4_tinyml.targets.arduino.generate import generate_arduino
from px4_tinyml.targets.arduino.node_boards import DEFAULT_BOARD
from px4_tinyml.targets.arduino.run import arduino_runner
from px4_tinyml.targets.base import Runner
from px4_tinyml.targets.cortex_m.build import CPUS
from px4_tinyml.targets.cortex_m.generate import generate_cortex_m
from px4_tinyml.targets.cortex_m.run import cortex_m_runner
from px4_tinyml.targets.host.build import build_host
from px4_tinyml.targets.host.generate import generate_host
from px4_tinyml.targets.host.run import run_host
from px4_tinyml.targets.names import target_name
from px4_tinyml.targets.px4.generate import generate_px4
from px4_tinyml.targets.px4.run import Px4Host
from px4_tinyml.targets.sources import check_has_cpp
from px4_tinyml.targets.tflm.bench import arena_for
from px4_tinyml.targets.tflm.generate import Arena


def engine_runner(bundle: ModelBundle, engine: str) -> Runner:
    """The signal path in Python with the engine numpy or tflm. Raises ToolchainError where it cannot run."""
    return bundle.classifier(engine).run


RUNNERS: dict[str, Callable[[ModelBundle], Runner]] = {
    "numpy": partial(engine_runner, engine="numpy"),
    "tflm": partial(engine_runner, engine="tflm"),
    "host": lambda bundle: partial(run_host, build_host(bundle)),
    "px4-host": lambda bundle: Px4Host(bundle).run,
    **{cpu: partial(cortex_m_runner, cpu=cpu) for cpu in CPUS},
    "arduino": arduino_runner,
}
"""Name → builds (once) what runs a feed; raises ToolchainError where the target cannot run here. See docs/replay.md.

numpy and tflm are engines behind the signal path in Python. Target px4 is not here: a PX4 SITL build makes samples of
its own of a feed (px4/run_sitl.py).
"""

GENERATORS: dict[str, Callable[[ModelBundle, Path, Arena | None], list[Path]]] = {
    "host": generate_host,
    **dict.fromkeys(CPUS, generate_cortex_m),
}


@dataclass(frozen=True)
class Generated:
    """Files of a target that changed, and the arena of TensorFlow Lite Micro; None: another engine, or for px4."""

    written: list[Path]
    arena: Arena | None = None


def generate(
    bundle: ModelBundle, target: str, folder: Path, engine: str = "auto", board: str = DEFAULT_BOARD
) -> Generated:
    """Write the C++ of a bundle for a target into a folder.

    target: px4, arduino, host, cortex-m4 or cortex-m7 (one project for both). engine: compiled, tflm, or auto:
    compiled, for px4 both. board: the one of arduino. Raises SpecError for unknown names, ToolchainError when a file
    cannot be written, or the bundle has input = "bands".
    """
    target = target_name(target)
    check_has_cpp(bundle.spec)
    if target == "px4":
        return Generated(generate_px4(bundle, folder, engine))
    if target not in (*GENERATORS, "arduino"):
        raise SpecError(f"target {target!r} is not known; expected one of {', '.join((*GENERATORS, 'px4', 'arduino'))}")
    arena = arena_for(bundle, target) if engine == "tflm" else None
    if target == "arduino":
        return Generated(generate_arduino(bundle, folder, arena, board), arena)
    return Generated(GENERATORS[target](bundle, folder, arena), arena)
