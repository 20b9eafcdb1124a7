"""How fast logs are read, against pyulog (.ulg, the same topics) and pymavlink's recv_match loop (.tlog), in one run.

    python benchmarks/bench_readers.py FILE.ulg FILE.tlog … [--repeat N] [--json]

CPU time, best of N. `decode`: every message found and checked, the wanted ones decoded. `read_log`: all the way to a
FlightLog. Exit code 1 when `decode` is slower than the library.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from px4_tinyml.logs import read_log
from px4_tinyml.logs.tlog.read_tlog import VELOCITY_MESSAGES
from px4_tinyml.logs.tlog.tlog_file import TlogFile
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.mavlink.samples import STREAM_MESSAGES

TOPICS = [
    "sensor_combined", "vehicle_air_data", "vehicle_local_position", "vehicle_land_detected", "vehicle_status",
    "wind", "wind_estimate",
]  # fmt: skip
MESSAGES = (*STREAM_MESSAGES, *VELOCITY_MESSAGES, "EXTENDED_SYS_STATE", "STATUSTEXT", "AUTOPILOT_VERSION")


def decode(path: Path) -> None:
    """Our reader with these topics or messages decoded."""
    if path.suffix == ".ulg":
        ulog = UlogFile.read(path.read_bytes(), str(path))
        for name in TOPICS:
            ulog.topic(name)
    else:
        tlog = TlogFile.read(path.read_bytes())
        for name in MESSAGES:
            tlog.rows(tlog.select(name), name)


def library(path: Path) -> None:
    """pyulog or pymavlink."""
    if path.suffix == ".ulg":
        from pyulog import ULog

        ULog(str(path), TOPICS)
    else:
        from pymavlink import mavutil

        connection = mavutil.mavlink_connection(str(path))
        while connection.recv_match() is not None:
            pass
        connection.close()


def fastest_s(work: Callable[[Path], object], path: Path, repeat: int) -> float:
    """Least CPU time of some runs."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        work(path)
        times.append(time.process_time() - started)
    return min(times)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, help="logs with an IMU")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    ways = {"decode": decode, "read_log": read_log, "library": library}
    results = []
    for path in args.files:
        size_mb = path.stat().st_size / 1e6
        speeds = {f"{name}_mb_per_s": size_mb / fastest_s(way, path, args.repeat) for name, way in ways.items()}
        results.append({"file": path.name, "mb": round(size_mb, 2), **{k: round(v, 1) for k, v in speeds.items()}})
    if args.json:
        print(json.dumps(results, indent=2))
    else:
        for result in results:
            print(", ".join(f"{key} {value}" for key, value in result.items()))
    return 0 if all(float(str(r["decode_mb_per_s"])) >= float(str(r["library_mb_per_s"])) for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
