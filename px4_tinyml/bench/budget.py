"""Does a classifier fit its device? Measured before it is generated, not after it was flashed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from px4_tinyml.bench.cost import Cost
from px4_tinyml.bench.cost_table import layer_table
from px4_tinyml.bench.measure import Subject, measure
from px4_tinyml.errors import ParityError

KIB = 1024


@dataclass(frozen=True)
class Budget:
    """Most that is allowed; None: anything. Flash and RAM of the whole classifier, instructions of one inference."""

    flash_kb: float | None = None
    ram_kb: float | None = None
    instructions: int | None = None

    def over(self, cost: Cost) -> list[str]:
        """What does not fit, in words."""
        flash = cost.classifier_flash_bytes
        ram = None if cost.classifier_ram_bytes is None else cost.classifier_ram_bytes + (cost.stack_bytes or 0)
        found = (
            ("flash (code and weights)", _kib(flash), self.flash_kb, "KiB"),
            ("RAM (variables and stack)", _kib(ram), self.ram_kb, "KiB"),
            ("instructions of one inference", cost.instructions, self.instructions, ""),
        )
        return [
            f"{what}: {value:,} {unit}".rstrip() + f", allowed {allowed:,}"
            for what, value, allowed, unit in found
            if value is not None and allowed is not None and value > allowed
        ]


def _kib(size: int | None) -> float | None:
    return None if size is None else round(size / KIB, 1)


def check_budget(
    tested: Subject, target: str, budget: Budget, measures: Callable[[Subject, str], Cost] = measure
) -> Cost:
    """The cost on a target; raises ParityError with the table by layer when it is over the budget.

    measures: measure, or measure_tflm.
    """
    cost = measures(tested, target)
    over = budget.over(cost)
    if over:
        raise ParityError(f"{tested.name} does not fit ({target}): {'; '.join(over)}\n\n{layer_table(cost)}")
    return cost
