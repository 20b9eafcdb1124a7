"""px4-tinyml dataset: logs to labelled windows."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options
from px4_tinyml.dataset import DEFAULT_EXAMPLES
from px4_tinyml.emit.shipped import BANDS_INSTEAD
from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PRESETS, PipelineSpec, load_spec, preset

if TYPE_CHECKING:
    from px4_tinyml.dataset.examples import InjectOptions
    from px4_tinyml.dataset.store import Description, Injected


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `dataset`."""
    parser.description = (
        "Cut logs into windows, label them from references other than the IMU (vertical speed, simulator truth) and "
        "from your own spans, split them by flight and store them as Parquet (docs/training.md)."
    )
    options.add_logs(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the data set")
    spec = parser.add_mutually_exclusive_group()
    spec.add_argument("--spec", type=Path, metavar="SPEC.toml", help="pipeline spec (default: that of --preset)")
    spec.add_argument("--preset", choices=sorted(PRESETS), help="named spec (default: default; with --inject: bands)")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="your labels: file,start_s,end_s,label")
    parser.add_argument(
        "--thinned", type=options.positive, default=None, action=options.Renamed, new=f"--preset bands: {BANDS_INSTEAD}"
    )
    parser.add_argument(
        "--inject",
        action="store_true",
        help="make examples of turbulence: inject gusts of known EDR into the calm flights of the logs "
        "(docs/training.md). A log without the truth about the air is taken as flown in calm air; label other air "
        "turbulence or exclude with --labels",
    )
    parser.add_argument(
        "--examples",
        type=options.whole(100, 10**7),
        metavar="N",
        help=f"with --inject: number of examples (default {DEFAULT_EXAMPLES})",
    )
    parser.add_argument(
        "--responses",
        type=Path,
        metavar="FILE",
        help="with --inject: gust responses of `fly --responses` (default: those of the package)",
    )
    parser.add_argument(
        "--split-by",
        choices=("airframe", "flight", "stretch"),
        help="with --inject: what of recorded flights stays in one part (default: airframe if there are enough)",
    )
    options.add_seed(parser, "the split and of injected gusts")


def run(args: argparse.Namespace) -> int:
    """Build the data set and print its summary."""
    from px4_tinyml.dataset.build import build_dataset
    from px4_tinyml.dataset.write_dataset import check_out
    from px4_tinyml.logs import find_logs

    named = args.preset or ("bands" if args.inject else "default")
    spec: PipelineSpec = load_spec(args.spec) if args.spec else preset(named)
    if spec.fitted:
        raise SpecError(f"{args.spec}: has offsets and scales; they are fitted by `train`, remove them")
    if args.thinned is not None and args.thinned > spec.rate_hz:
        raise SpecError(f"--thinned {args.thinned:g}: expected at most the rate of the spec, {spec.rate_hz} Hz")
    inject = _inject_options(args, spec)
    check_out(args.out)  # before the logs are looked for
    dataset = build_dataset(
        find_logs(args.logs), spec, args.out,
        labels=args.labels, column_map=args.columns, thinned_hz=args.thinned, seed=args.seed,
        inject=inject,
    )  # fmt: skip
    print_summary(dataset.about)
    print(f"data set: {args.out} (spec {spec.short_hash})")
    return 0


def _inject_options(args: argparse.Namespace, spec: PipelineSpec) -> InjectOptions | None:
    """Options of --inject. SpecError for those that do not fit."""
    from px4_tinyml.dataset.examples import InjectOptions, check_inject
    from px4_tinyml.signal.responses import SHIPPED

    if not args.inject:
        for name in ("examples", "responses", "split_by"):
            if getattr(args, name) is not None:
                raise SpecError(f"--{name.replace('_', '-')} applies with --inject only")
        return None
    if args.thinned is not None:
        raise SpecError("--thinned does not apply with --inject: decimated copies are among the backgrounds")
    check_inject(spec)
    return InjectOptions(args.examples or DEFAULT_EXAMPLES, args.responses or SHIPPED, args.split_by)


def print_summary(about: Description) -> None:
    """Windows by part and label, and counts of those left out."""
    from px4_tinyml.dataset.spans import file_and_part

    labels, counts = about.labels, about.counts
    if about.inject:
        _print_backgrounds(about.inject)
    print(f"{'windows':12}" + "".join(f"{name:>12}" for name in labels) + f"{'flights':>12}")
    for part, windows in counts.windows.items():
        flights = sum(f.part == part for f in about.flights)
        print(f"{part:12}" + "".join(f"{windows[name]:12}" for name in labels) + f"{flights:12}")
    dropped = {"between (EDR 0.1 to 0.2)": counts.between, **counts.dropped}
    left_out = ", ".join(f"{n} {why}" for why, n in dropped.items() if n) or "nothing"
    print(f"dropped: {left_out}; split by {about.split_by}")
    same = Counter((file_and_part(log.source)[0], log.why) for log in about.unusable)
    for (file, why), n in same.items():
        print(f"not used: {file}{f' ({n} recordings)' if n > 1 else ''}: {why}")


def _print_backgrounds(inject: Injected) -> None:
    """Seconds of background by vehicle, why others were left out, and the split."""
    print(f"{'background':44}{'flights':>9}{'seconds':>9}  left out")
    for entry in inject.backgrounds:
        left_out = ", ".join(f"{seconds:.0f} s {why}" for why, seconds in entry.left_out.items())
        name = f"{entry.vehicle[:31]} {'(simulated)' if entry.simulated else ''}"
        print(f"{name:44}{entry.flights:9}{entry.seconds:9.0f}  {left_out or 'nothing'}")
    print("split: " + ", ".join(f"{kind} flights by {by}" for kind, by in inject.split_by.items()))
    for part, n in inject.examples.items():
        responses = inject.response_parts.count(part)
        print(f"{part}: {n} examples, {responses} gust responses")
