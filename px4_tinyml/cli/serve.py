"""px4-tinyml serve: a simulated vehicle on a MAVLink link."""

from __future__ import annotations

import argparse
from pathlib import Path

from px4_tinyml.cli import options
from px4_tinyml.cli.fly import add_flight


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.description = (
        "Run one simulated quadrotor that speaks MAVLink as PX4 does (docs/vehicle.md). It waits for\n"
        "commands (arm, take off, …); with --mission it flies missions without commands. Stop with\n"
        "Ctrl-C. Needs the extra `sim`."
    )
    parser.add_argument(
        "urls",
        nargs="+",
        metavar="URL",
        help="link to offer: udpout:HOST:PORT, udpin:, tcpin:, tcp:, or serial:DEVICE[:BAUD]",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for its logs (default: not kept)")
    parser.add_argument("--seconds", type=options.seconds, metavar="S", help="stop after S seconds of simulated time")
    add_flight(parser, mission="fly this mission repeatedly (default: wait for commands)", airframe="500", edr="calm")
    parser.add_argument("--wind", type=float, metavar="M_S", help="mean wind at 20 ft (default 6; SIM_WIND_SPD)")
    parser.add_argument(
        "--speed", type=options.positive, default=1.0, metavar="X", help="times real time, 0.5 to 50 (default 1)"
    )
    parser.add_argument(
        "--system", type=options.system_id, default=1, metavar="N", help="system ID of the vehicle (default 1)"
    )
    parser.add_argument("--system-id", type=options.system_id, dest="system", action=options.Renamed, new="--system")
    parser.add_argument(
        "--link",
        choices=("onboard", "gcs"),
        default="onboard",
        help="default streams of PX4's ONBOARD mode, or of its normal mode: HIGHRES_IMU only on request",
    )
    options.add_signing_key(parser)


def run(args: argparse.Namespace) -> int:
    """Run the vehicle."""
    from px4_tinyml_sitl.vehicle.serve_links import serve

    serve(
        args.urls, airframe=args.airframe, seed=args.seed, edr=args.edr, w20_kt=args.w20_kt, wind_m_s=args.wind,
        speed=args.speed, system_id=args.system, link_mode=args.link, mission=args.mission, out=args.out,
        signing_key=args.signing_key, seconds=args.seconds,
    )  # fmt: skip
    return 0
