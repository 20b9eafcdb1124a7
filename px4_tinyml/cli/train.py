"""px4-tinyml train: train a model bundle on a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from px4_tinyml.cli import options


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    parser.description = (
        "Train a classifier, quantize it to int8, compare float, int8 and simpler ways to decide on flights held out, "
        "and write the bundle. Exit code 3 if int8 loses more than 0.5 points of macro-F1."
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder written by `px4-tinyml dataset`")
    parser.add_argument("--out", required=True, type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "--arch", choices=("conv", "dense", "bands"), help='network (default conv; for input = "bands" bands)'
    )
    parser.add_argument(
        "--epochs",
        type=options.count,
        metavar="N",
        help="upper limit (default 80, bands 25); the weights that did best on the validation part are kept",
    )
    options.add_seed(parser, "weights, shuffling and augmentation")


def run(args: argparse.Namespace) -> int:
    """Train and print the scores."""
    from px4_tinyml.bundle import REPORT_FILE
    from px4_tinyml.cli.metrics_table import train_and_report
    from px4_tinyml.dataset.store import Dataset
    from px4_tinyml.training.fit import TrainOptions

    options = TrainOptions(arch=args.arch, seed=args.seed, epochs=args.epochs)
    bundle = train_and_report(Dataset.load(args.dataset), args.out, options)
    model = bundle.manifest.model
    size = f"{model.macs} MACs, {model.weights_bytes} bytes of weights"
    print(f"{model.arch}: {size}, spec {bundle.spec.short_hash}")
    print(f"bundle: {args.out}, report: {args.out / REPORT_FILE}")
    return 0
