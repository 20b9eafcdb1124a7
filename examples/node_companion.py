"""The emulated sensor node on a serial port, and who listens to it.

    python examples/node_companion.py LOG                          this program listens and prints what the node reports
    python examples/node_companion.py LOG --serve                  you do: with `record`, QGroundControl, MAVSDK, ...
    python examples/node_companion.py LOG --px4 BUILD_DIR          a PX4 SITL does; and a ground station behind it

The node is the Arduino sketch, run on a Cortex-M4F in QEMU; its sensors see the log at real time (--speed). With --px4
the node's serial port is PX4's TELEM: classes arrive in `debug_array` on the flight controller, and by PX4's forwarding
at the ground station (UDP 14550). docs/node_emulated.md.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.errors import Px4TinymlError
from px4_tinyml.link.connection import Link
from px4_tinyml.link.vehicle import HeartbeatSender
from px4_tinyml.logs import read_log
from px4_tinyml.mavlink.decision_array import ARRAY_ID, CLASS, CONFIDENCE
from px4_tinyml.signal.slots import feed
from px4_tinyml.targets.arduino.build import build_node
from px4_tinyml.targets.arduino.emulator.emulator import PTY_NOTICED_S, EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import Records, sample_records
from px4_tinyml.targets.arduino.run import NODE_COMPONENT, clock_shift_us

BAUD = 57600


def records_of(log: Path, bundle: ModelBundle) -> Records:
    """A log as the node's sensors see it."""
    events = feed(read_log(log)[0], bundle.spec)
    return sample_records(events, clock_shift_us(events, bundle.spec))


@contextmanager
def playing(node: EmulatedNode, records: Records, speed: float) -> Iterator[threading.Thread]:
    """The log runs; the thread ends with it."""
    stop = threading.Event()
    thread = threading.Thread(target=node.play, args=(records, speed, stop), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(10.0)


def listen(link: Link, labels: tuple[str, ...], thread: threading.Thread, where: str) -> Counter[str]:
    """Print changes of class until the log ends and the link is silent; how often each class was reported."""
    decisions: Counter[str] = Counter()
    heartbeat = HeartbeatSender(link)
    last, quiet_at = "", time.monotonic() + 3.0
    while time.monotonic() < quiet_at:
        if thread.is_alive():
            quiet_at = time.monotonic() + 3.0
        heartbeat.tick()
        for frame in link.receive(0.2):
            if frame.component != NODE_COMPONENT:
                continue
            if frame.name == "STATUSTEXT":
                text = frame.fields.text.rstrip(b"\0").decode()
                print(f"{where}: text {text!r}", flush=True)
            if frame.name != "DEBUG_FLOAT_ARRAY" or frame.fields.array_id != ARRAY_ID:
                continue
            data = frame.fields.data
            name = "uncertain" if data[CLASS] < 0 else labels[int(data[CLASS])]
            decisions[name] += 1
            if name != last:
                print(f"{where}: {frame.fields.time_usec / 1e6:8.2f} s {name} ({data[CONFIDENCE]:.0%})", flush=True)
                last = name
    counts = ", ".join(f"{n} {name}" for name, n in decisions.most_common())
    print(f"{where}: {sum(decisions.values())} decisions: {counts}")
    return decisions


def serve(node: EmulatedNode, thread: threading.Thread) -> int:
    """Let others have the port until the log ends or Ctrl-C."""
    print(f"the node is on {node.telemetry_path}; for example:", flush=True)
    print(f"    px4-tinyml record serial:{node.telemetry_path}:{BAUD} --out recordings", flush=True)
    try:
        thread.join()
    except KeyboardInterrupt:
        return 130
    return 0


def with_px4(build: Path, node: EmulatedNode, records: Records, bundle: ModelBundle, speed: float) -> int:
    """PX4 at rest, its own classifier idle, the node on a serial port of it."""
    from px4_tinyml_sitl.px4.play_log import Px4Session
    from px4_tinyml_sitl.px4.player import Stream, StreamSource
    from px4_tinyml_sitl.px4.px4_process import GCS_PORT, Px4Build

    with Px4Session(Px4Build.open(build), StreamSource(Stream.rest(), 0), 1.0) as session:
        session.px4.require("param", "set", "MCLS_EN", "0")
        session.px4.require(
            *("mavlink", "start", "-d", node.telemetry_path, "-b", str(BAUD), "-m", "minimal", "-f")
        )  # fmt: skip
        time.sleep(PTY_NOTICED_S)
        with Link(f"udpin:127.0.0.1:{GCS_PORT}", system=255) as link, playing(node, records, speed) as thread:
            received = listen(link, bundle.spec.labels, thread, "ground station")
        print("flight controller, `listener debug_array`:")
        print(session.px4.require("listener", "debug_array"))
    return 0 if received else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--bundle", type=Path, default=pretrained_bundle())
    parser.add_argument("--speed", type=float, default=1.0, help="times real time")
    parser.add_argument("--serve", action="store_true", help="only offer the serial port")
    parser.add_argument("--px4", type=Path, metavar="BUILD_DIR", help="a PX4 SITL build with the module in it")
    args = parser.parse_args()
    bundle = ModelBundle.load(args.bundle)
    records = records_of(args.log, bundle)
    with EmulatedNode(build_node(bundle), pty=True) as node:
        if args.px4:
            return with_px4(args.px4, node, records, bundle, args.speed)
        if args.serve:
            with playing(node, records, args.speed) as thread:
                return serve(node, thread)
        with Link(f"serial:{node.telemetry_path}:{BAUD}") as link:
            time.sleep(PTY_NOTICED_S)
            with playing(node, records, args.speed) as thread:
                return 0 if listen(link, bundle.spec.labels, thread, "companion") else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Px4TinymlError as error:
        sys.exit(str(error))
