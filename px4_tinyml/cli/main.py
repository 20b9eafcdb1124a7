"""px4-tinyml: flight logs into motion classifiers that run on the vehicle.

Results go to stdout, logs and progress to stderr. Exit codes: 0 ok, 1 an error of ours, 2 usage or a bad
spec, 3 a parity or acceptance gate failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys

from px4_tinyml import __version__
from px4_tinyml.errors import Px4TinymlError

COMMANDS = (
    "demo",
    "inspect",
    "fly",
    "record",
    "logs",
    "dataset",
    "train",
    "evaluate",
    "classify",
    "live",
    "generate",
    "px4",
    "replay",
    "bench",
)
"""Modules of px4_tinyml.cli in the order of the help: each has add_parser(subparsers) and run(args)."""


def build_parser() -> argparse.ArgumentParser:
    """The whole argument parser."""
    parser = argparse.ArgumentParser(
        prog="px4-tinyml",
        description="Flight logs into motion classifiers that run on the vehicle.",
        epilog="Start with `px4-tinyml demo`; `px4-tinyml COMMAND --help` explains each command.",
    )
    parser.add_argument("--version", action="version", version=f"px4-tinyml {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"px4_tinyml.cli.{name}").add_parser(subparsers)
    for command in subparsers.choices.values():
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and units that the terminal cannot show
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `px4-tinyml … | head`: the reader has gone, and Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(argv: list[str] | None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if not 0 <= getattr(args, "seed", 0) < 2**32:
        parser.error(f"--seed {args.seed}: 0…{2**32 - 1} expected")
    level = logging.DEBUG if args.debug else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except (Px4TinymlError, OSError) as error:
        if args.debug:
            raise
        print(f"px4-tinyml {args.command}: {_one_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, Px4TinymlError) else 1


def _one_line(error: Exception) -> str:
    """What an error says; of the system's errors (a full disk, a folder that may not be written) file and reason."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
