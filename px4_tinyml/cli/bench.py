"""px4-tinyml bench: what a model costs where it is to run."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Sequence
from typing import Any

from px4_tinyml.bench.cost import Cost
from px4_tinyml.bench.cost_table import layer_table, path_table, table
from px4_tinyml.bench.document import document
from px4_tinyml.bench.measure import COMPILED, TARGETS, Subject, measure, subject
from px4_tinyml.bench.recorded import RECORDED
from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.names import target_names
from px4_tinyml.targets.tflm.bench import measure_tflm
from px4_tinyml.targets.tflm.generate import DIR_VARIABLE, LIB_VARIABLE

log = logging.getLogger(__name__)


def add_parser(subparsers: Any) -> None:
    """The options of `bench`."""
    parser = subparsers.add_parser(
        "bench",
        help="instructions, flash and RAM of a model on its target",
        description="Run a model on emulated processors and on this computer: exact instruction counts, by layer too, "
        "flash, RAM, stack, estimated cycles, and the cost of the whole signal path (docs/bench.md).",
    )
    parser.add_argument(
        "bundle", type=bundle_argument, metavar="BUNDLE", help="folder made by `train`, or an int8 .tflite file"
    )
    parser.add_argument(
        "--targets",
        type=target_names,
        metavar="A,B",
        help=f"which ones (default: all that can run here of {','.join(TARGETS)})",
    )
    parser.add_argument(
        "--engine",
        choices=("compiled", "tflm"),
        default="compiled",
        help="tflm: TFLite Micro beside the compiled engine, measured where the environment names one (docs/tflm.md), "
        "else as recorded; an error where nothing is known of it",
    )
    parser.add_argument("--json", action="store_true", help="print JSON (docs/bench.md)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    tested = subject(args.bundle)
    costs = costs_of(tested, args.targets, args.engine)
    if not any(cost.engine.startswith(args.engine) for cost in costs):
        raise ToolchainError(
            f"{args.bundle}: no figures of TFLite Micro for this model on these targets; recorded are those of "
            f"benchmarks/models on cortex-m4; to measure it, set {DIR_VARIABLE} and {LIB_VARIABLE} (docs/tflm.md)"
        )
    if args.json:
        print(json.dumps(document(tested, costs), indent=2))
        return 0
    print(table(costs))
    for cost in costs:
        for text in (layer_table(cost), path_table(cost)):
            if text:
                print(f"\n{text}")
    return 0


def costs_of(tested: Subject, targets: Sequence[str] | None = None, engine: str = COMPILED) -> list[Cost]:
    """Every target measured, and what is recorded of other engines for it. None: all targets that can run here.

    engine: "tflm" measures TFLite Micro as well, where the environment names one.
    """
    costs: list[Cost] = []
    measures = [measure, measure_tflm] if engine != COMPILED and os.environ.get(DIR_VARIABLE) else [measure]
    for target in dict.fromkeys(targets or TARGETS):
        try:
            measured = [each(tested, target) for each in measures]
        except ToolchainError as error:
            if targets is not None:
                raise
            log.warning("target %s is left out: %s", target, error)
            continue
        known = {cost.engine for cost in measured}
        costs += measured
        costs += [c for c in RECORDED.get(tested.sha256, ()) if c.target == target and c.engine not in known]
    if not costs:
        raise ToolchainError("no target can run here: nothing was measured")
    return costs
