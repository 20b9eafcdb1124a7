"""px4-tinyml inspect: content and problems of logs, and whether they can be used."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from px4_tinyml.cli import options


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `inspect`."""
    parser.description = "Summarise logs in about ten lines each. Exit code 1 if one of them cannot be used."
    options.add_logs(parser)
    options.add_json(parser, "print one JSON object (docs/logs.md)")


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
    for given in args.logs:
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
