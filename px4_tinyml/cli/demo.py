"""px4-tinyml demo: the whole job on simulated flights, from nothing to a report."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from px4_tinyml.cli import options

FLIGHTS = 126
SECONDS = 90.0
EPOCHS = 60


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `demo`."""
    parser.description = (
        "Run every step with default settings: simulate flights in calm and turbulent air, build a data set, train, "
        "quantize to int8, generate and build C++ for this computer, and replay to compare it with Python."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), metavar="DIR", help="output folder (default demo-out)"
    )
    parser.add_argument(
        "--flights", type=options.count, default=FLIGHTS, metavar="N", help=f"simulated flights (default {FLIGHTS})"
    )
    options.add_seed(parser, "flights, split and training")


def run(args: argparse.Namespace) -> int:
    """Run the steps and print the result of each."""
    from px4_tinyml.bundle import REPORT_FILE, ModelBundle
    from px4_tinyml.cli.dataset import print_summary
    from px4_tinyml.cli.metrics_table import train_and_report
    from px4_tinyml.cli.replay import print_table
    from px4_tinyml.dataset.build import build_dataset
    from px4_tinyml.dataset.write_dataset import check_out
    from px4_tinyml.errors import ParityError
    from px4_tinyml.logs import read_log
    from px4_tinyml.replay.run_all import Replay
    from px4_tinyml.report import write_report
    from px4_tinyml.signal.spec import PRESETS
    from px4_tinyml.targets.registry import generate
    from px4_tinyml.training.fit import TrainOptions
    from px4_tinyml_sitl.simulate import fly

    begin, out = time.monotonic(), args.out
    check_out(out / "dataset")
    ModelBundle.check_folder(out / "bundle")
    heading(1, f"{args.flights} simulated flights of {SECONDS:.0f} s with their truth")
    logs = fly(out / "flights", args.flights, seconds=SECONDS, seed=args.seed)
    print(f"{len(logs)} ULog files in {out / 'flights'}")

    heading(2, "data set: windows labelled by vertical speed and true turbulence, split by airframe")
    dataset = build_dataset(logs, PRESETS["default"], out / "dataset", seed=args.seed)
    print_summary(dataset.about)

    heading(3, "training, int8 quantization, comparison on airframes never trained on")
    bundle = train_and_report(dataset, out / "bundle", TrainOptions(seed=args.seed, epochs=EPOCHS))

    heading(4, "C++: for this computer, and a module for PX4")
    for target in ("host", "px4"):
        generate(bundle, target, out / target)
    print(f"CMake project: {out / 'host'}\nPX4 module:    {out / 'px4'} (its README explains the build)")

    heading(5, "the test flights replayed through NumPy, TFLite Micro, C++ and the PX4 module")
    replay = Replay(bundle)
    test = {flight.source for flight in dataset.flights if flight.part == "test"}
    flights = [flight for path in logs if path.name in test for flight in read_log(path)]
    results = [replay.golden(), *(replay.run(flight) for flight in flights)]
    print_table(results)
    write_report(out / "bundle" / REPORT_FILE, bundle, dataset, replay.as_json(results))
    print(f"\nreport: {out / 'bundle' / REPORT_FILE} ({time.monotonic() - begin:.0f} s in all)")
    return ParityError.exit_code if any(item.mismatches for item in results) else 0


def heading(number: int, text: str) -> None:
    """One line that stands out between the results of the steps."""
    print(f"\n[{number}/5] {text}", flush=True)
