"""px4-tinyml bench: cost of a model on its targets."""

from __future__ import annotations

import argparse
import json
from typing import Any

from px4_tinyml.bench.cost_table import layer_table, path_table, table
from px4_tinyml.bench.document import document
from px4_tinyml.bench.measure import ENGINES, TARGETS, measure_all, read_subject
from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.names import target_names
from px4_tinyml.targets.tflm.build import DIR_VARIABLE, LIB_VARIABLE


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
        choices=ENGINES,
        default="compiled",
        help="tflm: TFLite Micro beside the compiled engine, measured where the environment names one (docs/tflm.md), "
        "else as recorded; an error where nothing was recorded",
    )
    parser.add_argument("--json", action="store_true", help="print JSON (docs/bench.md)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    subject = read_subject(args.bundle)
    costs = measure_all(subject, args.targets, args.engine)
    if not any(cost.engine.startswith(args.engine) for cost in costs):
        raise ToolchainError(
            f"{args.bundle}: no figures of TFLite Micro for this model on these targets; recorded are those of "
            f"benchmarks/models on cortex-m4; to measure it, set {DIR_VARIABLE} and {LIB_VARIABLE} (docs/tflm.md)"
        )
    if args.json:
        print(json.dumps(document(subject, costs), indent=2))
        return 0
    print(table(costs))
    for cost in costs:
        for text in (layer_table(cost), path_table(cost)):
            if text:
                print(f"\n{text}")
    return 0
