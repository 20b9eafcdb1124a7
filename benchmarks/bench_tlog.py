"""How fast a .tlog is read, against pymavlink's recv_match loop on the same file in the same run.

    python benchmarks/bench_tlog.py [FILE.tlog …] [--repeat N] [--json]

`scan` is the comparable job: every frame found, every checksum checked, the wanted messages decoded. `read_log` goes on
to a FlightLog (SI units, clocks, checks, hash of the file). Without a file one of 25 MB is made. CPU time, best of N.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import fastest_s

from px4_tinyml.logs import read_log
from px4_tinyml.logs.tlog.read_tlog import VELOCITY_MESSAGES
from px4_tinyml.logs.tlog.tlog_file import TlogFile
from px4_tinyml.mavlink.samples import STREAM_MESSAGES

WANTED = (*STREAM_MESSAGES, *VELOCITY_MESSAGES, "EXTENDED_SYS_STATE", "STATUSTEXT", "AUTOPILOT_VERSION")


def made_tlog(path: Path, seconds: int = 3600) -> None:
    """An hour of PX4's ONBOARD stream: HIGHRES_IMU 50 Hz, ATTITUDE and LOCAL_POSITION_NED 30 Hz, HEARTBEAT."""
    from pymavlink.dialects.v20 import ardupilotmega as m

    link = m.MAVLink(None, srcSystem=1, srcComponent=1)
    noise = np.random.default_rng(1).normal(0.0, 0.1, (seconds * 50, 6))
    with path.open("wb") as file:
        for i, (ax, ay, az, gx, gy, gz) in enumerate(noise.tolist()):
            now = i * 20_000
            imu = m.MAVLink_highres_imu_message(
                now, ax, ay, az - 9.8, gx, gy, gz, 0, 0, 0, 950.0, 0, 500.0, 30.0, 0x1FFF
            )
            messages = [imu]
            if i % 5 < 3:
                messages.append(m.MAVLink_attitude_message(now // 1000, ax, ay, az, gx, gy, gz))
                messages.append(m.MAVLink_local_position_ned_message(now // 1000, 0, 0, 0, ax, ay, az))
            if i % 50 == 0:
                messages.append(m.MAVLink_heartbeat_message(2, 12, 128, 0, 4, 3))
            for message in messages:
                file.write(struct.pack(">Q", 1_600_000_000_000_000 + now) + message.pack(link))


def scan(path: Path) -> None:
    """Our reader: all frames checked, the wanted ones decoded."""
    log = TlogFile.read(path.read_bytes())
    for name in WANTED:
        log.rows(log.select(name), name)


def recv_match_loop(path: Path) -> int:
    """What everybody writes: all messages one by one; the number of good ones."""
    from pymavlink import mavutil

    connection = mavutil.mavlink_connection(str(path))
    good = 0
    while (message := connection.recv_match()) is not None:
        good += message.get_type() != "BAD_DATA"
    connection.close()
    return good


def measure(path: Path, repeat: int) -> dict[str, object]:
    """Both readers on one file; they must find the same number of messages."""
    ours, theirs = len(TlogFile.read(path.read_bytes()).frames), recv_match_loop(path)
    if ours != theirs:
        raise SystemExit(f"{path}: {ours} frames found, pymavlink finds {theirs}")
    scan_s = fastest_s(lambda: scan(path), repeat)
    read_s = fastest_s(lambda: read_log(path), repeat)
    loop_s = fastest_s(lambda: recv_match_loop(path), max(1, repeat // 3))
    size_mb = path.stat().st_size / 1e6
    return {
        "file": path.name, "mb": round(size_mb, 2), "messages": ours, "scan_s": round(scan_s, 4),
        "read_log_s": round(read_s, 4), "recv_match_s": round(loop_s, 4), "mb_per_s": round(size_mb / scan_s, 1),
        "ratio": round(loop_s / scan_s, 1), "read_log_ratio": round(loop_s / read_s, 1),
    }  # fmt: skip


def main() -> int:
    """Measure and print; exit code 1 when a file is read less than 20 times faster."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = args.files
        if not files:
            files = [Path(folder) / "made.tlog"]
            made_tlog(files[0])
        results = [measure(path, args.repeat) for path in files]
    if args.json:
        print(json.dumps(results, indent=2))
    else:
        for r in results:
            print(
                f"{r['file']}: {r['mb']} MB, {r['messages']} messages: scan {r['scan_s']} s ({r['mb_per_s']} MB/s), "
                f"recv_match loop {r['recv_match_s']} s: {r['ratio']} times as fast; all of read_log "
                f"{r['read_log_s']} s: {r['read_log_ratio']} times"
            )
    return 0 if all(float(str(r["ratio"])) >= 20.0 for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
