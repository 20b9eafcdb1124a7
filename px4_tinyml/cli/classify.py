"""px4-tinyml classify: what a bundle says about logs."""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli import BUNDLE_HELP
from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.errors import LogError, SpecError
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decimate import ADVICE, is_thinned
from px4_tinyml.signal.decision import describe_decision, probabilities
from px4_tinyml.signal.slots import feed
from px4_tinyml.signal.spec import PipelineSpec

log = logging.getLogger(__name__)


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "classify",
        help="classify logs with a bundle",
        description="Classify every window of logs: decisions as CSV or JSON, and a line per log with the seconds "
        "each class took.",
    )
    parser.add_argument("bundle", type=bundle_argument, metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="file, folder or glob")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="write there instead of standard output")
    parser.add_argument("--columns", type=Path, metavar="TOML", help="column map for IMU CSV files")
    parser.add_argument("--json", action="store_true", help="JSON instead of CSV")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Classify all logs that can be read; 1 when some could not."""
    bundle = ModelBundle.load(args.bundle)
    unusable: list[dict[str, str]] = []
    results = classify_logs(bundle, args.logs, args.columns, unusable)
    with ExitStack() as stack:
        stream = sys.stdout
        if args.out is not None:
            try:
                opened = args.out.open("w", encoding="utf-8", errors="backslashreplace", newline="")
                stream = stack.enter_context(opened)
            except OSError as error:
                raise SpecError(f"--out {args.out}: cannot be written ({error.strerror})") from error
        if args.json:
            logs = [as_json(name, done, bundle.spec) for name, done in results]
            document = {"spec_hash": bundle.spec.hash, "logs": logs, "unusable": unusable}
            stream.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        else:
            writer = csv.writer(stream, lineterminator="\n")
            columns = [f"p_{label}" for label in bundle.spec.labels]
            writer.writerow(["log", "start_us", "end_us", "class", "confidence", "flags", *columns])
            for name, done in results:
                writer.writerows([name, *row.values()] for row in rows(done, bundle.spec))
    return 1 if unusable else 0


def classify_logs(
    bundle: ModelBundle, logs: Sequence[str], columns: Path | None, unusable: list[dict[str, str]]
) -> Iterator[tuple[str, Classification]]:
    """(source, classification) log by log, with a line to stderr about each; bad ones go to `unusable`."""
    from px4_tinyml.logs import find_logs, read_log

    classifier = bundle.classifier()
    for path in find_logs(logs):
        try:
            flights = read_log(path, columns)
        except LogError as error:
            log.error("%s", error)
            unusable.append({"log": str(path), "error": str(error)})
            continue
        for flight in flights:
            imu_source, imu_hz = str(flight.info.get("imu_source")), flight.imu.rate_hz
            if not bundle.for_thinned and is_thinned(imu_source, imu_hz, bundle.spec):
                log.warning("%s: %.0f HIGHRES_IMU a second %s", flight.source, imu_hz, ADVICE)
            done = classifier.run(feed(flight, bundle.spec))
            log.info("%s: %s", flight.source, summary(done, bundle.spec))
            yield flight.source, done


def summary(done: Classification, spec: PipelineSpec) -> str:
    """One line: seconds per class, and what stood in the way."""
    seconds = ", ".join(f"{name} {s:.1f} s" for name, s in done.seconds(spec).items() if s)
    spoilt = ", ".join(f"{n} {key}" for key, n in done.counts.items() if n and key != "decisions")
    return f"{seconds or 'no complete window'}{f' ({spoilt})' if spoilt else ''}"


def rows(done: Classification, spec: PipelineSpec) -> Iterator[dict[str, Any]]:
    """Decisions as plain values; confidence and probabilities 0…1."""
    for decision in done.decisions:
        by_label = {f"p_{label}": p for label, p in probabilities(decision, spec).items()}
        yield {**describe_decision(decision, spec), **by_label}


def as_json(name: str, done: Classification, spec: PipelineSpec) -> dict[str, Any]:
    """One log's part of the JSON document."""
    return {
        "log": name,
        "windows": len(done),
        "seconds": done.seconds(spec),
        "counts": done.counts,
        "decisions": list(rows(done, spec)),
    }
