"""px4-tinyml classify: classify logs with a bundle."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from px4_tinyml.cli import options
from px4_tinyml.errors import SpecError
from px4_tinyml.targets.names import CLASSIFY_ENGINES


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `classify`."""
    parser.description = (
        "Classify every window of logs: decisions as CSV or JSON, and the seconds of each class per log. For several "
        "logs a table ranks them, the most turbulent first: on standard output with --out, else on standard error."
    )
    options.add_bundle(parser)
    options.add_logs(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the decisions there, not to standard output")
    options.add_json(parser, "print decisions as JSON instead of CSV, without the table")
    options.add_engine(
        parser, CLASSIFY_ENGINES, "numpy", "engine of the model (default numpy); both give the same bits"
    )


def run(args: argparse.Namespace) -> int:
    """Classify all logs that can be read; 1 when some could not."""
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.classify.classify_logs import LogSummary, classify_logs, ranked_table
    from px4_tinyml.signal.decision_values import AIR_KEYS, DECISION_KEYS

    bundle = ModelBundle.load(args.bundle)
    unusable: list[dict[str, str]] = []
    classified: list[LogSummary] = []
    with ExitStack() as stack:
        stream = stack.enter_context(_open(args.out)) if args.out is not None else sys.stdout
        results = classify_logs(bundle, args.logs, args.columns, unusable, args.engine)
        if args.json:
            logs = [item.as_json() for item in results]
            document = {"spec_hash": bundle.spec.hash, "logs": logs, "unusable": unusable}
            stream.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        else:
            air = AIR_KEYS if bundle.spec.input == "bands" else ()
            columns = ["log", *DECISION_KEYS, *(f"p_{label}" for label in bundle.spec.labels), *air]
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            for item in results:
                writer.writerows({"log": item.name, **row} for row in item.rows())
                classified.append(item.summary)
    if len(classified) > 1 and not (args.quiet and args.out is None):
        # Standard output is CSV without --out: it must stay readable for programs.
        print(ranked_table(classified, bundle.spec), file=sys.stderr if args.out is None else sys.stdout)
    return 1 if unusable else 0


def _open(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise SpecError(f"--out {path}: cannot be written ({error.strerror})") from error
