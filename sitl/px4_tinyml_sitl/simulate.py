"""Simulated flights written as PX4 logs: JSBSim quadrotors in MIL-F-8785C turbulence, the truth in every log.

docs/simulation.md describes the model and its limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.errors import SpecError
from px4_tinyml.units import M_S_PER_KT
from px4_tinyml_sitl import airframes, catalog, weather
from px4_tinyml_sitl.flight import Simulator, plan_flight
from px4_tinyml_sitl.parallel import in_parallel
from px4_tinyml_sitl.px4.fly_px4 import check, fly_px4
from px4_tinyml_sitl.px4.px4_process import Px4Build
from px4_tinyml_sitl.world import load_jsbsim
from px4_tinyml_sitl.write_flight import write_flight

DEFAULT_SECONDS = 120.0
MIN_SECONDS, MAX_SECONDS = 20.0, 3600.0


_Request = tuple[tuple[Any, ...], Path, Path | None]
"""Arguments of plan_flight, the log, and the PX4 build that flies it (or None), as a worker process receives them."""


def fly(
    out: Path, flights: int, *, mission: str | None = None, airframe: str | None = None,
    edr: float | None = None, w20_kt: float | None = None, seconds: float | None = None, seed: int = 0,
    jobs: int | None = None, px4: Path | None = None,
) -> list[Path]:  # fmt: skip
    """Fly simulated flights and write each as `flight_0000_<airframe>_<weather>.ulg` in `out`. Returns sorted paths.

    A flight depends on the seed and its number only: its bytes do not depend on `jobs`, and a longer series begins
    with the flights of a shorter one. Flights cycle through the airframes, and through calm, turbulent and changing
    air unless edr (ε^⅓, m^⅔/s) or w20_kt (wind at 20 ft, knots) is given.

    px4: a PX4 SITL build folder. PX4 then flies the same plans, one at a time unless `jobs` is larger, and each log is
    PX4's own with the truth added; its bytes differ from run to run.

    More than one job spawns processes: call this under `if __name__ == "__main__":` in a script.
    Raises SpecError for an argument out of range, ToolchainError without JSBSim, PX4 or MAVSDK, LinkError from PX4.
    """
    if jobs is not None and jobs < 1:
        raise SpecError(f"jobs = {jobs}: expected at least 1")
    requests = _requests(Path(out), flights, mission, airframe, edr, w20_kt, seconds, seed, px4)
    load_jsbsim()
    if px4 is not None:
        check(px4)
    Path(out).mkdir(parents=True, exist_ok=True)
    for _ in in_parallel(_fly_one, requests, jobs or (None if px4 is None else 1), "flight"):
        pass
    return sorted(path for _, path, _ in requests)


def _requests(
    out: Path, flights: int, mission: str | None, airframe: str | None, edr: float | None, w20_kt: float | None,
    seconds: float | None, seed: int, px4: Path | None,
) -> list[_Request]:  # fmt: skip
    seconds = DEFAULT_SECONDS if seconds is None else seconds
    mission = mission or catalog.DEFAULT_MISSION
    for name, value, valid, expected in (
        ("flights", flights, flights >= 1, "at least 1"),
        ("seed", seed, seed >= 0, "0 or more"),
        ("seconds", seconds, MIN_SECONDS <= seconds <= MAX_SECONDS, f"{MIN_SECONDS:.0f} to {MAX_SECONDS:.0f}"),
        ("edr", edr, edr is None or 0.0 <= edr <= 1.0, "0 to 1 m^(2/3)/s"),
        ("w20-kt", w20_kt, w20_kt is None or 0.0 <= w20_kt <= 60.0, "0 to 60 knots"),
        ("edr and w20-kt", (edr, w20_kt), edr is None or w20_kt is None, "only one of them"),
        ("mission", mission, mission in catalog.MISSIONS, "one of " + ", ".join(catalog.MISSIONS)),
    ):  # fmt: skip
        if not valid:
            raise SpecError(f"{name} = {value}: expected {expected}")
    if mission == "taps" and edr is None and w20_kt is None:
        edr = 0.0
    names = [airframes.airframe(airframe).name] if airframe else list(catalog.AIRFRAMES)
    order = np.random.default_rng(seed).permutation(len(names))
    w20_m_s = None if w20_kt is None else w20_kt * M_S_PER_KT
    requests = []
    for index in range(flights):
        name = names[order[index % len(names)]]
        condition, word = None, weather.condition_name(edr, w20_m_s)
        if edr is None and w20_m_s is None:
            # Shifted by one each round of the airframes, so that every airframe flies in every condition.
            turn = (index + index // len(names)) % len(weather.DRAWN_CONDITIONS)
            condition = word = weather.DRAWN_CONDITIONS[turn]
        flight = (seed, index, mission, name, condition, edr, w20_m_s, float(seconds))
        requests.append((flight, out / f"flight_{index:04d}_{name}_{word}.ulg", px4))
    return requests


def _fly_one(request: _Request) -> None:
    flight, path, px4 = request
    plan = plan_flight(*flight)
    if px4 is None:
        write_flight(plan, Simulator(plan).fly(), path)
    else:
        fly_px4(plan, Px4Build.open(px4), path)
