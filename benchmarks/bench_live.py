"""What `px4-tinyml live` costs: CPU and latency on a link, memory over a day.

    python benchmarks/bench_live.py [BUNDLE] [--seconds S] [--hours H] [--json]

link: the real command on a UDP link with the stream of a simulated vehicle (PX4's ONBOARD mode, every IMU sample),
reporting. CPU time is the process's own (user and system) as a share of one core. Latency: from the last sample of a
window received (by the kernel) to the report sent.
day: frames of so many hours through stream, classifier, report and keeper as fast as they go, on the frames' clock;
resident memory after the first tenth and at the end. Exit code 1 beyond the limits: p99 of 10 ms, 2 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench_link import free_port, vehicle

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.companion import Companion, open_pipeline
from px4_tinyml.classify.keep import UncertainKeeper
from px4_tinyml.classify.mavlink_report import MavlinkReport
from px4_tinyml.mavlink.framer import Frame, Framer

MOST_P99_MS, MOST_GROWTH_MB = 10.0, 2.0
WARM_UP_S = 5.0
ROUND_S, ROUND_HZ = 600, 50


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_link(bundle: Path, seconds: float) -> dict[str, float]:
    """CPU share and latency of the command."""
    port = free_port()
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "live", str(bundle), f"udpin:127.0.0.1:{port}"]
    with vehicle(port), tempfile.TemporaryFile() as output:
        live = subprocess.Popen([*command, "--report", "--json"], stdout=output, stderr=subprocess.DEVNULL)
        try:
            while not os.fstat(output.fileno()).st_size:
                time.sleep(0.1)
            time.sleep(WARM_UP_S)
            cpu, began = cpu_s(live.pid), time.monotonic()
            time.sleep(seconds)
            share = (cpu_s(live.pid) - cpu) / (time.monotonic() - began)
        finally:
            live.terminate()
            live.wait()
        output.seek(0)
        lines = [json.loads(line) for line in output]
    latency_ms = [line["latency_us"] / 1000.0 for line in lines if line["type"] == "decision"]
    p50, p99 = np.percentile(latency_ms, [50, 99])
    imu_hz = next(line["imu"]["rate_hz"] for line in reversed(lines) if line["type"] == "status")
    return {
        "imu_hz": round(imu_hz, 1), "cpu_share": round(share, 4), "decisions": len(latency_ms),
        "latency_p50_ms": round(float(p50), 2), "latency_p99_ms": round(float(p99), 2),
    }  # fmt: skip


def frames_of(offset_us: int) -> Iterator[Frame]:
    """Ten minutes of an airborne vehicle: HIGHRES_IMU, and HEARTBEAT once a second."""
    from pymavlink.dialects.v20 import ardupilotmega as m

    link, framer = m.MAVLink(None, 1, 1), Framer(datagrams=True)
    noise = np.random.default_rng(1).normal(0.0, [0.3, 0.3, 0.5, 0.02, 0.02, 0.01], (4096, 6))
    samples = (noise - np.array([0, 0, 9.8, 0, 0, 0])).tolist()
    for i in range(ROUND_S * ROUND_HZ):
        now_us = offset_us + i * 1_000_000 // ROUND_HZ
        sample = (*samples[i % 4096], 0.2, 0.0, 0.4, 950.0, 0.0, 500.0 + 3 * np.sin(i / ROUND_HZ), 30.0, 0x1FFF)
        messages = [m.MAVLink_highres_imu_message(now_us, *sample)]
        if i % ROUND_HZ == 0:
            messages.append(m.MAVLink_heartbeat_message(2, 12, 128, 0, 4, 3))
        for message in messages:
            yield from framer.feed(bytes(message.pack(link)), 1_700_000_000_000_000 + now_us)


def measure_day(bundle_path: Path, hours: float) -> dict[str, float]:
    """Memory over many hours."""
    bundle = ModelBundle.load(bundle_path)
    with tempfile.TemporaryDirectory() as folder:
        companion = Companion(open_pipeline(bundle)[0], 1, 1)
        report = MavlinkReport(bundle.spec, lambda message: True)
        keeper = UncertainKeeper(Path(folder), bundle.spec, bundle.sha256, (1, 1), limit_mb=5.0)
        rounds, first_mb = max(10, round(hours * 3600 / ROUND_S)), 0.0
        for number in range(rounds):
            for frame in frames_of(number * ROUND_S * 1_000_000):
                decided = companion.take([frame])
                report.decided(decided)
                report.repeat(companion.newest_us)
                report.heartbeat(frame.received_us / 1e6)
                keeper.take([frame], [d.decision for d in decided])
            if number == rounds // 10:
                first_mb = resident_mb()
        keeper.close()
        return {
            "hours": rounds * ROUND_S / 3600, "decisions": companion.counts["decisions"],
            "reports": report.sent.total(), "cuts": keeper.counts["cuts"],
            "resident_mb_at_a_tenth": round(first_mb, 2), "growth_mb": round(resident_mb() - first_mb, 2),
        }  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path("pretrained"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=float, default=24.0, help="0: no day")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    link = measure_link(args.bundle, args.seconds)
    day = measure_day(args.bundle, args.hours) if args.hours else None
    if args.json:
        print(json.dumps({"link": link, "day": day}, indent=2))
    else:
        for result in filter(None, (link, day)):
            print(", ".join(f"{key} {value}" for key, value in result.items()))
    small = day is None or day["growth_mb"] < MOST_GROWTH_MB
    return 0 if link["latency_p99_ms"] < MOST_P99_MS and small else 1


if __name__ == "__main__":
    sys.exit(main())
