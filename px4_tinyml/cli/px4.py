"""px4-tinyml px4: check whether a PX4 checkout can build the module."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.targets.boards import DEFAULT_PX4_BOARD

if TYPE_CHECKING:
    from px4_tinyml.targets.px4.check import Px4Check


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `px4`."""
    parser.description = "Check the PX4 module against a PX4 checkout (docs/px4.md)."
    check = parser.add_subparsers(dest="px4_command", metavar="COMMAND", required=True).add_parser(
        "check",
        help="check version, engine, clashes and missing files; print the make line",
        description="Read a PX4 checkout and report whether the module builds in it, with the make line to copy. "
        "Nothing is built or changed. Exit code 1 if it will not work.",
    )
    check.add_argument("px4_dir", type=Path, metavar="PX4_DIR", help="a clone of PX4-Autopilot")
    check.add_argument(
        "--board", default=DEFAULT_PX4_BOARD, metavar="NAME", help=f"make target (default {DEFAULT_PX4_BOARD})"
    )
    check.add_argument(
        "--module",
        type=Path,
        metavar="DIR",
        help="folder written by `generate px4` (default: the module with the pretrained model)",
    )
    options.add_json(check, "print one JSON object (docs/px4.md)")


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 if the module will not work there."""
    from px4_tinyml.targets.px4.check import ModuleTree, Px4Check
    from px4_tinyml.targets.px4.checkout import Checkout

    checkout = Checkout.open(args.px4_dir)
    found = Px4Check(checkout, checkout.board(args.board), ModuleTree.open(args.module or target_root("px4_module")))
    print(json.dumps(found.document(), indent=2, ensure_ascii=False) if args.json else render(found))
    if found.ok:
        return 0
    sys.stdout.flush()
    print(f"px4-tinyml px4: {args.px4_dir}: will not work as it is, see above", file=sys.stderr)
    return 1


def render(found: Px4Check) -> str:
    """About ten lines of text."""
    from px4_tinyml.targets.px4.check import release_name

    checkout, tree = found.checkout, found.tree
    rows = {
        "PX4": f"{checkout.tag or 'version not known to git'} in {checkout.root}: "
        f"{'supported' if found.supported else 'not supported'} (files of {release_name(checkout.release)})",
        "ModuleBase": "with a Descriptor (v1.18)"
        if checkout.descriptor
        else "the template ModuleBase<T> (before v1.18)",
        "board": _board(found),
        "engine": f"{found.engine}: {_tflm(found)}",
        "module": f"{tree.root}: spec {tree.spec_hash[:16]}, classes {', '.join(tree.labels)}",
        "memory": ", ".join(
            f"{key.removesuffix('_bytes')} {size} bytes" for key, size in tree.engine_bytes(found.engine).items()
        ),
        "logging": "lines of etc/logging/logger_topics.txt are added to what PX4 logs"
        if checkout.logger_adds
        else "etc/logging/logger_topics.txt replaces the topics that PX4 logs: list all that you need",
    }
    lines = [f"{name + ':':<12}{text}" for name, text in rows.items()]
    for finding in found.findings:
        lines += ["", f"{finding.level}: {finding.what}", f"    {finding.todo}"]
    return "\n".join([*lines, "", found.make])


def _board(found: Px4Check) -> str:
    board = found.board
    parts = [board.name, board.compiler]
    if board.flash_bytes:
        parts.append(f"{board.flash_bytes // 1024} KiB for the firmware")
        if found.built_bytes:
            parts.append(f"the last build here leaves {(board.flash_bytes - found.built_bytes) / 1024:.0f} KiB")
    return ", ".join(parts)


def _tflm(found: Px4Check) -> str:
    if not found.tree.has("TflmModel.cpp"):
        return "the tree has no other engine"
    if not found.checkout.tflm:
        return "this PX4 has no TensorFlow Lite Micro"
    if not found.board.has("LIB_TFLM"):
        return "the board has no TensorFlow Lite Micro (CONFIG_LIB_TFLM)"
    return "the board has TensorFlow Lite Micro (CONFIG_LIB_TFLM)"
