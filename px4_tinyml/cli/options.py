"""Options that several commands share, each declared once, and `type=` functions that check ranges."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.targets.names import engine_name, target_names

URL_EPILOG = "URL: udpin:0.0.0.0:14540, udpout:HOST:PORT, tcp:HOST:PORT, tcpin:HOST:PORT, serial:/dev/ttyACM0:57600."


def _in_range(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], Any]:
    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: {low:.10g} to {high:.10g} expected")
        return value

    parse.__name__ = "whole number" if kind is int else "number"  # argparse writes it into its message
    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Type of an option that takes a number from low to high."""
    return _in_range(float, low, high)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Type of an option that takes a whole number from low to high."""
    return _in_range(int, low, high)


positive = number(1e-6, 1e9)
fraction = number(0.0, 1.0)
hertz = number(1.0, 1000.0)
megabytes = number(0.1, 1e6)
seconds = number(0.1, 1e9)
count = whole(1, 10**9)
system_id = whole(1, 255)
seed = whole(0, 2**32 - 1)


class Renamed(argparse.Action):
    """An old spelling of an option: sets dest, is not in the help, and leaves a line for main() to log."""

    def __init__(self, option_strings: Sequence[str], dest: str, new: str, **keywords: Any) -> None:
        super().__init__(option_strings, dest, **{"default": argparse.SUPPRESS, **keywords, "help": argparse.SUPPRESS})
        self._new = new

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.renamed = [*getattr(namespace, "renamed", []), f"{option} is deprecated: use {self._new}"]


def add_bundle(parser: argparse.ArgumentParser, also: str = "") -> None:
    """BUNDLE. also: what else the command accepts."""
    parser.add_argument(
        "bundle",
        type=bundle_argument,
        metavar="BUNDLE",
        help=f"folder written by `px4-tinyml train`, or pretrained (./pretrained: a folder){also}",
    )


def add_logs(parser: argparse.ArgumentParser) -> None:
    """LOG… and --columns."""
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log of any supported kind, folder, or glob")
    add_columns(parser)


def add_columns(parser: argparse.ArgumentParser) -> None:
    """--columns MAP.toml."""
    parser.add_argument(
        "--columns", type=Path, metavar="MAP.toml", help="column map for IMU CSV files (examples/crazyflie_wind.toml)"
    )


def add_json(parser: argparse.ArgumentParser, text: str) -> None:
    """--json. text: its help, with the page that lists the keys."""
    parser.add_argument("--json", action="store_true", help=text)


def add_url(parser: argparse.ArgumentParser, wait_s: float = 30.0) -> None:
    """URL, --system, --signing-key and --wait."""
    parser.epilog = f"{URL_EPILOG} {parser.epilog or ''}".strip()
    parser.add_argument("url", metavar="URL", help="link to the vehicle, see below")
    parser.add_argument("--system", type=system_id, metavar="N", help="system ID of the vehicle")
    add_signing_key(parser)
    parser.add_argument(
        "--wait", type=seconds, default=wait_s, metavar="S", help="timeout for the vehicle's heartbeat (%(default)g)"
    )


def add_signing_key(parser: argparse.ArgumentParser) -> None:
    """--signing-key."""
    parser.add_argument(
        "--signing-key", type=Path, metavar="FILE", help="sign with MAVLink 2, reject unsigned messages (docs/links.md)"
    )


def add_stream(parser: argparse.ArgumentParser) -> None:
    """--seconds and --rate of a command that receives until it is stopped."""
    parser.add_argument("--seconds", type=seconds, metavar="S", help="stop after S seconds (default: on Ctrl-C)")
    parser.add_argument("--rate", type=hertz, metavar="HZ", help="IMU messages per second (default: all that fit)")


def add_engine(parser: argparse.ArgumentParser, engines: Sequence[str], default: str, text: str) -> None:
    """--engine, with old spellings."""
    parser.add_argument("--engine", type=engine_name, choices=engines, default=default, help=text)


def add_targets(parser: argparse.ArgumentParser, targets: Iterable[str], default: str) -> None:
    """--targets A,B. default: which ones run without it."""
    parser.add_argument(
        "--targets", type=target_names, metavar="A,B", help=f"some of {','.join(targets)} (default: {default})"
    )


def add_seed(parser: argparse.ArgumentParser, of: str) -> None:
    """--seed. of: the quantities drawn from it."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=f"seed of {of} (default 0)")
