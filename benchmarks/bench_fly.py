"""Simulated flights: how many times real time a core flies and writes, and how calm hover compares with real logs.

    python benchmarks/bench_fly.py [--vehicles 6] [--json]

Throughput is processor time of one process with the log written, everything counted. The band table is that of
docs/simulation.md: medians over vehicles, airframe by airframe, in still air and in EDR 0.3.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.progress import progress
from px4_tinyml_sitl.catalog import AIRFRAMES
from px4_tinyml_sitl.realism import QUANTITIES, REAL_CALM, hover_bands
from px4_tinyml_sitl.simulate import fly

EDRS = (0.0, 0.3)


def throughput() -> dict[str, float]:
    """Seconds flown per second of processor time, and megabytes written per flight hour."""
    with tempfile.TemporaryDirectory() as folder:
        fly(Path(folder), 1, seconds=20.0, jobs=1)
        begin = time.process_time()
        paths = fly(Path(folder), 9, seconds=60.0, jobs=1)
        spent = time.process_time() - begin
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
    flown = 9 * 60.0
    return {"times_real_time": flown / spent, "megabytes_per_hour": megabytes / flown * 3600.0}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=6, help="vehicles per airframe (default 6)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result: dict[str, Any] = {"throughput": throughput(), "bands": {}}
    cases = [(name, seed, edr, 45.0, seed) for edr in EDRS for name in AIRFRAMES for seed in range(args.vehicles)]
    rows = np.array([hover_bands(*case) for case in progress(cases, "hover", unit="flight")])
    for edr, own in zip(EDRS, rows.reshape(len(EDRS), len(AIRFRAMES), args.vehicles, *rows.shape[1:]), strict=True):
        table = {"p5, p50, p95": np.percentile(own, [5, 50, 95], axis=(0, 1)).round(3).tolist()}
        table |= zip(AIRFRAMES, np.median(own, axis=1).round(3).tolist(), strict=True)
        result["bands"][str(edr)] = table
    if args.json:
        print(json.dumps(result))
        return 0
    print("throughput: {times_real_time:.0f} × real time a core, {megabytes_per_hour:.0f} MB an hour".format(
        **result["throughput"]))  # fmt: skip
    for edr, table in result["bands"].items():
        for index, quantity in enumerate(QUANTITIES):
            real = "  ".join(f"{low:.2f}–{high:.2f}" for low, high in REAL_CALM[quantity])
            print(f"\nEDR {edr}, {quantity} (real calm hover: {real})")
            for name, values in table.items():
                picked = [row[index] for row in values] if name.startswith("p5") else [values[index]]
                print(f"  {name:14}" + "   ".join("  ".join(f"{x:6.3f}" for x in row) for row in picked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
