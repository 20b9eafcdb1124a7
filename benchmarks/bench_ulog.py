"""How fast a ULog is read, against pyulog with a filter for the same topics, on the same file in the same run.

    python benchmarks/bench_ulog.py FILE.ulg … [--repeat N] [--json]

CPU time, best of N. `walk` is our reader with these topics taken out; `read_log` is all the way to a FlightLog.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from timing import fastest_s

from px4_tinyml.logs import read_log
from px4_tinyml.logs.ulog.ulog_file import UlogFile

TOPICS = [
    "sensor_combined", "vehicle_air_data", "vehicle_local_position", "vehicle_land_detected", "vehicle_status",
    "wind", "wind_estimate",
]  # fmt: skip


def walk(path: Path) -> None:
    """Our reader, the same topics."""
    log = UlogFile.read(path.read_bytes(), str(path))
    for name in TOPICS:
        log.topic(name)


def measure(path: Path, repeat: int) -> dict[str, object]:
    """Three times for one file, in MB/s."""
    from pyulog import ULog

    size_mb = path.stat().st_size / 1e6
    speeds = {
        "walk_mb_per_s": size_mb / fastest_s(lambda: walk(path), repeat),
        "read_log_mb_per_s": size_mb / fastest_s(lambda: read_log(path), repeat),
        "pyulog_mb_per_s": size_mb / fastest_s(lambda: ULog(str(path), TOPICS), repeat),
    }
    return {"file": path.name, "mb": round(size_mb, 2), **{k: round(v, 1) for k, v in speeds.items()}}


def main() -> int:
    """Measure and print; exit code 1 when a file is read more slowly than pyulog reads it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, help="logs with an IMU")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = [measure(path, args.repeat) for path in args.files]
    if args.json:
        print(json.dumps(results, indent=2))
    else:
        for r in results:
            print(
                f"{r['file']}: {r['mb']} MB: walk {r['walk_mb_per_s']}, read_log {r['read_log_mb_per_s']}, "
                f"pyulog with filter {r['pyulog_mb_per_s']} MB/s"
            )
    return 0 if all(float(str(r["read_log_mb_per_s"])) >= float(str(r["pyulog_mb_per_s"])) for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
