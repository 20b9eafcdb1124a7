"""Costs as text."""

from __future__ import annotations

from collections.abc import Sequence

from px4_tinyml.targets.base import Cost


def columns(rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Rows of cells as aligned text; the first `left` columns are text, the others numbers. None: a dash."""
    cells = [[_cell(value) for value in row] for row in rows]
    width = [max(map(len, column)) for column in zip(*cells, strict=True)]
    justified = [
        [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, width, strict=True))]
        for row in cells
    ]
    return "\n".join("  ".join(row).rstrip() for row in justified)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else str(value)


def per_mac(instructions: int | None, macs: int) -> float | None:
    """Instructions a multiply-accumulate."""
    return instructions / macs if instructions is not None and macs else None


def table(costs: Sequence[Cost]) -> str:
    """One line for each cost."""
    head = ("model", "engine", "target", "instructions", "per MAC", "cycles est.", "flash", "weights", "RAM", "stack")
    rows = [
        (c.model, c.engine + (" (recorded)" if c.recorded else ""), c.target, c.instructions,
         per_mac(c.instructions, c.macs), c.cycles, c.flash_bytes, c.weights_bytes, c.ram_bytes, c.stack_bytes)
        for c in costs
    ]  # fmt: skip
    return columns([head, *rows], left=3)


def layer_table(cost: Cost) -> str:
    """One line a layer that has code; "" when the layers are not known."""
    title = f"{cost.engine} on {cost.target}, by layer"
    head = (title, "", "weights", "MACs", "instructions", "per MAC", "cycles est.")
    rows = [
        (f"{layer.index} {layer.operator}", layer.shapes, layer.weights_bytes, layer.macs, layer.instructions,
         per_mac(layer.instructions, layer.macs), layer.cycles)
        for layer in cost.layers
        if layer.instructions
    ]  # fmt: skip
    return columns([head, *rows], left=2) if rows else ""


def path_table(cost: Cost) -> str:
    """The whole classifier at each IMU rate; "" when there is no signal path."""
    if not cost.signal_path:
        return ""
    shares = [f"% of {name}" for name in cost.signal_path[0].share]
    head = (f"signal path on {cost.target}", "sample", "slot", "window", "model", "barometer", "per second", *shares)
    rows = [
        (f"IMU at {p.imu_hz} Hz", p.sample, p.slot, p.window, p.model, p.baro, p.per_second, *p.share.values())
        for p in cost.signal_path
    ]
    size = f"flash {_cell(cost.classifier_flash_bytes)}, RAM {_cell(cost.classifier_ram_bytes)} with the model"
    note = f"Counts are instructions. Shares assume one cycle per instruction, the minimum. Whole classifier: {size}."
    return f"{columns([head, *rows])}\n{note}"
