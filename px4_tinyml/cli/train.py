"""px4-tinyml train: a data set to a model bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """The options of `train`."""
    parser = subparsers.add_parser(
        "train",
        help="a data set to an int8 model bundle with its report",
        description="Train a classifier, quantize it to int8, measure float, int8 and a physics baseline on flights "
        "never trained on, and write the bundle. Exit code 3 when int8 loses more than 0.5 points of macro-F1.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `px4-tinyml dataset`")
    parser.add_argument("--out", required=True, type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument("--arch", choices=("conv", "dense"), default="conv", help="network (default conv)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, shuffling and augmentation (default 0)")
    parser.add_argument("--epochs", type=int, default=80, help="at most this many (default 80, stops earlier)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and print the scores."""
    from px4_tinyml.bundle import REPORT_FILE
    from px4_tinyml.cli.metrics_table import train_and_report
    from px4_tinyml.dataset.store import Dataset
    from px4_tinyml.errors import SpecError
    from px4_tinyml.training.fit import TrainOptions

    if args.epochs < 1:
        raise SpecError(f"--epochs {args.epochs}: at least 1 expected")
    options = TrainOptions(arch=args.arch, seed=args.seed, epochs=args.epochs)
    bundle = train_and_report(Dataset.load(args.dataset), args.out, options)
    model = bundle.manifest.model
    size = f"{model.macs} MACs, {model.weights_bytes} bytes of weights"
    print(f"{model.arch}: {size}, spec {bundle.spec.short_hash}")
    print(f"bundle: {args.out}, report: {args.out / REPORT_FILE}")
    return 0
