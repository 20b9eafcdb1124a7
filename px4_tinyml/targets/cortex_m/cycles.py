"""Estimated cycles of a Cortex-M4 from a trace of the emulator.

Timings: Arm DDI 0439 (Cortex-M4 Technical Reference Manual), "Instruction set summary" and "Load/store timings", for
memory without wait states. Where the manual gives a range, the middle: 2 cycles to refill the pipeline after a
taken branch (1 to 3), 7 for a division (2 to 12). Caches, flash wait states and alignment are not included.
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.targets.cortex_m.build import tool
from px4_tinyml.targets.cortex_m.run import emulator_command

REFILL, DIVISION = 2, 7
SLOW_FLOAT = {"vdiv": 14, "vsqrt": 14, "vmla": 3, "vmls": 3, "vfma": 3, "vfms": 3, "vnmla": 3, "vnmls": 3}
HOOK = ("movw", "movt", "mov", "ldr", "str")
"""Instructions that bench/layers.hpp adds after a layer."""


@dataclass(frozen=True)
class Instruction:
    """One line of the emulator's listing. name: without width and condition suffix (".w")."""

    address: int
    size: int
    name: str
    operands: str

    @property
    def registers(self) -> int:
        """Number of registers in a list in braces."""
        ranges = re.findall(r"\w(\d+)-\w(\d+)", self.operands)
        return self.operands[self.operands.find("{") :].count(",") + 1 + sum(int(b) - int(a) for a, b in ranges)

    @property
    def address_part(self) -> str:
        """Operands from the bracket on; "" without one."""
        return self.operands[self.operands.find("[") :] if "[" in self.operands else ""

    @property
    def address_registers(self) -> tuple[str, ...]:
        """Registers inside the brackets."""
        return tuple(part.strip() for part in self.address_part.strip("[]!").split(",") if "#" not in part)

    @property
    def is_single_load(self) -> bool:
        return bool(re.match(r"ldr(?!d|ex)", self.name))


def cycles(instruction: Instruction, before: Instruction | None) -> int:
    """Cycles of an instruction that does not jump; `before`: the one executed before it."""
    name = instruction.name
    loaded = None
    if before and before.is_single_load and before.address_part.endswith("]"):  # neither pre- nor post-indexed
        loaded = before.operands.split(",")[0]
    if instruction.is_single_load:
        return 1 if loaded and loaded not in instruction.address_registers else 2
    if re.match(r"str(?!d|ex)", name):
        return 2 if len(instruction.address_registers) > 1 and not loaded else 1
    if name.startswith(("ldrd", "strd")):
        return 3
    if name.startswith(("push", "pop", "ldm", "stm", "vpush", "vpop", "vldm", "vstm")):
        return 1 + instruction.registers
    if name.startswith(("vldr", "vstr")):
        return 3 if instruction.operands.startswith("d") else 2
    if re.match(r"[su]div", name):
        return DIVISION
    if name.startswith(("tbb", "tbh")):
        return 2
    return next((slow for prefix, slow in SLOW_FLOAT.items() if name.startswith(prefix)), 1)


@dataclass(frozen=True, eq=False)
class Block:
    """Instructions executed one after the other; the last one may jump."""

    instructions: tuple[Instruction, ...]

    @property
    def start(self) -> int:
        """Address of the first instruction."""
        return self.instructions[0].address

    @property
    def end(self) -> int:
        """Address after the last instruction."""
        last = self.instructions[-1]
        return last.address + last.size

    def cost(self, jumped: bool) -> list[tuple[int, int]]:
        """(instructions, cycles) of each stretch between hooks; the hooks themselves are left out."""
        costs = [(0, 0)]
        i, before = 0, None
        while i < len(self.instructions):
            ahead = self.instructions[i : i + len(HOOK)]
            if tuple(each.name for each in ahead) == HOOK and "#0x40000000" in ahead[2].operands:
                costs.append((0, 0))
                i, before = i + len(HOOK), None
                continue
            instruction = self.instructions[i]
            count, total = costs[-1]
            costs[-1] = (count + 1, total + cycles(instruction, before))
            i, before = i + 1, instruction
        count, total = costs[-1]
        costs[-1] = (count, total + REFILL * jumped)
        return costs


def estimate(image: Path, cpu: str, row: I8) -> list[tuple[int, int]]:
    """(instructions, cycles) of one inference with the image "infer"; with "layers", of each layer and the rest."""
    cost = functools.cache(Block.cost)
    stretches = [(0, 0)]
    for block, jumped in _inference(_executed(image, cpu, row), _probe_return(image)):
        (count, total), *others = cost(block, jumped)
        stretches[-1] = (stretches[-1][0] + count, stretches[-1][1] + total)
        stretches += others
    return stretches


def _inference(blocks: Iterable[Block], probe_return: int) -> Iterator[tuple[Block, bool]]:
    """Blocks of the first probed call, and whether each jumped."""
    before: Block | None = None
    inside = False
    for block in blocks:
        if inside and before is not None:
            yield before, block.start != before.end
        if inside and block.start == probe_return:
            return
        before = block if inside else None
        inside = inside or block.end == probe_return
    raise ToolchainError("the emulator's trace does not hold a whole inference")


def _probe_return(image: Path) -> int:
    for line in run_tool([tool("arm-none-eabi-nm"), str(image)]).splitlines():
        address, _, name = line.split()
        if name == "probe_return":
            return int(address, 16) & ~1
    raise ToolchainError(f"{image}: has no probe_return")


def _executed(image: Path, cpu: str, row: I8) -> Iterator[Block]:
    """Every block in the order of execution, as the emulator logs it."""
    listing = re.compile(r"0x([0-9a-f]{8}):\s+([0-9a-f]{4})(?: ([0-9a-f]{4}))?\s+([a-z]\S*)\s*(.*)")
    executed = re.compile(r"Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]{8})/")
    blocks: dict[int, Block] = {}
    lines: list[Instruction] = []
    with tempfile.TemporaryDirectory(prefix="px4-tinyml-") as folder:
        (Path(folder) / "inputs").write_bytes(row.tobytes())
        command = emulator_command(image, cpu, "-d", "in_asm,exec,nochain")
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, errors="replace") as process:
            assert process.stderr is not None
            for line in process.stderr:
                if found := executed.match(line):
                    if lines:
                        blocks[lines[0].address] = Block(tuple(lines))
                        lines = []
                    block = blocks.get(int(found.group(1), 16))
                    if block is None:
                        raise ToolchainError("the emulator's trace has no listing: QEMU was built without capstone")
                    yield block
                elif found := listing.match(line):
                    address, _, second, name, operands = found.groups()
                    size = 4 if second else 2
                    lines.append(Instruction(int(address, 16), size, name.split(".")[0], operands.strip()))
                elif line.startswith("Stopped execution"):
                    raise ToolchainError("the emulator was interrupted while it traced")
            process.kill()
