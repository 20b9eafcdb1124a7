"""px4-tinyml bench: cost of a model on its targets."""

from __future__ import annotations

import argparse
import json

from px4_tinyml.cli import options
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.names import BENCHED


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    parser.description = (
        "Run a model on emulated processors and on this computer: exact instruction counts, also by layer, flash, RAM, "
        "stack, estimated cycles, and the cost of the whole signal path (docs/bench.md)."
    )
    options.add_bundle(parser, also="; or an int8 .tflite file")
    options.add_targets(parser, BENCHED, "all that can run here")
    options.add_engine(
        parser,
        ("compiled", "tflm"),
        "compiled",
        "tflm: also TFLite Micro, measured if PX4_TINYML_TFLM_DIR and _LIB are set (docs/tflm.md), else as recorded",
    )
    options.add_json(parser, "print JSON (docs/bench.md)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from px4_tinyml.bench.cost_table import layer_table, path_table, table
    from px4_tinyml.bench.document import document
    from px4_tinyml.bench.measure import measure_all, read_subject
    from px4_tinyml.targets.tflm.build import DIR_VARIABLE, LIB_VARIABLE

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
