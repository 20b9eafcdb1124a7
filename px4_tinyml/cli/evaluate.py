"""px4-tinyml evaluate: float, int8 and what they are compared with on a data set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options

if TYPE_CHECKING:
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.dataset.store import Dataset


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
    parser.add_argument(
        "--leave-one-vehicle-out",
        action="store_true",
        help="for every vehicle: train as the bundle was trained, but without that vehicle, and measure on its flights",
    )
    parser.add_argument(
        "--vehicles",
        type=options.count,
        metavar="N",
        help="with --leave-one-vehicle-out: only the N vehicles with the most windows",
    )
    options.add_json(parser, "print JSON: macro_f1, accuracy, confusion, by_flight of each model (docs/training.md)")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    import msgspec

    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.cli.metrics_table import print_metrics, shown
    from px4_tinyml.dataset.split import PARTS
    from px4_tinyml.dataset.store import Dataset
    from px4_tinyml.training.evaluation import evaluate

    bundle, dataset = ModelBundle.load(args.bundle), Dataset.load(args.dataset)
    if args.leave_one_vehicle_out:
        return _leave_one_vehicle_out(bundle, dataset, args.vehicles, args.json)
    metrics = evaluate(bundle, dataset, PARTS if args.part == "all" else [args.part])
    if args.json:
        print(json.dumps(msgspec.to_builtins(metrics), indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    print_metrics(metrics, args.part)
    names = list(metrics.scores)
    print(f"\n{'flight':44}{'windows':>9}" + "".join(f"{shown(name):>12}" for name in names) + "   accuracy")
    for source, flight in metrics.int8.by_flight.items():
        each = "".join(f"{metrics.scores[name].by_flight[source].accuracy:12.3f}" for name in names)
        print(f"{source[-43:]:44}{flight.windows:9}{each}")
    return 0


def _leave_one_vehicle_out(bundle: ModelBundle, dataset: Dataset, most: int | None, as_json: bool) -> int:
    """A row for each vehicle left out, then the minimum. Exit code 3 when a network failed the int8 gate."""
    import msgspec

    from px4_tinyml.training.leave_out import leave_one_vehicle_out

    if not as_json:
        print(f"{'vehicle left out':44}{'flights':>8}{'windows':>9}{'int8':>8}{'interval':>16}  others")
    rows = []
    for row in leave_one_vehicle_out(bundle, dataset, most):
        rows.append(row)
        if as_json:
            continue
        if row.metrics is None:
            print(f"{row.vehicle[-43:]:44}{row.why}", flush=True)
            continue
        each = row.metrics.int8
        low, high = each.macro_f1_interval
        interval = f"{low:.3f}…{high:.3f}" if len(each.by_flight) > 1 else "none"
        print(
            f"{row.vehicle[-43:]:44}{len(each.by_flight):8}{each.windows:9}{each.macro_f1:8.3f}{interval:>16}"
            f"  {_others({name: score.macro_f1 for name, score in row.metrics.scores.items()})}",
            flush=True,
        )
    measured = [row.metrics for row in rows if row.metrics is not None]
    lowest = {
        name: min(metrics.scores[name].macro_f1 for metrics in measured if name in metrics.scores)
        for name in (measured[0].scores if measured else ())
    }
    if as_json:
        document = {"vehicles": msgspec.to_builtins(rows), "minimum": lowest}
        print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    elif lowest:
        print(f"{'minimum':61}{lowest['int8']:8.3f}{'':16}  {_others(lowest)}")
    return 0 if len(measured) == len(rows) else 3


def _others(macro_f1: Mapping[str, float]) -> str:
    """Macro-F1 of what is compared with int8."""
    from px4_tinyml.cli.metrics_table import shown

    return ", ".join(f"{shown(name)} {value:.3f}" for name, value in macro_f1.items() if name != "int8")
