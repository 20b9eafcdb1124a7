"""px4-tinyml inspect: what a log holds, what is wrong with it, whether it can be used."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """The `inspect` command."""
    parser = subparsers.add_parser(
        "inspect",
        help="what a file holds, what is wrong with it, whether it can be used",
        description="Explain flight logs in about ten lines each. Exit code 1 when one of them cannot be used.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a log of any supported kind, a folder, or a glob")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout (keys: docs/logs.md)")
    parser.add_argument(
        "--columns", type=Path, metavar="MAP.toml", help="column map for CSVs (see examples/crazyflie_wind.toml)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe every file; the unusable ones also get one line each on stderr."""
    from px4_tinyml.errors import LogError
    from px4_tinyml.logs import find_logs
    from px4_tinyml.logs.csv.mapped_csv import load_column_map
    from px4_tinyml.logs.describe import describe_file, render
    from px4_tinyml.signal.spec import PRESETS

    if args.columns is not None:
        load_column_map(args.columns)  # a bad map is a usage error, before anything is shown
    files: list[dict[str, Any]] = []
    failures: list[str] = []
    for given in args.files:
        try:
            paths = find_logs([given])
        except LogError as error:
            failures.append(str(error))
            continue
        for path in paths:
            if any(f["file"] == str(path) for f in files):
                continue
            file = describe_file(path, PRESETS, args.columns)
            files.append(file)
            if not args.json:
                print(render(file), end="\n\n")
            if not file["usable"]:
                failures.append(f"{path}: not usable: {file['why']}")
    if args.json:
        print(json.dumps({"files": files}, indent=2, ensure_ascii=False, allow_nan=False))
    sys.stdout.flush()
    for failure in failures:
        print(f"px4-tinyml inspect: {failure}", file=sys.stderr)
    return 1 if failures else 0
