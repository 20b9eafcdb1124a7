"""px4-tinyml bench: what a model costs where it is to run."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """The options of `bench`."""
    parser = subparsers.add_parser(
        "bench",
        help="instructions, flash and RAM of a model on its target",
        description="Run a model on emulated processors and measure it.",
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="BUNDLE", help="bundle or .tflite file")
    parser.add_argument(
        "--targets", type=lambda text: text.split(","), default=["cortex-m4", "cortex-m7"], metavar="A,B"
    )
    parser.add_argument("--json", action="store_true", help="print JSON (docs/bench.md)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from px4_tinyml.bench.measure import measure, subject
    from px4_tinyml.bench.table import layer_table, table

    costs = [measure(subject(path), target) for path in args.models for target in args.targets]
    if args.json:
        print(json.dumps([asdict(cost) for cost in costs], indent=2))
        return 0
    print(table(costs))
    for cost in costs:
        print(f"\n{layer_table(cost)}")
    return 0
