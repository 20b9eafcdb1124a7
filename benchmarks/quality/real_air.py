"""How good a bundle is on real recordings: air by vehicle, vertical motion by log (docs/quality.md).

    python benchmarks/quality/real_air.py --data DIR [--truth DIR/truth.csv] [--bundle BUNDLE] [--rates 25,50] [--json]

DIR: any folder with a truth.csv (`file,columns,vehicle,start_s,end_s,air`; docs/quality.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.model_bundle import ENGINES
from px4_tinyml.emit.shipped import PRETRAINED, bundle_argument
from px4_tinyml.errors import Px4TinymlError
from px4_tinyml.quality.air_truth import read_truth
from px4_tinyml.quality.judge import judge
from px4_tinyml.quality.tables import as_markdown, write_page


def main() -> int:
    """Print the tables, or JSON; with --write, also write them into a page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of recordings")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="stretches of known air (default DIR/truth.csv)")
    parser.add_argument("--also", nargs="+", type=Path, default=[], metavar="LOG", help="more logs, of unknown air")
    parser.add_argument("--bundle", type=bundle_argument, default=bundle_argument(PRETRAINED), metavar="BUNDLE")
    parser.add_argument("--engine", choices=tuple(ENGINES), default="numpy")
    parser.add_argument("--rates", type=rates, default=[], metavar="HZ,HZ", help="also copies decimated to these rates")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the tables of a page, as docs/quality.md")
    args = parser.parse_args()
    try:
        truth = read_truth(args.truth or args.data / "truth.csv", args.data)
        folders = [(args.data, truth), *((path, ()) for path in args.also)]
        result = judge(ModelBundle.load(args.bundle), folders, engine=args.engine, rates_hz=args.rates)
        head = (
            f"`{args.bundle}`: spec {result.spec_hash[:16]}, model {result.model_sha256[:16]}, engine {result.engine}."
        )
        text = f"{head}\n\n{as_markdown(result)}"
        if args.write:
            write_page(args.write, text)
    except Px4TinymlError as error:
        print(f"real_air.py: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(msgspec.to_builtins(result), indent=1, ensure_ascii=False, allow_nan=False) if args.json else text)
    return 0


def rates(text: str) -> list[float]:
    """Comma-separated rates, Hz."""
    values = [float(part) for part in text.split(",")]
    if not all(1.0 <= value <= 1000.0 for value in values):
        raise argparse.ArgumentTypeError(f"{text}: rates of 1 to 1000 Hz expected")
    return values


if __name__ == "__main__":
    sys.exit(main())
