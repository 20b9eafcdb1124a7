"""px4-tinyml generate: C++ of a bundle for a target."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options
from px4_tinyml.targets.arduino.node_boards import DEFAULT_BOARD, NODE_BOARDS, node_board
from px4_tinyml.targets.boards import BOARDS, Board, board
from px4_tinyml.targets.names import target_name

if TYPE_CHECKING:
    from px4_tinyml.bundle import ModelBundle


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `generate`."""
    parser.description = (
        "Write the C++ of a bundle for a target: core, engine, model and build files. Only changed files are written; "
        "other files in DIR are kept. With --board or a limit the classifier is measured first (docs/bench.md): exit "
        "code 3 if it does not fit."
    )
    parser.add_argument(
        "target",
        type=target_name,
        choices=("host", "cortex-m4", "cortex-m7", "px4", "arduino"),
        metavar="TARGET",
        help="px4: a folder for EXTERNAL_MODULES_LOCATION; arduino: a sketch for a sensor node (docs/node.md); host: a "
        "CMake project for this computer; cortex-m4, cortex-m7: one project for both, for QEMU",
    )
    options.add_bundle(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    options.add_engine(
        parser,
        ("auto", "compiled", "tflm"),
        "auto",
        "engine of the model; tflm: TensorFlow Lite Micro (docs/tflm.md); auto: compiled; for px4, tflm where the "
        "board has it, else compiled",
    )
    parser.add_argument(
        "--board",
        metavar="NAME",
        help=f"fit the budget of this board: {', '.join(BOARDS)}; for arduino, the board of the sketch: "
        f"{', '.join(NODE_BOARDS)} (default {DEFAULT_BOARD})",
    )
    parser.add_argument("--max-flash-kb", type=options.positive, metavar="KIB", help="limit of flash: code and weights")
    parser.add_argument("--max-ram-kb", type=options.positive, metavar="KIB", help="limit of RAM: variables and stack")
    parser.add_argument("--max-instructions", type=options.count, metavar="N", help="limit of one inference")


def run(args: argparse.Namespace) -> int:
    """Write the files and print how many changed."""
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.targets.registry import generate

    bundle = ModelBundle.load(args.bundle)
    sketch_for = (args.board or DEFAULT_BOARD) if args.target == "arduino" else DEFAULT_BOARD
    node_board(sketch_for)
    device = board(args.board) if args.board and args.target != "arduino" else None
    if device or any(v is not None for v in (args.max_flash_kb, args.max_ram_kb, args.max_instructions)):
        print(_fits(args, bundle, device))
    generated = generate(bundle, args.target, args.out, args.engine, sketch_for)
    if generated.arena:
        print(f"arena: {generated.arena.size} bytes ({generated.arena.origin})")
    count = len(generated.written)
    print(f"{args.out}: {count} files written (spec {bundle.spec.short_hash}); README.md explains the build")
    return 0


def _fits(args: argparse.Namespace, bundle: ModelBundle, device: Board | None) -> str:
    """One line with the cost; raises ParityError above the budget. Explicit limits override the board's."""
    from px4_tinyml.bench.budget import Budget, check_budget
    from px4_tinyml.bench.measure import read_subject

    budget = Budget.of_board(device, bundle.spec) if device else Budget()
    limits = {"flash_kb": args.max_flash_kb, "ram_kb": args.max_ram_kb, "instructions": args.max_instructions}
    budget = replace(budget, **{name: value for name, value in limits.items() if value is not None})
    engine = "tflm" if args.engine == "tflm" else "compiled"
    cost = check_budget(read_subject(args.bundle), device.cpu if device else "cortex-m4", budget, engine)
    size = f"{cost.classifier_flash_bytes} bytes of flash, {cost.classifier_ram_bytes} of RAM"
    return f"fits {args.board or 'the limits'}: {size}, {cost.stack_bytes} of stack, {cost.instructions} instructions"
