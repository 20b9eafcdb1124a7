"""px4-tinyml generate: a bundle into C++ for a target."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli import BUNDLE_HELP
from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.errors import SpecError
from px4_tinyml.targets.arduino.generate import DEFAULT_BOARD, NODE_BOARDS, generate_arduino
from px4_tinyml.targets.boards import BOARDS, Board, board
from px4_tinyml.targets.cortex_m.generate import generate_cortex_m
from px4_tinyml.targets.host.generate import generate_host
from px4_tinyml.targets.px4.generate import generate_px4
from px4_tinyml.targets.tflm.generate import Arena, TflmTree

GENERATORS = {"host": generate_host, "cortex-m": generate_cortex_m}
TARGETS = ("arduino", "cortex-m", "host", "px4")
ENGINES = ("auto", "compiled", "tflm")


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "generate",
        help="turn a bundle into C++",
        description="Write the C++ of a trained bundle: core, engine, model and what surrounds them for a target. "
        "Files are written only where they change; other files in DIR stay. With a board or a limit the classifier is "
        "measured first (docs/bench.md): exit code 3 when it does not fit.",
    )
    parser.add_argument(
        "target",
        choices=TARGETS,
        help="px4: a folder for EXTERNAL_MODULES_LOCATION; arduino: a sensor node's sketch (docs/node.md); host: a "
        "CMake project for this computer; cortex-m: for QEMU",
    )
    parser.add_argument("bundle", type=bundle_argument, metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what runs the model; tflm: TensorFlow Lite Micro (docs/tflm.md); auto: compiled, for px4 what its "
        "configuration has",
    )
    parser.add_argument(
        "--board",
        metavar="NAME",
        help=f"must fit this board's budget: {', '.join(BOARDS)}; for arduino the board the sketch is for: "
        f"{', '.join(NODE_BOARDS)} (default: {DEFAULT_BOARD})",
    )
    parser.add_argument("--max-flash-kb", type=float, metavar="KIB", help="most flash, code and weights")
    parser.add_argument("--max-ram-kb", type=float, metavar="KIB", help="most RAM, variables and stack")
    parser.add_argument("--max-instructions", type=int, metavar="N", help="most instructions of one inference")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and say how many changed."""
    bundle = ModelBundle.load(args.bundle)
    node_board = _node_board(args.board) if args.target == "arduino" else None
    device = board(args.board) if args.board and not node_board else None
    if device or any(v is not None for v in (args.max_flash_kb, args.max_ram_kb, args.max_instructions)):
        print(_fits(args, bundle, device))
    if args.target == "px4":
        written = generate_px4(bundle, args.out, args.engine)
    else:
        arena = _arena(bundle, args.target) if args.engine == "tflm" else None
        if arena:
            print(f"arena: {arena.size} bytes ({arena.origin})")
        if node_board:
            written = generate_arduino(bundle, args.out, arena, node_board)
        else:
            written = GENERATORS[args.target](bundle, args.out, arena)
    print(f"{args.out}: {len(written)} files written (spec {bundle.spec.short_hash}); README.md says how to build")
    return 0


def _node_board(name: str | None) -> str:
    if name is not None and name not in NODE_BOARDS:
        raise SpecError(f"--board {name}: a sketch is for one of {', '.join(NODE_BOARDS)}")
    return name or DEFAULT_BOARD


def _arena(bundle: ModelBundle, target: str) -> Arena:
    """Measured where TFLite Micro is at hand for the target, else estimated from what `train` measured here."""
    from px4_tinyml.targets.tflm.bench import measured_arena

    # Both emulated processors have the same pointers and kernels.
    built_for = "cortex-m4" if target in ("cortex-m", "arduino") else target
    tree = TflmTree.find(built_for)
    if tree:
        return measured_arena(bundle.model, bundle.graph, tree, built_for)
    return Arena.estimated(bundle.tflm_arena_bytes())


def _fits(args: argparse.Namespace, bundle: ModelBundle, device: Board | None) -> str:
    """One line about what it takes; raises ParityError when that is too much. A limit given outdoes the board's."""
    from px4_tinyml.bench.budget import Budget, check_budget
    from px4_tinyml.bench.measure import measure, subject
    from px4_tinyml.targets.tflm.bench import measure_tflm

    budget = Budget()
    if device:
        per_window_s = bundle.spec.hop / bundle.spec.rate_hz
        budget = Budget(device.budget_flash_kb, device.budget_ram_kb, device.max_instructions(per_window_s))
    given = {"flash_kb": args.max_flash_kb, "ram_kb": args.max_ram_kb, "instructions": args.max_instructions}
    budget = replace(budget, **{name: value for name, value in given.items() if value is not None})
    measures = measure_tflm if args.engine == "tflm" else measure
    cost = check_budget(subject(args.bundle), device.cpu if device else "cortex-m4", budget, measures)
    size = f"{cost.classifier_flash_bytes} bytes of flash, {cost.classifier_ram_bytes} of RAM"
    return f"fits {args.board or 'the limits'}: {size}, {cost.stack_bytes} of stack, {cost.instructions} instructions"
