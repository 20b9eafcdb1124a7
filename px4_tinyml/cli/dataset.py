"""px4-tinyml dataset: logs to labelled windows."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options
from px4_tinyml.emit.shipped import BANDS_INSTEAD
from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PRESETS, PipelineSpec, load_spec, preset

if TYPE_CHECKING:
    from px4_tinyml.dataset.store import Description


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
    spec.add_argument("--preset", choices=sorted(PRESETS), default="default", help="named spec (default: default)")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="your labels: file,start_s,end_s,label")
    parser.add_argument(
        "--thinned", type=options.positive, default=None, action=options.Renamed, new=f"--preset bands: {BANDS_INSTEAD}"
    )
    options.add_seed(parser, "the split")


def run(args: argparse.Namespace) -> int:
    """Build the data set and print its summary."""
    from px4_tinyml.dataset.build import build_dataset, check_out
    from px4_tinyml.logs import find_logs

    spec: PipelineSpec = load_spec(args.spec) if args.spec else preset(args.preset)
    if spec.fitted:
        raise SpecError(f"{args.spec}: has offsets and scales; they are fitted by `train`, remove them")
    if args.thinned is not None and args.thinned > spec.rate_hz:
        raise SpecError(f"--thinned {args.thinned:g}: expected at most the rate of the spec, {spec.rate_hz} Hz")
    check_out(args.out)  # before the logs are looked for
    dataset = build_dataset(
        find_logs(args.logs), spec, args.out,
        labels=args.labels, column_map=args.columns, thinned_hz=args.thinned, seed=args.seed,
    )  # fmt: skip
    print_summary(dataset.about)
    print(f"data set: {args.out} (spec {spec.short_hash})")
    return 0


def print_summary(about: Description) -> None:
    """Windows by part and label, and counts of those left out."""
    from px4_tinyml.dataset.spans import file_and_part

    labels, counts = about.labels, about.counts
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
