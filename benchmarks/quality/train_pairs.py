"""Whether `train` with its defaults succeeds for any flights and any seed.

    python benchmarks/quality/train_pairs.py --out DIR [--pairs 20] [--flights 60] [--preset bands [--inject]] [--json]

Each pair flies fresh flights and trains with a seed of its own. Printed: what int8 loses, and the macro-F1 of the
network and its rivals on the test flights. Exit code 3 when a training fails its int8 gate.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from px4_tinyml.dataset import DEFAULT_EXAMPLES
from px4_tinyml.dataset.build import build_dataset
from px4_tinyml.dataset.examples import InjectOptions
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.training.evaluation import QuantizationError
from px4_tinyml.training.fit import TrainOptions
from px4_tinyml.training.pipeline import train
from px4_tinyml_sitl.simulate import fly

FIRST_SEED = 5000


@dataclass(frozen=True)
class Pair:
    """One training. lost: points of macro-F1 that int8 loses over all windows; macro_f1: by model, on the test part."""

    flight_seed: int
    seed: int
    passed: bool
    lost: float
    agreement: float
    macro_f1: dict[str, float]
    seconds: float


def main() -> int:
    """Run the pairs and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="flights, data sets and bundles")
    parser.add_argument("--pairs", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first pair (default 0)")
    parser.add_argument("--flights", type=int, default=60, metavar="N", help="of each data set (default 60)")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="default")
    parser.add_argument("--inject", action="store_true", help="gusts injected into the flights")
    parser.add_argument("--examples", type=int, default=DEFAULT_EXAMPLES, metavar="N", help="with --inject")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    pairs = []
    for number in range(args.first, args.first + args.pairs):
        pairs.append(run(number, args))
        if not args.json:
            print(line(pairs[-1]), flush=True)
    if args.json:
        print(json.dumps([asdict(pair) for pair in pairs], indent=1))
    else:
        print(f"{sum(pair.passed for pair in pairs)} of {len(pairs)} passed; int8 lost at most "
              f"{max(pair.lost for pair in pairs):.2f} points")  # fmt: skip
    return 0 if all(pair.passed for pair in pairs) else 3


def run(number: int, args: argparse.Namespace) -> Pair:
    """Fly, make the data set and train."""
    flight_seed, seed = FIRST_SEED + number, number
    folder = args.out / str(number)
    logs = fly(folder / "flights", args.flights, seconds=100.0, seed=flight_seed)
    dataset = _dataset(logs, folder / "set", seed, args)
    begin = time.monotonic()
    try:
        bundle = train(dataset, folder / "bundle", TrainOptions(seed=seed))
    except QuantizationError as error:
        metrics, passed = error.metrics, False
        lost, agreement = metrics.float32.macro_f1 - metrics.int8.macro_f1, metrics.agreement
    else:
        metrics, passed, gate = bundle.manifest.metrics, True, bundle.manifest.int8_gate
        lost, agreement = gate.float_macro_f1 - gate.int8_macro_f1, gate.agreement
    scores = {name: score.macro_f1 for name, score in metrics.scores.items()}
    return Pair(flight_seed, seed, passed, 100.0 * lost, agreement, scores, time.monotonic() - begin)


def _dataset(logs: list[Path], out: Path, seed: int, args: argparse.Namespace) -> Dataset:
    inject = InjectOptions(args.examples) if args.inject else None
    return build_dataset(logs, PRESETS[args.preset], out, seed=seed, inject=inject)


def line(pair: Pair) -> str:
    """One pair in words."""
    scores = ", ".join(f"{name} {value:.3f}" for name, value in pair.macro_f1.items())
    word = "passed" if pair.passed else "FAILED"
    return (
        f"flights {pair.flight_seed}, seed {pair.seed}: {word}, int8 loses {pair.lost:+.2f} points, "
        f"agreement {pair.agreement:.4f}; {scores}; {pair.seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
