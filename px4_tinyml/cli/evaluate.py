"""px4-tinyml evaluate: float, int8 and baseline on a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from px4_tinyml.cli import BUNDLE_HELP
from px4_tinyml.emit.shipped import bundle_argument


def add_parser(subparsers: Any) -> None:
    """The options of `evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="float, int8 and baseline on a data set, by class and by flight",
        description="Measure a bundle on the test flights of a data set (or on all flights of a data set it was not "
        "trained on, with --part all).",
    )
    parser.add_argument("bundle", type=bundle_argument, metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("--part", choices=("test", "validation", "train", "all"), default="test")
    parser.add_argument("--json", action="store_true", help="macro_f1, accuracy, confusion, by_flight of each model")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    import msgspec

    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.cli.metrics_table import print_metrics
    from px4_tinyml.dataset.split import PARTS
    from px4_tinyml.dataset.store import Dataset
    from px4_tinyml.training.evaluation import evaluate

    bundle, dataset = ModelBundle.load(args.bundle), Dataset.load(args.dataset)
    metrics = evaluate(bundle, dataset, PARTS if args.part == "all" else [args.part])
    if args.json:
        print(json.dumps(msgspec.to_builtins(metrics), indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    print_metrics(metrics, args.part)
    print(f"\n{'flight':44}{'windows':>9}{'float':>8}{'int8':>8}{'baseline':>10}   accuracy")
    for source, flight in metrics.int8.by_flight.items():
        each = [score.by_flight[source].accuracy for score in metrics.scores.values()]
        print(f"{source[-43:]:44}{flight.windows:9}{each[0]:8.3f}{each[1]:8.3f}{each[2]:10.3f}")
    return 0
