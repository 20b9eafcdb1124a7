"""What receiving, counting and recording a PX4 ONBOARD stream costs, beside pymavlink's mavutil doing the same.

The embedded vehicle (its own process) sends the stream of PX4's ONBOARD mode over UDP; receivers (each its own
process, one after the other) run for --seconds and report the processor time they used meanwhile.

    python benchmarks/bench_link.py [--seconds 20] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from px4_tinyml.cli.record import BATCH_S
from px4_tinyml.link.connection import Link
from px4_tinyml.link.recorder import Recorder
from px4_tinyml.link.streams import Fleet

WARM_UP_S = 3.0


def record(url: str, folder: Path, seconds: float, batch_s: float) -> dict[str, float]:
    """Link, vehicles and recorder. batch_s: that of `record`, or 8 ms as `live` has it."""
    with Link(url, batch_s=batch_s) as link, Recorder(folder / f"{batch_s}.tlog") as recorder:
        fleet = Fleet(link)

        def step() -> int:
            frames = link.receive(0.25)
            recorder.write(frames)
            fleet.watch(frames)
            return len(frames)

        return {**_measure(step, seconds), "lost": link.statistics.total("lost")}


def mavutil(url: str, folder: Path, seconds: float) -> dict[str, float]:
    """pymavlink's own receiver, writing its .tlog."""
    from pymavlink import mavutil

    connection = mavutil.mavlink_connection(url, dialect="ardupilotmega", source_system=245)
    connection.setup_logfile(str(folder / "mavutil.tlog"))

    def step() -> int:
        return int(connection.recv_match(blocking=True, timeout=0.25) is not None)

    return {**_measure(step, seconds), "lost": connection.mav_loss}


def _measure(step: Callable[[], int], seconds: float) -> dict[str, float]:
    end = time.monotonic() + WARM_UP_S
    while time.monotonic() < end:
        step()
    began, cpu, frames = time.monotonic(), time.process_time(), 0
    while time.monotonic() - began < seconds:
        frames += step()
    elapsed_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    return {
        "frames_per_s": frames / elapsed_s,
        "core_percent": 100.0 * cpu_s / elapsed_s,
        "us_per_frame": 1e6 * cpu_s / max(1, frames),
    }


RECEIVERS: dict[str, Callable[[str, Path, float], dict[str, float]]] = {
    "record": partial(record, batch_s=BATCH_S),
    "live": partial(record, batch_s=0.008),
    "mavutil": mavutil,
}


@contextlib.contextmanager
def vehicle(port: int) -> Iterator[None]:
    """The embedded vehicle, in a process of its own."""
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "serve", f"udpout:127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    """A free UDP port."""
    with Link("udpin:127.0.0.1:0") as link:
        return link.local_port


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each receiver")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=RECEIVERS, help=argparse.SUPPRESS)  # one receiver, in its own process
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(RECEIVERS[args.only](args.url, args.folder, args.seconds)))
        return
    results = {}
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, vehicle(port):
        for name in RECEIVERS:
            command = [sys.executable, __file__, "--only", name, "--url", f"udpin:127.0.0.1:{port}"]
            command += ["--folder", folder, "--seconds", str(args.seconds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=args.seconds + 60)
            results[name] = json.loads(done.stdout)
    ratio = results["mavutil"]["us_per_frame"] / results["record"]["us_per_frame"]
    if args.json:
        print(json.dumps({**results, "mavutil_to_record": ratio}, indent=2))
        return
    print("| receiver | frames/s | of one core | µs a frame | lost |\n|---|---|---|---|---|")
    for name, r in results.items():
        rate, core, cost = r["frames_per_s"], r["core_percent"], r["us_per_frame"]
        print(f"| {name} | {rate:.0f} | {core:.2f} % | {cost:.1f} | {r['lost']:.0f} |")
    print(f"\nmavutil takes {ratio:.1f} times what record takes for each frame.")


if __name__ == "__main__":
    main()
