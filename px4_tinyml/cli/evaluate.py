"""px4-tinyml evaluate: float, int8 and baseline on a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from px4_tinyml.cli import options


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    parser.description = (
        "Measure a bundle on the test flights of a data set (with --part all: on every flight of a data set it was not "
        "trained on), by class and by flight."
    )
    options.add_bundle(parser)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder written by `px4-tinyml dataset`")
    parser.add_argument(
        "--part", choices=("test", "validation", "train", "all"), default="test", help="flights to use (default test)"
    )
    options.add_json(parser, "print JSON: macro_f1, accuracy, confusion, by_flight of each model")


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
