"""Options of `px4-tinyml fly --serve`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """Add them to `fly`. --airframe, --mission, --edr, --seconds, --seed and --out keep their meaning."""
    group = parser.add_argument_group(
        "one vehicle on a MAVLink link",
        "It speaks as PX4 does and waits for commands (arm, take off, …); with --mission it flies missions by itself. "
        "--out keeps its logs, --seconds ends it, --edr is the turbulence at the start (parameter SIM_TURB_EDR).",
    )
    group.add_argument(
        "--serve", action="append", metavar="URL",
        help="where to speak: udpout:HOST:PORT, udpin:, tcpin:, tcp:, or serial:DEVICE[:BAUD]; may be repeated",
    )  # fmt: skip
    group.add_argument("--speed", type=float, default=1.0, metavar="X", help="times real time (default 1)")
    group.add_argument("--system-id", type=int, default=1, metavar="N", help="MAVLink system id (default 1)")
    group.add_argument(
        "--link", choices=("onboard", "gcs"), default="onboard",
        help="default streams of PX4's ONBOARD or of its normal mode, where HIGHRES_IMU comes when asked for",
    )  # fmt: skip
    group.add_argument("--wind", type=float, metavar="M_S", help="mean wind at 20 ft (default 6; SIM_WIND_SPD)")
    group.add_argument("--signing-key", type=Path, metavar="FILE", help="sign, and believe only what is signed")
