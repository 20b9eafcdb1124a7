"""px4-tinyml replay: the same logs through every target, compared value by value."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options
from px4_tinyml.errors import LogError
from px4_tinyml.targets.names import NOT_BY_DEFAULT, REPLAYED

if TYPE_CHECKING:
    from px4_tinyml.replay.run_all import Replayed

log = logging.getLogger(__name__)

DIFFERENT = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `replay`."""
    parser.description = (
        "Run logs and the bundle's golden vectors through several targets and compare every int8 input, every int8 "
        "output and every decision. Exit code 3 if anything differs."
    )
    options.add_bundle(parser)
    options.add_logs(parser)
    options.add_targets(parser, REPLAYED, f"all that can run here, without {','.join(NOT_BY_DEFAULT)}")
    parser.add_argument(
        "--ulog-out",
        type=Path,
        metavar="DIR",
        help="also run every ULog through the PX4 module, and write a copy with the module's topics to DIR",
    )
    parser.add_argument(
        "--px4",
        type=Path,
        metavar="BUILD_DIR",
        help="PX4 SITL build folder with the module in it, as another target: px4 (docs/px4_sitl.md)",
    )
    options.add_json(parser, "print JSON (docs/replay.md)")


def run(args: argparse.Namespace) -> int:
    """Replay everything, print the table or JSON, explain the first difference."""
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.logs import find_logs, read_log
    from px4_tinyml.progress import progress
    from px4_tinyml.replay.run_all import Replay, copy_name

    replay = Replay(ModelBundle.load(args.bundle), args.targets, args.px4)
    results, unusable = [replay.golden()], []
    paths = find_logs(args.logs)
    names = {path.resolve() for path in paths}
    for path in progress(paths, "replay", unit="log"):
        try:
            flights = read_log(path, args.columns)
            results += [replay.run(flight) for flight in flights]
            if args.ulog_out and flights[0].kind == "ulog":
                results.append(replay.write_ulog(path, copy_name(path, args.ulog_out, names)))
        except LogError as error:
            log.error("%s", error)
            unusable.append({"log": str(path), "error": str(error)})
    if args.json:
        print(json.dumps(replay.as_json(results, unusable), indent=2, ensure_ascii=False))
    else:
        print_table(results)
    if any(item.mismatches for item in results):
        return DIFFERENT
    if not any(item.windows for item in results[1:]):
        raise LogError("no log has a complete window: nothing was compared; `px4-tinyml inspect` explains why")
    return 1 if unusable else 0


def print_table(results: Sequence[Replayed]) -> None:
    """Mismatches by log, over all pairs of targets, and the first difference of each pair that differs."""
    golden, *logs = results
    shown = [item for item in logs if item.windows or item.mismatches]
    targets = [name for _, name in golden.pairs]
    print(f"each compared with each: {', '.join(targets)}")
    width = max(len(item.name) for item in [golden, *shown])
    print(f"{'':{width}} {'windows':>8} {'mismatches':>11}")
    for item in [golden, *shown]:
        print(f"{item.name:{width}} {item.windows:8} {item.mismatches:11}")
    if len(shown) < len(logs):
        print(f"{len(logs) - len(shown)} recordings have no complete window")
    for item in results:
        for pair in item.pairs.values():
            if pair.first:
                print(f"\n{item.name}: {pair.first}")
    total, windows = sum(item.mismatches for item in results), sum(item.windows for item in results)
    print(f"\n{total} mismatches in {windows} windows")
