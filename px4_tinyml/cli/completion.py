"""px4-tinyml completion: a shell completion script."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `completion`."""
    parser.description = (
        "Print a completion script, for example: px4-tinyml completion bash > "
        "~/.local/share/bash-completion/completions/px4-tinyml"
    )
    parser.add_argument("shell", choices=("bash", "zsh"), help="your shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from px4_tinyml.cli.main import COMMANDS, build_parser

    parser = build_parser(*COMMANDS)
    _complete_paths(parser)
    print(shtab.complete(parser, args.shell))
    return 0


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Complete file names where an option or argument is one."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _complete_paths(inner)
        elif action.type is Path or action.metavar in ("BUNDLE", "LOG"):
            folder = str(action.metavar).endswith("DIR")
            action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
