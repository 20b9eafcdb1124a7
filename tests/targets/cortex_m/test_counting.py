"""Instruction counts must be exact, the same every time, and the same by a second method."""

from __future__ import annotations

import numpy as np
import pytest
from reference_models import MODELS

from px4_tinyml.bench.measure import read_subject
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.base import compiled_code
from px4_tinyml.targets.cortex_m.bench import build_bench
from px4_tinyml.targets.cortex_m.build import CPUS, bench_files, build_images
from px4_tinyml.targets.cortex_m.counting import LOOPS, build_calibration, calibrate, clock, infer
from px4_tinyml.targets.cortex_m.cycles import Instruction, cycles, estimate
from px4_tinyml.targets.cortex_m.run import COUNTING, run_image
from px4_tinyml.targets.programs import Program


@pytest.mark.parametrize("cpu", CPUS)
def test_loops_of_known_length_read_back_exactly(cpu: str) -> None:
    """Other lengths than those the clock was calibrated with, and one of more than 2^24 timer ticks."""
    timer = clock(cpu)
    loops = np.array([*range(41, 141), 99_999, 123_457, 12_345_678], "<u4")
    image = build_calibration(cpu)
    ticks = run_image(image, cpu, {"loops": loops.tobytes()}, ["ticks"], COUNTING)["ticks"]
    measured = timer.instructions(np.frombuffer(ticks, "<u4")).reshape(-1, 2)
    assert np.array_equal(measured, np.stack([2 * loops + 1, 2 * loops + 2], axis=1))
    assert max(LOOPS) * 2 * 1.6 > 2**24


def test_an_inexact_clock_is_rejected() -> None:
    known = np.arange(3, 80)
    timer = calibrate(known, (8 * known + 15) // 5)
    assert timer.offset == 15
    with pytest.raises(ToolchainError, match="not a whole number"):
        timer.instructions(timer.ticks(np.array([4])) - 1)
    for wrong in ((8 * known + 15) // 5 + (known == 40), known * 2, (8 * known + 90) // 5):
        with pytest.raises(ToolchainError, match="cannot be read back"):
            calibrate(known, wrong)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_counts_agree_with_a_trace_and_by_layer(name: str, cpu: str) -> None:
    tested = read_subject(MODELS / f"{name}.tflite")
    images = build_bench(compiled_code(tested.graph, None), cpu)
    first, again = (infer(images / "infer", tested.graph, tested.x, cpu) for _ in range(2))
    assert np.array_equal(first.instructions, again.instructions) and first.stack_bytes == again.stack_bytes
    apart = infer(images / "layers", tested.graph, tested.x, cpu)
    assert np.array_equal(apart.outputs, first.outputs)
    # Hooks may cost or save a register here and there, not more.
    assert abs(apart.layers.sum(axis=1) - first.instructions).max() <= 8
    for row in (0, 1):
        x = tested.x[row : row + 1]
        assert [n for n, _ in estimate(images / "infer", cpu, x)] == [first.instructions[row]]
        *layers, rest = (n for n, _ in estimate(images / "layers", cpu, x))
        assert layers == [n for n in apart.layers[row] if n] and rest < 8


STACK = """
#include "probe.hpp"
#include "semihosting.hpp"
__attribute__((naked)) void write_below(void *) { asm("sub r1, sp, r0\\n\\tstr r0, [r1]\\n\\tbx lr"); }
int main()
{
	semihosting::File depths("depths", semihosting::File::Read), found("found", semihosting::File::Write);
	for (uint32_t depth; depths.read(&depth, 4) == 4;) {
		const uint32_t used = probe_stack(write_below, reinterpret_cast<void *>(depth));
		found.write(&used, 4);
	}
	return 0;
}
"""


@pytest.mark.parametrize("cpu", CPUS)
def test_painted_stack_is_found_to_the_word(cpu: str) -> None:
    """A function that writes one word at a known distance below the stack pointer."""
    files = {**bench_files(), "stack.cpp": STACK}
    image = build_images(files, cpu, {"stack": Program(("startup.cpp", "probe.S", "stack.cpp"))}) / "stack"
    depths = np.array([4, 8, 100, 4, 20_000, 12], "<u4")
    found = run_image(image, cpu, {"depths": depths.tobytes()}, ["found"])["found"]
    assert np.array_equal(np.frombuffer(found, "<u4"), depths)


def listed(text: str) -> Instruction:
    name, _, operands = text.partition(" ")
    return Instruction(0, 4 if name.endswith(".w") else 2, name.split(".")[0], operands)


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("add r0, r1", None, 1),
        ("smlad r0, r1, r2, r3", None, 1),
        ("smlal r0, r1, r2, r3", None, 1),
        ("sdiv r0, r1, r2", None, 7),
        ("ldr r0, [r1]", None, 2),
        ("ldr r0, [r1]", "ldr r2, [r3, #4]", 1),
        ("ldr r0, [r1]", "ldr r1, [r3, #4]", 2),
        ("ldr r0, [r1]", "ldr.w r2, [r3], #4", 2),
        ("ldrsb.w r0, [r1, r2]", "ldrsb.w r2, [r3, #1]", 2),
        ("str r0, [r1, #8]", None, 1),
        ("str r0, [r1, r2]", None, 2),
        ("str r0, [r1, r2]", "ldr r4, [r3]", 1),
        ("ldrd r0, r1, [r2]", None, 3),
        ("ldm.w r3!, {r0, r1, r4-r7}", None, 7),
        ("push.w {r4, r5, r6, r7, r8, lr}", None, 7),
        ("vldr s0, [r1]", None, 2),
        ("vdiv.f32 s0, s1, s2", None, 14),
        ("vfma.f32 s0, s1, s2", None, 3),
        ("b #4", None, 1),
        ("strb r0, [r1], #1", None, 1),
    ],
)
def test_timings_of_the_manual(text: str, before: str | None, expected: int) -> None:
    assert cycles(listed(text), listed(before) if before else None) == expected
