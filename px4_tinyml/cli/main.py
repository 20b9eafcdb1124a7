"""px4-tinyml: flight logs into motion classifiers that run on the vehicle.

Results go to stdout, logs and progress to stderr. Exit codes: 0 success, 1 error, 2 usage or invalid spec, 3 a parity
or acceptance gate failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from px4_tinyml import __version__
from px4_tinyml.errors import Px4TinymlError, SpecError

COMMANDS = {
    "demo": "simulate, train, generate C++, replay and report, in about three minutes",
    "inspect": "describe logs: content, damage, usable or not and why",
    "fly": "write logs of simulated flights, with true turbulence",
    "serve": "run a simulated vehicle on a MAVLink link",
    "record": "record a live MAVLink link",
    "logs": "list and download the logs on a vehicle",
    "dataset": "turn logs into labelled windows, split by flight",
    "train": "train an int8 model bundle with a report",
    "evaluate": "compare float, int8 and baseline on a data set",
    "classify": "classify logs",
    "live": "classify a live MAVLink link",
    "generate": "generate C++ from a bundle",
    "px4": "check whether a PX4 checkout can build the module",
    "replay": "compare all targets on logs, window by window",
    "bench": "count instructions, flash and RAM of a model on a target",
    "completion": "print a shell completion script",
}
"""Name → line of the help, in its order. Module px4_tinyml.cli.NAME has add_options(parser) and run(args)."""

log = logging.getLogger(__name__)


def build_parser(*loaded: str) -> argparse.ArgumentParser:
    """The argument parser; only the modules of the commands `loaded` are imported, the others accept no options."""
    parser = argparse.ArgumentParser(
        prog="px4-tinyml",
        description="Turn flight logs into motion classifiers that run on the vehicle.",
        epilog="Start with `px4-tinyml demo`; `px4-tinyml COMMAND --help` explains each command.",
    )
    parser.add_argument("--version", action="version", version=f"px4-tinyml {__version__}")
    parser.set_defaults(debug=False, quiet=False, log_file=None)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = subparsers.add_parser(name, help=text)
        if name in loaded:
            module = importlib.import_module(f"px4_tinyml.cli.{name}")
            module.add_options(command)
            command.set_defaults(run=module.run)
            _add_common(command)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Options of every command, also of commands within it (`logs get`)."""
    for action in list(parser._actions):
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _add_common(inner)
    # Without a default: that of an inner command would replace the value its outer command was given.
    absent = argparse.SUPPRESS
    parser.add_argument("--quiet", action="store_true", default=absent, help="log errors only, no progress")
    parser.add_argument("--log-file", type=Path, default=absent, metavar="FILE", help="also append the log to FILE")
    parser.add_argument("--debug", action="store_true", default=absent, help="log more, show the traceback of an error")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and units that the terminal cannot show
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `px4-tinyml … | head`: the reader closed the pipe, and Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(argv: list[str]) -> int:
    # No option before the command takes a value.
    command = next((argument for argument in argv if not argument.startswith("-")), "")
    renamed: list[str] = []
    if command == "fly" and any(argument.partition("=")[0] == "--serve" for argument in argv):
        command, argv = "serve", _as_serve(argv)
        renamed = ["fly --serve is deprecated: use serve"]
    args = build_parser(command).parse_args(argv)
    try:
        with _logging(args):
            for line in (*renamed, *getattr(args, "renamed", ())):
                log.warning("%s", line)
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


def _as_serve(argv: Sequence[str]) -> list[str]:
    """Arguments of the old `fly --serve URL …` as those of `serve URL …`."""
    urls, others = [], []
    rest = iter(argv)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option == "--serve":
            urls.append(value if equals else next(rest, ""))
        elif argument != "fly":
            others.append(argument)
    return ["serve", *urls, *others]


@contextmanager
def _logging(args: argparse.Namespace) -> Iterator[None]:
    """The log on stderr, and in --log-file with times."""
    level = logging.DEBUG if args.debug else logging.INFO
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.ERROR if args.quiet else level)
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", handlers=[console])
    if args.quiet:
        from px4_tinyml import progress

        progress.disabled = True
    if args.log_file is None:
        yield
        return
    try:
        file = logging.FileHandler(args.log_file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SpecError(f"--log-file {args.log_file}: cannot be written ({error.strerror})") from error
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
    logging.getLogger().addHandler(file)
    try:
        yield
    except Exception as error:
        file.handle(logging.LogRecord(__name__, logging.ERROR, __file__, 0, _one_line(error), None, None))
        raise
    finally:
        logging.getLogger().removeHandler(file)
        file.close()


def _one_line(error: Exception) -> str:
    """The error's message; of the system's errors (a full disk, a folder without permission) file and reason."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def script() -> int:
    """The program `px4-tinyml`: main(), and an exit without the teardown of TensorFlow.

    Its native threads now and then abort the interpreter's teardown ("terminate called without an active exception",
    exit code 134) when all work is done.
    """
    code = main()
    if "tensorflow" in sys.modules:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(script())
