"""px4-tinyml record: a live link to disk."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.cli import options

if TYPE_CHECKING:
    from px4_tinyml.link.recording import Recording

log = logging.getLogger(__name__)

BATCH_S = 0.05
"""Frames are read from the kernel in batches: no latency matters here, and the kernel notes reception times."""
DRAW_S, LOG_S = 1.0, 60.0
"""Period of the status on a terminal, and in the log elsewhere."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `record`."""
    parser.description = (
        "Record all messages of a link as .tlog, and link statistics as .tlog.json. Requests IMU, velocity and landed "
        "state from each vehicle. Stop with Ctrl-C."
    )
    options.add_url(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder, or a .tlog to append to, or a .csv for Arduino captures",
    )
    options.add_stream(parser)
    parser.add_argument("--ulog", action="store_true", help="also stream the vehicle's own full-rate log (PX4)")
    options.add_json(parser, "print a summary as JSON at the end")


def run(args: argparse.Namespace) -> int:
    """Record until --seconds are over or SIGINT or SIGTERM is received; 130 when stopped before."""
    from px4_tinyml.link.appender import make_folder
    from px4_tinyml.link.connection import Link
    from px4_tinyml.link.recording import Recording
    from px4_tinyml.mavlink.signing import SigningKey
    from px4_tinyml.progress import stop_requests

    if args.out.suffix == ".csv":
        return _record_captures(args)
    key = SigningKey.read(args.signing_key) if args.signing_key else None
    make_folder(args.out.parent if args.out.suffix == ".tlog" else args.out)
    # A log stream is acknowledged packet by packet: the vehicle would wait for each batch.
    batch_s = 0.0 if args.ulog else BATCH_S
    with Link(args.url, signing=key, batch_s=batch_s) as link, stop_requests() as stopped:
        recording = Recording(
            link, args.out, rate_hz=args.rate, system=args.system, wait_s=args.wait, seconds=args.seconds,
            ulog=args.ulog,
        )  # fmt: skip
        try:
            complete = _record(recording, stopped, args.quiet) or args.seconds is None
        finally:
            recording.close()
        if args.json:
            print(json.dumps(recording.facts(), indent=2, ensure_ascii=False))
        recording.log_result()
    if recording.failed:
        return 1
    return 0 if complete else 130


def _record(recording: Recording, stopped: Callable[[], bool], quiet: bool) -> bool:
    """Until it is over, which returns True, or stopped."""
    from px4_tinyml.cli.output import StatusLine, non_blocking_output

    with non_blocking_output():
        line, shown = StatusLine(quiet), 0.0
        while not (stopped() or recording.over):
            recording.step()
            now = time.monotonic()
            shown = shown or now
            if recording.started and now - shown >= (DRAW_S if line.shown else LOG_S):
                shown = now
                if line.shown:
                    line.draw(recording.status_line())
                else:
                    log.info("%s", recording.status_line())
        line.clear()
        return recording.over


def _record_captures(args: argparse.Namespace) -> int:
    """Captures of an Arduino, without MAVLink."""
    from px4_tinyml.link.address import LinkAddress
    from px4_tinyml.link.csv_capture import record_captures
    from px4_tinyml.progress import stop_requests

    with stop_requests() as stopped:
        complete, counts = record_captures(LinkAddress.parse(args.url), args.out, args.seconds, stopped)
    if args.json:
        print(json.dumps(counts, indent=2, ensure_ascii=False))
    log.info("%(csv)s: %(captures)d captures, %(incomplete)d incomplete, %(damaged_rows)d damaged rows", counts)
    return 0 if complete else 130
