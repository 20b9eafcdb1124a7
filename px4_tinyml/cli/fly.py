"""px4-tinyml fly: simulated flights with truth, written as PX4 logs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from px4_tinyml.errors import SpecError


def add_parser(subparsers: Any) -> None:
    """Add `fly` to the command line."""
    from px4_tinyml_sitl.airframes import airframes
    from px4_tinyml_sitl.missions import DEFAULT_MISSION, MISSIONS
    from px4_tinyml_sitl.vehicle.options import add_serve_options

    missions = "\n".join(f"  {name:8} {what}" for name, (what, _) in MISSIONS.items())
    parser = subparsers.add_parser(
        "fly",
        help="simulated flights with truth, written as .ulg",
        description="Fly simulated quadrotors in JSBSim, in calm air and in MIL-F-8785C turbulence, and write each "
        "flight as a PX4 log (.ulg) with the truth in it; or, with --serve, be one vehicle that speaks MAVLink. "
        "Needs the extra `sim`.",
        epilog=f"missions:\n{missions}\n\nairframes: {', '.join(airframes())}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the logs")
    parser.add_argument("--flights", type=int, default=9, metavar="N", help="how many (default 9)")
    parser.add_argument("--mission", metavar="NAME", help=f"see below (default {DEFAULT_MISSION})")
    parser.add_argument("--airframe", metavar="NAME", help="see below (default: they take turns)")
    air = parser.add_mutually_exclusive_group()
    air.add_argument(
        "--edr", type=float, metavar="X",
        help="turbulence held at this EDR, m^(2/3)/s (default: calm, turbulent and changing air take turns)",
    )  # fmt: skip
    air.add_argument("--w20-kt", type=float, metavar="X", help="turbulence of this wind at 20 ft, knots (15, 30, 45)")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a flight, about (default 120)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: all cores)")
    parser.add_argument(
        "--px4", type=Path, metavar="BUILD_DIR",
        help="let a real PX4 fly: a PX4 SITL build folder (docs/px4_sitl.md). Needs the extra `live`; --jobs is 1 then",
    )  # fmt: skip
    add_serve_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fly and print the paths; with --serve, be a vehicle on a link."""
    if args.serve:
        from px4_tinyml_sitl.vehicle.serve import serve

        serve(
            args.serve, airframe=args.airframe, seed=args.seed, edr=args.edr, w20_kt=args.w20_kt, wind_m_s=args.wind,
            speed=args.speed, system_id=args.system_id, link_mode=args.link, mission=args.mission, out=args.out,
            signing_key=args.signing_key, seconds=args.seconds,
        )  # fmt: skip
        return 0
    if args.out is None:
        raise SpecError("--out DIR (where the logs go) or --serve URL expected")
    from px4_tinyml_sitl.simulate import fly

    paths = fly(
        args.out, args.flights, mission=args.mission, airframe=args.airframe, edr=args.edr, w20_kt=args.w20_kt,
        seconds=args.seconds, seed=args.seed, jobs=args.jobs, px4=args.px4,
    )  # fmt: skip
    for path in paths:
        print(path)
    return 0
