"""An engine on an emulated Cortex-M: instructions, by layer too, flash, RAM, stack, cycles, and the signal path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from px4_tinyml.compiler.operator import Operator
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.base import Code, Cost, Layer, Subject, footprint
from px4_tinyml.targets.cortex_m.build import RUN, bench_files, build_images, tool
from px4_tinyml.targets.cortex_m.counting import infer
from px4_tinyml.targets.cortex_m.cycles import estimate
from px4_tinyml.targets.cortex_m.path_cost import path_cost, rates

_ROOT = ("-Wl,--entry=motion_footprint",)
_SIZE = "arm-none-eabi-size"
_TIMED = "cortex-m4"
"""The processor whose manual gives timings."""


def measure_cortex_m(subject: Subject, code: Code, cost: Cost) -> Cost:
    """The cost with all there is to measure. Raises ParityError when the outputs are wrong, or ToolchainError."""
    spec, cpu = subject.spec, cost.target
    images = build_bench(code, cpu)
    run = infer(images / "infer", subject.graph, subject.x, cpu)
    subject.check(run.outputs)
    worst = int(run.instructions.argmax())
    size = footprint(images / "footprint", tool(_SIZE))
    cost = replace(
        cost,
        instructions=int(run.instructions[worst]),
        fewest_instructions=int(run.instructions.min()),
        stack_bytes=run.stack_bytes,
        flash_bytes=size.flash_bytes - cost.weights_bytes,
        ram_bytes=size.ram_bytes,
        **_by_layer(subject, images, cost, worst, int(run.instructions[worst])),
    )
    if spec is None:
        return cost
    whole = footprint(images / "path_footprint", tool(_SIZE))
    return replace(
        cost,
        classifier_flash_bytes=whole.flash_bytes,
        classifier_ram_bytes=whole.ram_bytes,
        signal_path=tuple(path_cost(images / "path", spec, cpu, rate) for rate in rates(spec)),
    )


def build_bench(code: Code, cpu: str) -> Path:
    """Folder with the images infer, layers, footprint, and path, path_footprint where there is a spec."""
    hook = ("-include", code.layer_header, f"-DMOTION_LAYERS={len(code.graph.operators)}")
    programs = {
        "infer": code.program(*RUN, "infer.cpp"),
        "layers": code.program(*RUN, "infer.cpp", flags=hook),
        "footprint": code.program("footprint.cpp", "abort.cpp", link_flags=_ROOT),
    }
    if code.spec:
        programs["path"] = code.program(*RUN, "path.cpp")
        programs["path_footprint"] = code.program("path_footprint.cpp", "abort.cpp", link_flags=_ROOT)
    return build_images({**code.files, **bench_files()}, cpu, programs)


def _by_layer(subject: Subject, images: Path, cost: Cost, row: int, instructions: int) -> dict[str, Any]:
    """Fields of a Cost: layers, and cycles by the manual of the Cortex-M4 (by layer: of compiled code only)."""
    graph, x, cpu, compiled = subject.graph, subject.x[row : row + 1], cost.target, cost.engine == "compiled"
    counted = infer(images / "layers", graph, x, cpu, called=not compiled).layers[0]
    cycles: list[int | None] = [None] * len(counted)
    total = None
    if cpu == _TIMED:
        (traced, total), *_ = estimate(images / "infer", cpu, x)
        if traced != instructions:
            raise ToolchainError(f"{traced} instructions traced, {instructions} counted: another QEMU?")
        with_code = [i for i, count in enumerate(counted) if count and compiled]
        for i, (_, spent) in zip(with_code, estimate(images / "layers", cpu, x), strict=False):
            cycles[i] = spent
    layers = tuple(
        Layer(i, o.name, f"{_dimensions(o.input)} to {_dimensions(o.output)}", o.macs, _weights(o), int(n), spent)
        for i, (o, n, spent) in enumerate(zip(graph.operators, counted, cycles, strict=True))
    )
    return {"layers": layers, "cycles": total}


def _weights(operator: Operator) -> int:
    return sum(tensor.data.nbytes for tensor in operator.weights if tensor.data is not None)


def _dimensions(tensor: Tensor) -> str:
    """Without the batch."""
    return "x".join(map(str, tensor.shape[1:])) or "1"
