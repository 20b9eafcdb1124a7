"""Everything that can classify a feed, by name. A new target is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.arduino.run import build_node, run_node
from px4_tinyml.targets.cortex_m.generate import CPUS, build_cortex_m
from px4_tinyml.targets.cortex_m.run import emulator, run_cortex_m
from px4_tinyml.targets.host.generate import build_host
from px4_tinyml.targets.host.run import run_host
from px4_tinyml.targets.px4.run import Px4Host

Runner = Callable[[Feed], Classification]


def _numpy(bundle: ModelBundle) -> Runner:
    return bundle.classifier().run


def _tflm(bundle: ModelBundle) -> Runner:
    return bundle.classifier("tflm").run


def _host(bundle: ModelBundle) -> Runner:
    command = build_host(bundle)
    return lambda events: run_host(command, events)


def _cortex_m(bundle: ModelBundle, cpu: str) -> Runner:
    emulator()
    image = build_cortex_m(bundle, cpu)
    return lambda events: run_cortex_m(image, cpu, events)


def _px4_host(bundle: ModelBundle) -> Runner:
    return Px4Host(bundle).run


def _arduino(bundle: ModelBundle) -> Runner:
    emulator()
    image = build_node(bundle)
    return lambda events: run_node(image, events, bundle.spec)


TARGETS: dict[str, Callable[[ModelBundle], Runner]] = {
    "numpy": _numpy,
    "tflm": _tflm,
    "host": _host,
    "px4-host": _px4_host,
    **{cpu: partial(_cortex_m, cpu=cpu) for cpu in CPUS},
    "arduino": _arduino,
}
"""Name → what builds a runner for a bundle (once); raises ToolchainError where the target cannot run here.

numpy: NumPy signal path and engine. tflm: the same signal path, TensorFlow Lite Micro. host: all of it in C++.
px4-host: the PX4 module with its topics, in a stand-in for PX4.
cortex-m4, cortex-m7: the same C++, compiled for a bare Arm processor that QEMU emulates.
arduino: the sketch there, samples and MAVLink over serial ports, decisions only; see docs/node_emulated.md.
"""

BY_NAME_ONLY = frozenset({"arduino"})
"""Targets that take part only when they are named: a byte at a time, a long log takes minutes."""

PX4 = "px4"
"""A PX4 SITL build of the user's. It makes samples of its own of a feed, so it is no runner: see replay/px4.py."""
