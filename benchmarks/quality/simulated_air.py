"""How a bundle does on simulated flights, whose EDR is known at every moment (docs/quality.md).

python benchmarks/quality/simulated_air.py --data LOGS --bundle BUNDLE [--test-of DATASET] [--engine tflm] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.model_bundle import ENGINES
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.emit.shipped import PRETRAINED, bundle_argument
from px4_tinyml.errors import Px4TinymlError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.quality.simulated_air import as_lines, simulated_air
from px4_tinyml.signal.windows import FULL_RATE_SAMPLES


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, nargs="+", metavar="LOG", help="simulated flights, files or folders")
    parser.add_argument("--bundle", type=bundle_argument, default=bundle_argument(PRETRAINED), metavar="BUNDLE")
    parser.add_argument("--test-of", type=Path, metavar="DATASET", help="only vehicles of its test part alone")
    parser.add_argument("--engine", choices=tuple(ENGINES), default="numpy")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    try:
        logs = (log for path in find_logs(args.data) for log in read_log(path))
        if args.test_of:
            unseen = unseen_vehicles(args.test_of)
            logs = (log for log in logs if log.vehicle in unseen)
        bundle = ModelBundle.load(args.bundle)
        results = {rate: simulated_air(bundle, some, args.engine) for rate, some in by_rate(logs, bundle).items()}
    except Px4TinymlError as error:
        print(f"simulated_air.py: {error}", file=sys.stderr)
        return error.exit_code
    if args.json:
        print(json.dumps(msgspec.to_builtins(results), indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    for rate, result in results.items():
        if result.flights:
            print(f"`{args.bundle}` on {result.flights} simulated flights, {rate}, {result.windows} windows.\n")
            print(as_lines(result), end="\n\n")
    return 0


def by_rate(logs: Iterable[FlightLog], bundle: ModelBundle) -> dict[str, list[FlightLog]]:
    """Flights with all IMU samples, and decimated ones, in which a bundle is less sensitive."""
    least_hz = FULL_RATE_SAMPLES * bundle.spec.rate_hz
    groups: dict[str, list[FlightLog]] = {"all samples": [], "decimated": []}
    for log in logs:
        groups["all samples" if log.imu.rate_hz >= least_hz else "decimated"].append(log)
    return groups


def unseen_vehicles(folder: Path) -> set[str]:
    """Vehicles of the test part of a data set that are in no other part."""
    flights = Dataset.load(folder).flights
    return {f.vehicle for f in flights if f.part == "test"} - {f.vehicle for f in flights if f.part != "test"}


if __name__ == "__main__":
    sys.exit(main())
