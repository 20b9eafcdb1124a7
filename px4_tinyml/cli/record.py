"""px4-tinyml record: a live link to disk."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from px4_tinyml.cli.unhurried import draw, unhurried
from px4_tinyml.errors import SpecError

if TYPE_CHECKING:
    from px4_tinyml.link.connection import Frame, Link
    from px4_tinyml.link.log_stream import UlogStream
    from px4_tinyml.link.recorder import Recorder

log = logging.getLogger(__name__)

BATCH_S = 0.05
"""Frames are taken from the kernel together: nobody waits for them here, and the kernel notes when each came."""
STEP_S = 0.25
TOLD_S = 60.0
"""How often a log (not a terminal) is told how it goes."""


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "record",
        help="record a live MAVLink link",
        description="Record everything a link brings as .tlog, with a .json of what was lost beside it. Vehicles are "
        "asked for IMU, velocity and landed state. Without --seconds, Ctrl-C ends the recording.",
        epilog="URL: udpin:0.0.0.0:14540, udpout:HOST:PORT, tcp:HOST:PORT, tcpin:HOST:PORT, serial:/dev/ttyACM0:57600",
    )
    parser.add_argument("url", metavar="URL", help="where the vehicle is")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder for the recording, or a .tlog to go on with, or a .csv for an Arduino's captures",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, metavar="S", help="stop by itself after this long")
    parser.add_argument("--system", type=int, metavar="N", help="ask only the vehicle with this system id")
    parser.add_argument("--rate", type=float, metavar="HZ", help="IMU messages a second (default: all that fit)")
    parser.add_argument("--wait", type=float, default=30.0, metavar="S", help="give up without a vehicle (%(default)g)")
    parser.add_argument("--ulog", action="store_true", help="also stream the vehicle's own full-rate log (PX4)")
    parser.add_argument("--signing-key", type=Path, metavar="FILE", help="MAVLink 2 signing")
    parser.add_argument("--json", action="store_true", help="say at the end what was recorded, as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record until the time is up or somebody says stop; 130 when stopped before --seconds were over."""
    from px4_tinyml.link.appender import make_folder
    from px4_tinyml.link.connection import Link
    from px4_tinyml.mavlink.signing import SigningKey

    for name, value, low, high in (
        ("--rate", args.rate, 1, 1000), ("--system", args.system, 1, 255), ("--seconds", args.seconds, 0.1, 1e9),
        ("--wait", args.wait, 0.1, 1e9),
    ):  # fmt: skip
        if value is not None and not low <= value <= high:
            raise SpecError(f"{name} {value:g}: {low:g} to {high:g} expected")
    if args.out.suffix == ".csv":
        return _record_captures(args)
    key = SigningKey.read(args.signing_key) if args.signing_key else None
    make_folder(args.out.parent if args.out.suffix == ".tlog" else args.out)
    # A log stream is acknowledged packet by packet: each wait would be one for the vehicle, too.
    batch_s = 0.0 if args.ulog else BATCH_S
    with Link(args.url, signing=key, batch_s=batch_s) as link, stop_requests() as stopped:
        recording = Recording(link, args)
        try:
            with unhurried():
                complete = recording.run(stopped)
        finally:
            recording.close()
        if args.json:
            print(json.dumps(recording.facts(), indent=2, ensure_ascii=False))
        recording.tell_result()
    if recording.failed:
        return 1
    return 0 if complete else 130


def _record_captures(args: argparse.Namespace) -> int:
    """The tutorial's captures, without MAVLink."""
    from px4_tinyml.link.address import LinkAddress
    from px4_tinyml.link.csv_capture import record_captures

    with stop_requests() as stopped:
        complete, counts = record_captures(LinkAddress.parse(args.url), args.out, args.seconds, stopped)
    if args.json:
        print(json.dumps(counts, indent=2, ensure_ascii=False))
    log.info("%(csv)s: %(captures)d captures, %(incomplete)d incomplete, %(damaged_rows)d damaged rows", counts)
    return 0 if complete else 130


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM are noted, so that what is open is closed well; a second Ctrl-C interrupts at once."""
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        if noted and number == signal.SIGINT:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(noted)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Recording:
    """One run: link, file, vehicles, and what the terminal shows."""

    def __init__(self, link: Link, args: argparse.Namespace) -> None:
        from px4_tinyml.link.streams import Fleet

        self._link, self._args = link, args
        self._fleet = Fleet(link, args.rate, args.system)
        self._recorder: Recorder | None = None
        self._ulogs: dict[int, UlogStream] = {}
        self._first_us = self._last_us = 0
        self._told = 0.0
        self._began = time.monotonic()

    def run(self, stopped: Callable[[], bool]) -> bool:
        """Until the end; whether it came as asked."""
        args = self._args
        while not stopped():
            frames = self._link.receive(STEP_S)
            self._take(frames)
            if args.seconds and self._first_us and self._link.now_us() - self._first_us >= args.seconds * 1e6:
                return True
            self._give_up_waiting()
            self._tell()
        return args.seconds is None

    def _take(self, frames: list[Frame]) -> None:
        from px4_tinyml.link.log_stream import UlogStream

        if frames and self._recorder is None:
            self._begin(frames[0].received_us)
        if self._recorder is None:
            self._fleet.watch(frames)
            return
        for vehicle in self._fleet.watch(frames):
            log.info("%s: %s", self._link.address, vehicle)
            if self._args.ulog:
                if replaced := self._ulogs.pop(vehicle.system, None):
                    replaced.close()
                several = f"_system{vehicle.system}" if self._ulogs else ""
                stem = self._recorder.path.with_suffix("")
                self._ulogs[vehicle.system] = UlogStream(self._link, vehicle, stem.with_name(stem.name + several))
        for ulog in self._ulogs.values():
            frames = ulog.watch(frames)
        self._recorder.write(frames)

    def _begin(self, received_us: int) -> None:
        """Open the file."""
        from px4_tinyml.link.recorder import Recorder, new_recording

        path = self._args.out
        if path.suffix != ".tlog":
            path = new_recording(path, received_us)
        self._recorder = Recorder(path, self._session)
        self._first_us = received_us
        self._told = time.monotonic()
        log.info("%s %s", "going on with" if self._recorder.resumed else "recording to", path)

    def _give_up_waiting(self) -> None:
        from px4_tinyml.link.vehicle import explain_absence

        args, fleet = self._args, self._fleet
        if not fleet.streams and time.monotonic() - self._began > args.wait:
            raise explain_absence(self._link, fleet.others.values(), args.system, args.wait)

    def close(self) -> None:
        """Let the vehicles go and close the files."""
        self._fleet.release()
        for ulog in self._ulogs.values():
            ulog.close()
        if self._recorder is not None:
            self._recorder.close()

    @property
    def failed(self) -> bool:
        """Whether a log could not be streamed to its file."""
        return any(ulog.failed for ulog in self._ulogs.values())

    def _session(self) -> dict[str, Any]:
        """What the sidecar says of this session."""
        return {
            "link": str(self._link.address),
            "vehicles": [
                {
                    "system": number,
                    "vehicle": str(s.vehicle),
                    "reboots": s.reboots,
                    "lost": s.statistics.lost,
                    "rates_hz": _rounded(s.rates),
                }
                for number, s in sorted(self._fleet.streams.items())
            ],
            "ulog": [
                {"files": [path.name for path in u.files], "bytes": u.bytes, "lost": u.lost, "dropouts": u.dropouts}
                for u in self._ulogs.values()
            ],
            "statistics": self._link.statistics.as_json(),
        }

    def facts(self) -> dict[str, Any]:
        """What was recorded."""
        recorder = self._recorder
        return {
            "tlog": str(recorder.path) if recorder else None,
            "sidecar": str(recorder.sidecar) if recorder else None,
            "seconds": round(self._seconds(), 3),
            "frames": recorder.frames if recorder else 0,
            "bytes": recorder.bytes if recorder else 0,
            **self._session(),
        }

    def _seconds(self) -> float:
        return (self._link.now_us() - self._first_us) / 1e6 if self._first_us else 0.0

    def _line(self) -> str:
        """How it goes: rates, losses, size."""
        recorder = self._recorder
        # What a vehicle forwards from others it forwards in part: their numbers say nothing of this link.
        vehicles = [s.statistics for s in self._fleet.streams.values()]
        lost, frames = sum(v.lost for v in vehicles), sum(v.frames for v in vehicles)
        parts = [f"{self._seconds():.0f} s"]
        for number, streams in sorted(self._fleet.streams.items()):
            rates = streams.rates
            shown = [f"{name} {rates.get(name, 0.0):.1f}" for name in streams.requested]
            parts.append(f"{f'system {number} ' if len(self._fleet.streams) > 1 else ''}{', '.join(shown)} Hz")
        parts.append(f"lost {lost} of {lost + frames} ({100.0 * lost / max(1, lost + frames):.1f} %)")
        parts += [f"{u.bytes / 1e6:.2f} MB .ulg" for u in self._ulogs.values()]
        parts.append(f"{recorder.bytes / 1e6:.2f} MB" if recorder else "")
        if not self._link.connected:
            parts.append("NOTHING HEARD" if self._link.reachable else "NOT CONNECTED")
        return " · ".join(part for part in parts if part)

    def _tell(self) -> None:
        terminal = sys.stderr.isatty()
        now = time.monotonic()
        if self._recorder is None or now - self._told < (1.0 if terminal else TOLD_S):
            return
        self._told = now
        if terminal:
            draw(self._line())
        else:
            log.info("%s", self._line())

    def tell_result(self) -> None:
        """The last line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
        if self._recorder is None:
            log.info("nothing was heard, nothing recorded")
            return
        log.info("%s: %s", self._recorder.path, self._line())
        for ulog in self._ulogs.values():
            for path in ulog.files:
                log.info("%s: %d messages lost, %d dropouts noted", path, ulog.lost, ulog.dropouts)


def _rounded(rates: dict[str, float]) -> dict[str, float]:
    return {name: round(hz, 2) for name, hz in rates.items()}
