"""What `px4-tinyml live` costs: CPU, latency, memory over a day.

    python benchmarks/bench_live.py [BUNDLE] [--seconds S] [--hours H] [--rates 50,200] [--json]

cpu, latency: the real command on a UDP link with PX4's ONBOARD stream (HIGHRES_IMU at the rate given, ATTITUDE and
others as PX4 sends them), reporting. CPU time is the process's own (user and system), while it classifies, as a share
of one core. Latency: from the last sample of a window received (by the kernel) to the report sent; beside it, from the
sample leaving the sender to the report arriving back at it, which has the scheduling of this machine twice.
day: frames of so many hours through stream, classifier, report and keeper as fast as they go, on the frames' clock;
resident memory after the first tenth and at the end. Exit code 1 beyond the limits: 3 % at 50 Hz, p99 of 10 ms, 2 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.companion import Companion, open_pipeline
from px4_tinyml.classify.keep import UncertainKeeper
from px4_tinyml.classify.mavlink_report import MavlinkReport
from px4_tinyml.mavlink.framer import Frame

PRETRAINED = Path(__file__).resolve().parents[1] / "px4_tinyml" / "pretrained"
MOST_CPU_SHARE, MOST_P99_MS, MOST_GROWTH_MB = 0.03, 10.0, 2.0
ONBOARD_HZ = {
    "attitude": 50.0, "attitude_quaternion": 50.0, "local_position_ned": 30.0, "global_position_int": 50.0,
    "altitude": 10.0, "vfr_hud": 10.0, "servo_output_raw": 10.0, "extended_sys_state": 5.0, "sys_status": 5.0,
    "heartbeat": 1.0,
}  # fmt: skip
"""Beside HIGHRES_IMU: the busy ones of MAVLINK_MODE_ONBOARD in PX4 v1.17's mavlink_main.cpp (rounded)."""


def stream(seconds: float, imu_hz: float, others: bool, seed: int = 1) -> Iterator[tuple[float, Any]]:
    """(time in s, message) of an airborne vehicle, in order."""
    from pymavlink.dialects.v20 import ardupilotmega as m

    def other(name: str, ms: int) -> Any:
        makers = {
            "attitude": lambda: m.MAVLink_attitude_message(ms, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
            "attitude_quaternion": lambda: m.MAVLink_attitude_quaternion_message(ms, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
            "local_position_ned": lambda: m.MAVLink_local_position_ned_message(ms, 1, 1, -5, 0.1, 0.1, 0.1),
            "global_position_int": lambda: m.MAVLink_global_position_int_message(
                ms, 470000000, 80000000, 500, 500, 1, 1, 1, 9
            ),
            "altitude": lambda: m.MAVLink_altitude_message(ms * 1000, 1, 1, 1, 1, 1, 1),
            "vfr_hud": lambda: m.MAVLink_vfr_hud_message(1, 1, 10, 50, 5.0, 0.1),
            "servo_output_raw": lambda: m.MAVLink_servo_output_raw_message(ms * 1000 % 2**32, 0, *[1500] * 8),
            "extended_sys_state": lambda: m.MAVLink_extended_sys_state_message(0, 2),
            "sys_status": lambda: m.MAVLink_sys_status_message(1, 1, 1, 300, 15000, 900, 80, 0, 0, 0, 0, 0, 0),
            "heartbeat": lambda: m.MAVLink_heartbeat_message(2, 12, 128, 0, 4, 3),
        }
        return makers[name]()

    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, [0.3, 0.3, 0.5, 0.02, 0.02, 0.01], (4096, 6)) - np.array([0, 0, 9.8, 0, 0, 0])
    samples = noise.tolist()
    due = dict.fromkeys(ONBOARD_HZ if others else ("heartbeat", "extended_sys_state"), 0.0)
    for i in range(int(seconds * imu_hz)):
        t_s = i / imu_hz
        for name in due:
            if due[name] <= t_s:
                due[name] += 1.0 / (ONBOARD_HZ[name] if others else 1.0)
                yield t_s, other(name, round(t_s * 1000) % 2**32)
        values = samples[i % 4096]
        yield (
            t_s,
            m.MAVLink_highres_imu_message(
                round(t_s * 1e6), *values, 0.2, 0.0, 0.4, 950.0, 0.0, 500.0 + 3 * np.sin(t_s), 30.0, 0x1FFF
            ),
        )


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_link(bundle: Path, seconds: float, imu_hz: float) -> dict[str, float]:
    """CPU share and latency of the command at one rate."""
    from pymavlink.dialects.v20 import ardupilotmega

    spec = ModelBundle.load(bundle).spec
    link = ardupilotmega.MAVLink(None, 1, 1)
    decoder = ardupilotmega.MAVLink(None)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    packets = []
    for t_s, message in stream(seconds, imu_hz, others=True):
        packets.append((t_s, bytes(message.pack(link)), message.get_type() == "HIGHRES_IMU"))
        link.seq = (link.seq + 1) % 256
    heartbeat = bytes(ardupilotmega.MAVLink_heartbeat_message(2, 12, 128, 0, 4, 3).pack(link))
    arguments = ["live", str(bundle), f"udpin:127.0.0.1:{port}", "--report", "--json"]
    command = [sys.executable, "-m", "px4_tinyml.cli.main", *arguments]
    output = tempfile.TemporaryFile()  # noqa: SIM115
    live = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
    try:
        sock.setblocking(False)
        while not os.fstat(output.fileno()).st_size:
            sock.sendto(heartbeat, ("127.0.0.1", port))
            time.sleep(0.1)
        latencies_ms: list[float] = []
        sent_at: dict[int, float] = {}
        began, cpu, wall = time.perf_counter(), 0.0, 0.0
        for t_s, packet, is_imu in packets:
            while (left := t_s - (time.perf_counter() - began)) > 0:
                time.sleep(min(left, 0.001))
                latencies_ms += _latencies(sock, decoder, sent_at)
            sock.sendto(packet, ("127.0.0.1", port))
            if is_imu:
                # The sample that begins a new slot completes the window that ends there.
                slot = spec.slot_of(round(t_s * 1e6))
                sent_at.setdefault(spec.slot_start_us(slot), time.perf_counter())
                if len(sent_at) > 1000:
                    sent_at.pop(next(iter(sent_at)))
            if not wall and t_s > 3.0:
                cpu, wall = cpu_s(live.pid), time.perf_counter()
        share = (cpu_s(live.pid) - cpu) / (time.perf_counter() - wall)
    finally:
        live.terminate()
        live.wait()
        output.seek(0)
        lines = [json.loads(line) for line in output]
        output.close()
        sock.close()
    inside_ms = [line["latency_us"] / 1000.0 for line in lines if line["type"] == "decision"]
    p50, p99 = np.percentile(inside_ms, [50, 99])
    there_and_back = np.percentile(latencies_ms, [50, 99])
    return {
        "imu_hz": imu_hz, "messages_s": round(len(packets) / seconds, 1), "cpu_share": round(share, 4),
        "reports": len(latencies_ms), "latency_p50_ms": round(float(p50), 2), "latency_p99_ms": round(float(p99), 2),
        "back_p50_ms": round(float(there_and_back[0]), 2), "back_p99_ms": round(float(there_and_back[1]), 2),
    }  # fmt: skip


def _latencies(sock: socket.socket, decoder: Any, sent_at: dict[int, float]) -> list[float]:
    """ms of each report that has arrived."""
    found = []
    while True:
        try:
            data = sock.recv(4096)
        except BlockingIOError:
            return found
        now = time.perf_counter()
        for message in decoder.parse_buffer(bytearray(data)) or []:
            if message.get_type() == "DEBUG_FLOAT_ARRAY" and message.time_usec in sent_at:
                found.append(1000.0 * (now - sent_at[message.time_usec]))


def measure_day(bundle_path: Path, hours: float) -> dict[str, float]:
    """Memory over many hours, and the CPU time of a second."""
    from pymavlink.dialects.v20 import ardupilotmega

    bundle = ModelBundle.load(bundle_path)
    link = ardupilotmega.MAVLink(None, 1, 1)
    frames = []
    for t_s, message in stream(600.0, 50.0, others=False):
        data = bytearray(message.pack(link))
        frames.append((round(t_s * 1e6), data, message.get_msgId()))
    with tempfile.TemporaryDirectory() as folder:
        companion = Companion(open_pipeline(bundle)[0], 1, 1)
        report = MavlinkReport(bundle.spec, lambda message: True)
        keeper = UncertainKeeper(Path(folder), bundle.spec, bundle.sha256, (1, 1), limit_mb=5.0)
        rounds, first_mb, began = max(10, round(hours * 6)), 0.0, time.process_time()
        for number in range(rounds):
            offset = number * 600_000_000
            for time_us, data, message_id in frames:
                if message_id == 105:  # the time since boot is the payload's first field
                    data[10:18] = (time_us + offset).to_bytes(8, "little")
                frame = Frame(1_700_000_000_000_000 + time_us + offset, bytes(data), 2, message_id)
                made = companion.take([frame])
                report.decided(made)
                report.repeat(companion.newest_us)
                report.heartbeat((time_us + offset) / 1e6)
                keeper.take([frame], [d.decision for d in made])
            if number == rounds // 10:
                first_mb = resident_mb(os.getpid())
        spent = time.process_time() - began
        keeper.close()
        return {
            "hours": rounds / 6, "decisions": companion.counts["decisions"], "reports": report.sent.total(),
            "cuts": keeper.counts["cuts"], "resident_mb_at_a_tenth": round(first_mb, 2),
            "growth_mb": round(resident_mb(os.getpid()) - first_mb, 2),
            "cpu_ms_per_s": round(1000 * spent / (rounds * 600), 3),
        }  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("bundle", nargs="?", type=Path, default=PRETRAINED)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--rates", default="50,200")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rates = [float(rate) for rate in args.rates.split(",")]
    links = [measure_link(args.bundle, args.seconds, rate) for rate in rates]
    day = measure_day(args.bundle, args.hours) if args.hours else None
    if args.json:
        print(json.dumps({"link": links, "day": day}, indent=2))
    else:
        for row in links:
            print(
                f"HIGHRES_IMU {row['imu_hz']:g} Hz among {row['messages_s']:.0f} messages/s: "
                f"{100 * row['cpu_share']:.2f} % of a core; "
                f"report after {row['latency_p50_ms']} ms (median), {row['latency_p99_ms']} ms (p99), "
                f"back at the sender after {row['back_p50_ms']}, {row['back_p99_ms']} ms"
            )
        if day is not None:
            print(
                f"{day['hours']:g} h at 50 Hz: {day['decisions']} decisions, {day['cuts']} cuts, memory "
                f"{day['growth_mb']:+} MB from {day['resident_mb_at_a_tenth']} MB; {day['cpu_ms_per_s']} ms a second"
            )
    within = [row["cpu_share"] < MOST_CPU_SHARE for row in links if row["imu_hz"] <= 50.0]
    within += [row["latency_p99_ms"] < MOST_P99_MS for row in links]
    within += [day["growth_mb"] < MOST_GROWTH_MB] if day is not None else []
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
