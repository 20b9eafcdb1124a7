"""Costs as JSON: the document of `px4-tinyml bench` and the rows of benchmarks/results (docs/bench.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from px4_tinyml.targets.base import Cost, Subject

ROW = ("model", "engine", "target", "instructions", "macs", "flash_bytes", "weights_bytes", "ram_bytes", "cycles",
       "arena_bytes", "stack_bytes", "recorded")  # fmt: skip


def document(subject: Subject, costs: Sequence[Cost]) -> dict[str, Any]:
    """One model: `targets` → target → engine → everything known."""
    targets: dict[str, dict[str, Any]] = {}
    for cost in costs:
        data = asdict(cost)
        target, engine, _ = data.pop("target"), data.pop("engine"), data.pop("model")
        targets.setdefault(target, {})[engine] = data
    return {
        "model": subject.name,
        "model_sha256": subject.sha256,
        "spec_hash": subject.spec.hash if subject.spec else None,
        "macs": subject.graph.macs,
        "inputs": len(subject.x),
        "targets": targets,
    }


def row(cost: Cost) -> dict[str, Any]:
    """One line of a results file."""
    return {name: getattr(cost, name) for name in ROW}
