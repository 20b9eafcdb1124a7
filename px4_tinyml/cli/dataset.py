"""px4-tinyml dataset: logs to labelled windows."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from px4_tinyml.dataset.spans import file_and_part
from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PRESETS, PipelineSpec, load_spec

if TYPE_CHECKING:
    from px4_tinyml.dataset.store import Description


def add_parser(subparsers: Any) -> None:
    """The options of `dataset`."""
    parser = subparsers.add_parser(
        "dataset",
        help="logs to labelled windows, split by flight",
        description="Cut logs into windows, label them from references that are not the IMU (vertical speed, "
        "simulator truth) and from your own spans, split them by flight and store them as Parquet.",
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="a file, folder or glob of any supported kind")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the data set")
    spec = parser.add_mutually_exclusive_group()
    spec.add_argument("--spec", type=Path, metavar="TOML", help="pipeline.toml (default: the preset)")
    spec.add_argument("--preset", choices=sorted(PRESETS), default="default", help="spec without a file")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="spans: file,start_s,end_s,label")
    parser.add_argument("--columns", type=Path, metavar="TOML", help="column map for IMU CSV files")
    parser.add_argument(
        "--thinned",
        type=float,
        metavar="HZ",
        help="take every log a second time as a telemetry link would have carried it: HIGHRES_IMU at this rate, "
        "samples passed over without a filter. For a bundle that is to classify such links (docs/live.md)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build the data set and print its summary."""
    from px4_tinyml.dataset.build import build_dataset, check_out
    from px4_tinyml.logs import find_logs

    spec: PipelineSpec = load_spec(args.spec) if args.spec else PRESETS[args.preset]
    if spec.fitted:
        raise SpecError(f"{args.spec}: has offsets and scales; they are fitted by `train`, remove them")
    if args.thinned is not None and not 0 < args.thinned <= spec.rate_hz:
        raise SpecError(f"--thinned {args.thinned:g}: expected a rate up to the spec's, {spec.rate_hz} Hz")
    check_out(args.out)  # before the logs are looked for
    dataset = build_dataset(
        find_logs(args.logs), spec, args.out,
        labels=args.labels, column_map=args.columns, thinned_hz=args.thinned, seed=args.seed,
    )  # fmt: skip
    print_summary(dataset.about)
    print(f"data set: {args.out} (spec {spec.short_hash})")
    return 0


def print_summary(about: Description) -> None:
    """Windows by part and label, and what was left out."""
    labels, counts = about.labels, about.counts
    print(f"{'windows':12}" + "".join(f"{name:>12}" for name in labels) + f"{'flights':>12}")
    for part, windows in counts.windows.items():
        flights = sum(f.part == part for f in about.flights)
        print(f"{part:12}" + "".join(f"{windows[name]:12}" for name in labels) + f"{flights:12}")
    dropped = {"between (EDR 0.1 to 0.2)": counts.between, **counts.dropped}
    left_out = ", ".join(f"{n} {why}" for why, n in dropped.items() if n) or "nothing"
    print(f"left out: {left_out}; split by {about.split_by}")
    same = Counter((file_and_part(log.source)[0], log.why) for log in about.unusable)
    for (file, why), n in same.items():
        print(f"not used: {file}{f' ({n} recordings)' if n > 1 else ''}: {why}")
