"""`px4-tinyml fly --serve`: one vehicle until Ctrl-C, or for a while."""

from __future__ import annotations

import argparse
import logging

from px4_tinyml.errors import SpecError
from px4_tinyml.mavlink.signing import SigningKey
from px4_tinyml.units import M_S_PER_KT
from px4_tinyml_sitl.turbulence import edr_from_w20
from px4_tinyml_sitl.vehicle.embedded import DEFAULT_AIRFRAME, DEFAULT_WIND_M_S, EmbeddedVehicle

_HEIGHT_M = 10.0
"""Where --w20-kt becomes an EDR."""

_log = logging.getLogger(__name__)


def serve(args: argparse.Namespace) -> int:
    """Serve; the flights' logs are printed at the end."""
    if args.seconds is not None and args.seconds <= 0.0:
        raise SpecError(f"seconds = {args.seconds}: expected more than 0")
    edr = args.edr or 0.0
    if args.w20_kt is not None:
        edr = edr_from_w20(args.w20_kt * M_S_PER_KT, _HEIGHT_M)
    vehicle = EmbeddedVehicle(
        args.serve, airframe=args.airframe, seed=args.seed, edr=edr, speed=args.speed, system_id=args.system_id,
        wind_m_s=DEFAULT_WIND_M_S if args.wind is None else args.wind, link_mode=args.link, mission=args.mission,
        logs=args.out, signing=SigningKey.read(args.signing_key) if args.signing_key else None,
    )  # fmt: skip
    places = ", ".join(str(wire.address) for wire in vehicle.wires)
    _log.info("vehicle %d (%s) speaks on %s", args.system_id, args.airframe or DEFAULT_AIRFRAME, places)
    try:
        vehicle.run(args.seconds)
    finally:
        if args.out is not None:
            for path in vehicle.log.paths():
                print(path)
    return 0
