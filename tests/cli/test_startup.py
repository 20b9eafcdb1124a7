"""What `--help` imports and contains: nothing heavy, and every argument explained."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from px4_tinyml.cli.main import COMMANDS, build_parser

HEAVY = ("numpy", "pymavlink", "tensorflow", "tflite", "jinja2", "jsbsim", "tqdm", "serial", "yaml")
CODE = """
import sys
from px4_tinyml.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("\\nimported:", *sys.modules)
"""


def imported(*arguments: str) -> set[str]:
    """Modules that a command imports until it exits."""
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_alone_imports_no_command_module(option: str) -> None:
    modules = imported(option)
    assert not modules & {*HEAVY, *(f"px4_tinyml.cli.{name}" for name in COMMANDS)}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_imports_its_module_only(name: str) -> None:
    modules = imported(name, "--help")
    commands = {other for other in COMMANDS if f"px4_tinyml.cli.{other}" in modules}
    assert not modules & set(HEAVY) and commands == {name, *(["fly"] if name == "serve" else [])}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_explained(name: str) -> None:
    command = build_parser(name)._subparsers._group_actions[0].choices[name]  # type: ignore[union-attr, call-overload]
    for parser in parsers(command):
        assert parser.description
        for action in parser._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), (parser.prog, action)
        options = {option for action in parser._actions for option in action.option_strings}
        assert {"--quiet", "--log-file", "--debug"} <= options and "--system-id" not in parser.format_help()
