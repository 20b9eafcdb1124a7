"""px4-tinyml generate: a bundle into C++ for a target."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from px4_tinyml.convert.bundle import ModelBundle
from px4_tinyml.generate.host import generate_host

GENERATORS = {"host": generate_host}
ENGINES = ("auto", "compiled")


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "generate",
        help="turn a bundle into C++",
        description="Write the C++ of a trained bundle: core, engine, model and what surrounds them for a target. "
        "Files are written only where they change; other files in DIR stay.",
    )
    parser.add_argument("target", choices=sorted(GENERATORS), help="host: a CMake project for this computer")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder made by `px4-tinyml train`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--engine", choices=ENGINES, default="auto", help="what runs the model (auto: compiled, where possible)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and say how many changed."""
    bundle = ModelBundle.load(args.bundle)
    written = GENERATORS[args.target](bundle, args.out)
    print(f"{args.out}: {len(written)} files written (spec {bundle.spec.short_hash}); README.md says how to build")
    return 0
