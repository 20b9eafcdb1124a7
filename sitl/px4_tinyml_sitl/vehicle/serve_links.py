"""Runs one simulated vehicle on MAVLink links, until Ctrl-C or for a given time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from px4_tinyml.errors import SpecError
from px4_tinyml.mavlink.signing import SigningKey
from px4_tinyml.units import M_S_PER_KT
from px4_tinyml_sitl.turbulence import edr_from_w20
from px4_tinyml_sitl.vehicle.embedded import DEFAULT_AIRFRAME, DEFAULT_WIND_M_S, EmbeddedVehicle
from px4_tinyml_sitl.vehicle.vehicle_streams import LinkMode

_W20_HEIGHT_M = 10.0
"""Height at which w20_kt is converted to an EDR."""

_log = logging.getLogger(__name__)


def serve(
    addresses: Sequence[str], *, airframe: str | None = None, seed: int = 0, edr: float | None = None,
    w20_kt: float | None = None, wind_m_s: float | None = None, speed: float = 1.0, system_id: int = 1,
    link_mode: LinkMode = "onboard", mission: str | None = None, out: Path | None = None,
    signing_key: Path | None = None, seconds: float | None = None,
) -> None:  # fmt: skip
    """Run an EmbeddedVehicle for so many seconds of simulation, or until KeyboardInterrupt.

    edr (m^⅔/s) or w20_kt (wind at 20 ft, knots) is the turbulence at the start. With `out` the paths of the flights'
    logs are printed at the end. Raises SpecError and LinkError.
    """
    if seconds is not None and seconds <= 0.0:
        raise SpecError(f"seconds = {seconds}: expected more than 0")
    if w20_kt is not None:
        edr = edr_from_w20(w20_kt * M_S_PER_KT, _W20_HEIGHT_M)
    vehicle = EmbeddedVehicle(
        addresses, airframe=airframe, seed=seed, edr=edr or 0.0, speed=speed, system_id=system_id,
        wind_m_s=DEFAULT_WIND_M_S if wind_m_s is None else wind_m_s, link_mode=link_mode, mission=mission, logs=out,
        signing=SigningKey.read(signing_key) if signing_key else None,
    )  # fmt: skip
    places = ", ".join(str(wire.address) for wire in vehicle.wires)
    _log.info("vehicle %d (%s) on %s", system_id, airframe or DEFAULT_AIRFRAME, places)
    try:
        vehicle.run(seconds)
    finally:
        if out is not None:
            for path in vehicle.log.paths():
                print(path)
