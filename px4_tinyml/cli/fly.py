"""px4-tinyml fly: simulated flights with true turbulence, written as PX4 logs."""

from __future__ import annotations

import argparse
from pathlib import Path

from px4_tinyml.cli import options
from px4_tinyml.errors import SpecError
from px4_tinyml_sitl.catalog import AIRFRAMES, DEFAULT_MISSION, MISSIONS


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `fly`."""
    parser.description = (
        "Fly simulated quadrotors in JSBSim, in calm air and in MIL-F-8785C turbulence, and write\n"
        "each flight as a PX4 log (.ulg) with the true turbulence (docs/simulation.md). Needs the\n"
        "extra `sim`. With --responses: write what turbulence adds to the IMU of such vehicles, as a\n"
        "library for `dataset --inject`."
    )
    written = parser.add_mutually_exclusive_group(required=True)
    written.add_argument("--out", type=Path, metavar="DIR", help="folder for the logs")
    written.add_argument(
        "--responses", type=Path, metavar="FILE.npz", help="write a library of gust responses instead of logs"
    )
    parser.add_argument(
        "--flights", type=options.count, metavar="N", help="number of flights (default 9), or of responses (60)"
    )
    parser.add_argument(
        "--seconds", type=options.seconds, metavar="S", help="approximate length of a flight, 20 to 3600 (default 120)"
    )
    air = "calm, turbulent and changing air in turn"
    add_flight(parser, mission=f"see below (default {DEFAULT_MISSION})", airframe="all in turn", edr=air)
    parser.add_argument(
        "--jobs", type=options.count, metavar="N", help="parallel processes (default: one per core; with --px4: 1)"
    )
    parser.add_argument(
        "--px4",
        type=Path,
        metavar="BUILD_DIR",
        help="use PX4 SITL as the autopilot: its build folder (docs/px4_sitl.md). Needs the extra `live`",
    )


def add_flight(parser: argparse.ArgumentParser, mission: str, airframe: str, edr: str) -> None:
    """Options of `fly` and `serve`: mission, airframe, air and seed. edr: the default, in words."""
    missions = "\n".join(f"  {name:8} {text}" for name, text in MISSIONS.items())
    parser.epilog = f"missions:\n{missions}\n\nairframes: {', '.join(AIRFRAMES)}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--mission", metavar="NAME", help=mission)
    parser.add_argument("--airframe", metavar="NAME", help=f"see below (default: {airframe})")
    air = parser.add_mutually_exclusive_group()
    air.add_argument(
        "--edr", type=options.fraction, metavar="X", help=f"eddy dissipation rate, m^(2/3)/s (default: {edr})"
    )
    air.add_argument(
        "--w20-kt",
        type=options.number(0, 60),
        metavar="X",
        help="turbulence of this wind at 20 ft, knots (MIL: 15 light, 30 moderate, 45 severe)",
    )
    options.add_seed(parser, "airframe, mission and turbulence")


def run(args: argparse.Namespace) -> int:
    """Fly and print the paths."""
    if args.responses is not None:
        return _write_responses(args)
    from px4_tinyml_sitl.simulate import fly

    paths = fly(
        args.out, args.flights or 9, mission=args.mission, airframe=args.airframe, edr=args.edr, w20_kt=args.w20_kt,
        seconds=args.seconds, seed=args.seed, jobs=args.jobs, px4=args.px4,
    )  # fmt: skip
    for path in paths:
        print(path)
    return 0


def _write_responses(args: argparse.Namespace) -> int:
    for name in ("mission", "airframe", "edr", "w20_kt", "seconds", "px4"):
        if getattr(args, name) is not None:
            raise SpecError(f"--{name.replace('_', '-')} does not apply with --responses: vehicles and air are drawn")
    from px4_tinyml_sitl.gust_responses import RESPONSES, fly_responses

    fly_responses(args.responses, args.flights or RESPONSES, args.seed, args.jobs)
    print(args.responses)
    return 0
