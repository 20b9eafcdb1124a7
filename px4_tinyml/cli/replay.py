"""px4-tinyml replay: the same log through every target, compared value by value."""

from __future__ import annotations

import argparse
import itertools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli import BUNDLE_HELP
from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.errors import LogError
from px4_tinyml.progress import progress
from px4_tinyml.replay.run_all import NOT_BY_DEFAULT, Replay, Replayed
from px4_tinyml.targets.names import REPLAY_JSON, target_names
from px4_tinyml.targets.registry import RUNNERS

log = logging.getLogger(__name__)

DIFFERENT = 3


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "replay",
        help="prove that all targets compute the same on a log",
        description="Run logs and the bundle's golden vectors through several targets and compare every int8 input, "
        "every int8 output and every decision. Exit code 3 when anything differs.",
    )
    parser.add_argument("bundle", type=bundle_argument, metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="file, folder or glob")
    parser.add_argument(
        "--targets",
        type=target_names,
        metavar="A,B",
        help=f"some of {','.join(RUNNERS)},px4 (default: all that can run here, without {','.join(NOT_BY_DEFAULT)})",
    )
    parser.add_argument(
        "--ulog-out",
        type=Path,
        metavar="DIR",
        help="also play every ULog through the PX4 module, and write it there with the module's topics",
    )
    parser.add_argument(
        "--px4",
        type=Path,
        metavar="BUILD_DIR",
        help="a PX4 SITL build folder with the module in it: also a target, named px4 (docs/px4_sitl.md)",
    )
    parser.add_argument("--columns", type=Path, metavar="TOML", help="column map for IMU CSV files")
    parser.add_argument("--json", action="store_true", help="print JSON (docs/replay.md)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay everything, print the table or JSON, explain the first difference."""
    from px4_tinyml.logs import find_logs, read_log

    replay = Replay(ModelBundle.load(args.bundle), args.targets, args.px4)
    done, unusable = [replay.golden()], []
    paths = find_logs(args.logs)
    taken = {path.resolve() for path in paths}
    for path in progress(paths, "replay", unit="log"):
        try:
            flights = read_log(path, args.columns)
            done += [replay.run(flight) for flight in flights]
            if args.ulog_out and flights[0].kind == "ulog":
                done.append(replay.write_ulog(path, copy_name(path, args.ulog_out, taken)))
        except LogError as error:
            log.error("%s", error)
            unusable.append({"log": str(path), "error": str(error)})
    if args.json:
        print(json.dumps(as_json(replay, done, unusable), indent=2, ensure_ascii=False))
    else:
        print_table(done)
    if any(item.mismatches for item in done):
        return DIFFERENT
    if not any(item.windows for item in done[1:]):
        raise LogError("no log has a complete window: nothing was compared; `px4-tinyml inspect` says why")
    return 1 if unusable else 0


def copy_name(log: Path, folder: Path, taken: set[Path]) -> Path:
    """Where a log's copy goes: its own name, or one with a number where another log or copy (taken) has it."""
    names = itertools.chain([log.name], (f"{log.stem}-{number}{log.suffix}" for number in itertools.count(2)))
    name = next(folder / n for n in names if (folder / n).resolve() not in taken)
    taken.add(name.resolve())
    return name


def print_table(done: Sequence[Replayed]) -> None:
    """Mismatches by log, over all pairs of targets, and the first difference of each pair that differs."""
    golden, *logs = done
    told = [item for item in logs if item.windows or item.mismatches]
    targets = [name for _, name in golden.pairs]
    print(f"each compared with each: {', '.join(targets)}")
    width = max(len(item.name) for item in [golden, *told])
    print(f"{'':{width}} {'windows':>8} {'mismatches':>11}")
    for item in [golden, *told]:
        print(f"{item.name:{width}} {item.windows:8} {item.mismatches:11}")
    if len(told) < len(logs):
        print(f"{len(logs) - len(told)} recordings have no complete window")
    for item in done:
        for pair in item.pairs.values():
            if pair.first:
                print(f"\n{item.name}: {pair.first}")
    total, windows = sum(item.mismatches for item in done), sum(item.windows for item in done)
    print(f"\n{total} mismatches in {windows} windows")


def as_json(replay: Replay, done: Sequence[Replayed], unusable: Sequence[dict[str, str]]) -> dict[str, Any]:
    """The JSON document (docs/replay.md)."""
    totals: dict[str, dict[str, int]] = {}
    for item in done:
        for (a, b), pair in item.pairs.items():
            total = totals.setdefault(_in_json(a, b), {"windows": 0, "mismatches": 0})
            total["windows"] += pair.windows
            total["mismatches"] += pair.mismatches
    return {
        "spec_hash": replay.bundle.spec.hash,
        "model_sha256": replay.bundle.sha256,
        "targets": [REPLAY_JSON.get(name, name) for name in replay.targets],
        "windows": sum(item.windows for item in done),
        "mismatches": sum(item.mismatches for item in done),
        "pairs": totals,
        "logs": [
            {
                "log": item.name,
                "windows": item.windows,
                "mismatches": item.mismatches,
                "counts": item.counts,
                "pairs": {_in_json(a, b): vars(pair) for (a, b), pair in item.pairs.items()},
            }
            for item in done
        ],
        "unusable": list(unusable),
    }


def _in_json(*names: str) -> str:
    """A pair's key."""
    return ":".join(REPLAY_JSON.get(name, name) for name in names)
