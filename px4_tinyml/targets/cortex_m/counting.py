"""Exact instruction counts from the emulator's virtual time, read by the program under test (docs/bench.md).

With `-icount shift=6` an instruction takes 64 ns, and the board's 25 MHz timer ticks every 40 ns: 8 ticks for
5 instructions. More than one tick an instruction, so the instruction follows from the tick.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.targets.cortex_m.build import RUN, bench_files, build_images
from px4_tinyml.targets.cortex_m.run import COUNTING, run_image
from px4_tinyml.targets.programs import Program

I64 = NDArray[np.int64]

TICKS, INSTRUCTIONS = 8, 5
LOOPS = (*range(1, 41), 6_000_000)
"""Rounds of the calibration loops; the last one exceeds the 24 bits of a SysTick."""

HOOK_BEFORE, HOOK = 3, 5
"""Instructions of bench/layers.hpp before the timer is read, and altogether."""
JUMP = 2
"""Instructions of bench/tflm_layers.hpp in what it counts."""


@dataclass(frozen=True)
class Clock:
    """Ticks after n instructions: floor((8 n + offset) / 5). offset: the overhead of a call, and the timer's phase."""

    offset: int

    def ticks(self, instructions: NDArray[np.integer]) -> I64:
        """Value of the timer."""
        return (TICKS * instructions.astype(np.int64) + self.offset) // INSTRUCTIONS

    def instructions(self, ticks: NDArray[np.integer]) -> I64:
        """The inverse; raises ToolchainError for ticks that are no whole number of instructions."""
        count = -((self.offset - INSTRUCTIONS * ticks.astype(np.int64)) // TICKS)
        if not np.array_equal(self.ticks(count), ticks):
            raise ToolchainError("the emulator's time is not a whole number of instructions: another QEMU?")
        return count


def calibrate(known: NDArray[np.integer], ticks: NDArray[np.integer]) -> Clock:
    """The clock that reads every known count back exactly; raises ToolchainError unless there is exactly one."""
    clocks = [Clock(offset) for offset in range(TICKS * INSTRUCTIONS)]
    exact = [clock for clock in clocks if np.array_equal(clock.ticks(known), ticks)]
    if len(exact) != 1:
        raise ToolchainError(
            f"loops of known length cannot be read back in the emulator ({len(exact)} clocks fit, 1 expected): "
            "this QEMU does not count 64 ns an instruction; QEMU 7.2 does"
        )
    return exact[0]


def build_calibration(cpu: str) -> Path:
    """The image that runs loops of known length."""
    return build_images(bench_files(), cpu, {"calibrate": Program((*RUN, "calibrate.cpp"))}) / "calibrate"


@functools.cache
def clock(cpu: str) -> Clock:
    """The calibrated clock of an emulated processor."""
    loops = np.array(LOOPS, "<u4")
    ticks = run_image(build_calibration(cpu), cpu, {"loops": loops.tobytes()}, ["ticks"], COUNTING)["ticks"]
    known = np.stack([2 * loops + 1, 2 * loops + 2], axis=1)
    return calibrate(known.ravel(), np.frombuffer(ticks, "<u4"))


@dataclass(frozen=True, eq=False)
class Inference:
    """Inferences of N rows: outputs int8[N, L], instructions[N]; layers[N, operators] for the image "layers".

    stack_bytes: written below the caller's stack pointer.
    """

    outputs: I8
    instructions: I64
    layers: I64
    stack_bytes: int


def infer(image: Path, graph: Graph, x: I8, cpu: str, called: bool = False) -> Inference:
    """Run the image "infer" (or "layers", whose total includes its hooks) on rows x[N, input size].

    called: each layer of the image "layers" is a probed call, and the total is their sum.
    """
    files = run_image(image, cpu, {"inputs": x.tobytes()}, ["outputs", "ticks", "stack"], COUNTING)
    ticks = np.frombuffer(files["ticks"], "<u4").reshape(len(x), -1)
    if called:
        layers = clock(cpu).instructions(ticks[:, :-1]) - JUMP
        total = layers.sum(axis=1)
    else:
        layers = _between_hooks(ticks[:, :-1], clock(cpu))
        total = clock(cpu).instructions(ticks[:, -1])
    return Inference(
        outputs=np.frombuffer(files["outputs"], np.int8).reshape(len(x), graph.output.size),
        instructions=total,
        layers=layers,
        stack_bytes=int.from_bytes(files["stack"], "little"),
    )


def _between_hooks(values: NDArray[np.uint32], timer: Clock) -> I64:
    """Instructions of each layer from the timer (it counts down) at its hook; 0: a layer without code."""
    layers = np.zeros(values.shape, np.int64)
    before: I64 | int = HOOK_BEFORE - HOOK
    for i, value in enumerate(values.T):
        if value.any():
            at = timer.instructions(~value)
            layers[:, i] = at - before - HOOK
            before = at
    return layers
