"""Budgets of flash, RAM and instructions, checked before a classifier is generated."""

from __future__ import annotations

from dataclasses import dataclass

from px4_tinyml.bench.cost_table import layer_table
from px4_tinyml.bench.measure import measure
from px4_tinyml.errors import ParityError
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.base import Cost, Subject
from px4_tinyml.targets.boards import Board

KIB = 1024


@dataclass(frozen=True)
class Budget:
    """Upper limits; None: no limit. Flash and RAM (KiB) of the whole classifier, instructions of one inference."""

    flash_kb: float | None = None
    ram_kb: float | None = None
    instructions: int | None = None

    @classmethod
    def of_board(cls, board: Board, spec: PipelineSpec) -> Budget:
        """Limits of a board for a spec's rate of inferences."""
        instructions = board.max_instructions(spec.hop / spec.rate_hz)
        return cls(board.budget_flash_kb, board.budget_ram_kb, instructions)

    def exceeded(self, cost: Cost) -> list[str]:
        """One text for each limit that a cost exceeds."""
        flash = cost.classifier_flash_bytes
        ram = None if cost.classifier_ram_bytes is None else cost.classifier_ram_bytes + (cost.stack_bytes or 0)
        limits = (
            ("flash (code and weights)", _kib(flash), self.flash_kb, "KiB"),
            ("RAM (variables and stack)", _kib(ram), self.ram_kb, "KiB"),
            ("instructions of one inference", cost.instructions, self.instructions, ""),
        )
        return [
            f"{what}: {value:,} {unit}".rstrip() + f", allowed {allowed:,}"
            for what, value, allowed, unit in limits
            if value is not None and allowed is not None and value > allowed
        ]


def _kib(size: int | None) -> float | None:
    return None if size is None else round(size / KIB, 1)


def check_budget(subject: Subject, target: str, budget: Budget, engine: str = "compiled") -> Cost:
    """The cost on a target; raises ParityError with the table by layer when it exceeds the budget."""
    cost = measure(subject, target, engine)
    exceeded = budget.exceeded(cost)
    if exceeded:
        raise ParityError(f"{subject.name} does not fit ({target}): {'; '.join(exceeded)}\n\n{layer_table(cost)}")
    return cost
