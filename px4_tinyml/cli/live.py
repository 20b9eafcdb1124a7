"""px4-tinyml live: classify a vehicle in flight, and report to it."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from px4_tinyml.cli import options
from px4_tinyml.errors import SpecError
from px4_tinyml.targets.names import ENGINES

log = logging.getLogger(__name__)

BATCH_S = 0.006
"""On a busy link frames are read in batches of this length: fewer wake-ups, and reports still within 10 ms."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `live`."""
    parser.description = (
        "Classify a vehicle in flight and print one line per class change. The decisions equal those of `classify` on "
        "the recording, bit for bit. Stop with Ctrl-C."
    )
    parser.epilog = (
        "Engines: compiled is C++, built once by this computer's compiler; tflm is TensorFlow Lite Micro (its wheel, "
        "x86-64 only); numpy needs neither, but five to ten times the CPU. All compute the same bits. auto is "
        "compiled, else tflm."
    )
    options.add_bundle(parser)
    options.add_url(parser)
    parser.add_argument("--report", action="store_true", help="report to the vehicle by MAVLink (docs/live.md)")
    options.add_json(parser, "print JSON lines (docs/live.md)")
    parser.add_argument("--record", type=Path, metavar="DIR", help="record all messages, as `record` does")
    parser.add_argument(
        "--keep-uncertain", type=Path, metavar="DIR", help="save the windows that the classifier is unsure about"
    )
    parser.add_argument(
        "--keep-mb", type=options.megabytes, default=100.0, metavar="MB", help="size limit of that folder (%(default)g)"
    )
    new = "--keep-uncertain DIR"
    parser.add_argument("--keep", choices=("uncertain",), action=options.Renamed, new=new)
    parser.add_argument("--keep-dir", type=Path, dest="keep_uncertain", action=options.Renamed, new=new)
    options.add_engine(parser, ("auto", *ENGINES), "auto", "engine of the model, see below (default auto)")
    options.add_stream(parser)


def run(args: argparse.Namespace) -> int:
    """Classify until --seconds are over or SIGINT or SIGTERM is received; 1 when recording or keeping failed."""
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.classify.companion import open_pipeline
    from px4_tinyml.classify.live_session import LiveOptions, LiveSession
    from px4_tinyml.cli.live_view import JsonView, TextView
    from px4_tinyml.cli.output import non_blocking_output
    from px4_tinyml.link.connection import Link
    from px4_tinyml.link.vehicle import choose
    from px4_tinyml.mavlink.signing import SigningKey
    from px4_tinyml.progress import stop_requests

    if "keep" in args and args.keep_uncertain is None:
        raise SpecError("--keep uncertain needs a folder: --keep-uncertain DIR")
    wanted = LiveOptions(args.report, args.record, args.keep_uncertain, args.keep_mb, args.rate, args.seconds)
    only_shown = not (args.report or args.record or args.keep_uncertain)
    key = SigningKey.read(args.signing_key) if args.signing_key else None
    bundle = ModelBundle.load(args.bundle)
    pipeline, engine = open_pipeline(bundle, args.engine)
    with Link(args.url, signing=key, batch_s=BATCH_S) as link:
        vehicle = choose(link, args.system, args.wait)
        log.info("%s: %s; engine %s, spec %s", link.address, vehicle, engine, bundle.spec.short_hash)
        # Not before: nothing has to be closed in order while it waits for a vehicle.
        with non_blocking_output() as output, stop_requests() as stopped:
            view = (
                JsonView(bundle.spec, output, only_shown)
                if args.json
                else TextView(bundle.spec, output, only_shown, args.quiet)
            )
            session = LiveSession(link, vehicle, bundle, pipeline, engine, wanted, view)
            try:
                while not stopped() and not session.over:
                    session.step()
            finally:
                session.close()
    return 1 if session.failed else 0
