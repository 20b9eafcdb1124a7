"""Boards and the budget of a classifier on them: choose the device, then the model.

Processor, clock and memory: "Reference Design Generations" at docs.px4.io/v1.18/en/hardware/reference_design;
application flash: the board's nuttx-config/scripts/script.ld in PX4-Autopilot v1.17; Nano 33 BLE: boards.txt of
Arduino's mbed_nano core and Nordic's nRF52840 product specification.

The budgets are this project's. An autopilot's flash is nearly full: v1.17's default firmware for fmu-v6c leaves 32 KB,
and the module's PX4 part takes 11 of them (docs/px4.md). PX4's build prints the free flash of a board.
"""

from __future__ import annotations

from dataclasses import dataclass

from px4_tinyml.errors import SpecError


@dataclass(frozen=True)
class Board:
    """cpu: a name of cortex_m.CPUS. flash_kb, ram_kb: of the device (KiB); budget_…: of a classifier."""

    mcu: str
    cpu: str
    clock_hz: int
    flash_kb: int
    ram_kb: int
    budget_flash_kb: int
    budget_ram_kb: int
    budget_cpu_percent: float

    def max_instructions(self, seconds: float) -> int:
        """Budget of one inference every `seconds`, at one cycle an instruction."""
        return int(self.clock_hz * seconds * self.budget_cpu_percent / 100)


BOARDS = {
    "px4_fmu-v4": Board("STM32F427", "cortex-m4", 168_000_000, 2032, 256, 20, 8, 1.0),
    "px4_fmu-v5": Board("STM32F765", "cortex-m7", 216_000_000, 2016, 512, 20, 16, 1.0),
    "px4_fmu-v6c": Board("STM32H743", "cortex-m7", 480_000_000, 1920, 1024, 20, 32, 1.0),
    "px4_fmu-v6x": Board("STM32H753", "cortex-m7", 480_000_000, 1920, 1024, 20, 32, 1.0),
    "nano33ble": Board("nRF52840", "cortex-m4", 64_000_000, 960, 256, 256, 64, 25.0),
}
DEFAULT_PX4_BOARD = "px4_fmu-v6c_default"
"""Make target that `px4 check` reads a checkout for."""


def board(name: str) -> Board:
    """By name; "v5" stands for "px4_fmu-v5". Raises SpecError with the known names."""
    found = BOARDS.get(name) or BOARDS.get(f"px4_fmu-{name}")
    if found is None:
        raise SpecError(f"board {name!r} is not known; expected one of {', '.join(BOARDS)}, or give --max-flash-kb …")
    return found
