"""Simulated flights: a JSBSim quadrotor in MIL-F-8785C turbulence, written as PX4 logs with the truth in them.

`fly` is the whole interface; docs/simulation.md says what the model is and how far it can be trusted.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from px4_tinyml.errors import SpecError
from px4_tinyml.progress import progress
from px4_tinyml.units import M_S_PER_KT

if TYPE_CHECKING:
    from px4_tinyml_sitl.weather import Condition

__all__ = ["DEFAULT_SECONDS", "fly"]

DEFAULT_SECONDS = 120.0
MIN_SECONDS = 20.0


@dataclass(frozen=True)
class _Request:
    """What one process needs to fly one flight."""

    path: Path
    seed: int
    index: int
    mission: str
    airframe: str
    condition: Condition | None
    edr: float | None
    w20_m_s: float | None
    seconds: float
    px4: Path | None


def fly(
    out: Path, flights: int, *, mission: str | None = None, airframe: str | None = None,
    edr: float | None = None, w20_kt: float | None = None, seconds: float | None = None, seed: int = 0,
    jobs: int | None = None, px4: Path | None = None,
) -> list[Path]:  # fmt: skip
    """Fly simulated flights and write each as `flight_0000_<airframe>_<weather>.ulg` in `out`.

    A flight depends on the seed and its number only: the bytes are the same whatever `jobs` is, and the first flights
    of a longer series are those of a shorter one. Airframes take turns, and so do calm, turbulent and changing
    air, unless edr (ε^⅓, m^⅔/s) or w20_kt (wind at 20 ft, knots) fix it. Returns the paths, sorted.

    px4: a PX4 SITL build folder. Then a real PX4 flies the same plans, one at a time unless `jobs` says more, and the
    log is PX4's own with the truth added; its bytes are not the same every time.

    More than one job starts processes (spawn): a script calls this under `if __name__ == "__main__":`.
    """
    from px4_tinyml_sitl.world import load_jsbsim

    if jobs is not None and jobs < 1:
        raise SpecError(f"jobs = {jobs}: expected at least 1")
    requests = _requests(Path(out), flights, mission, airframe, edr, w20_kt, seconds, seed, px4)
    load_jsbsim()
    if px4 is not None:
        from px4_tinyml_sitl.px4.fly_px4 import check

        check(px4)
    Path(out).mkdir(parents=True, exist_ok=True)
    jobs = min(len(requests), jobs or (os.cpu_count() if px4 is None else 1) or 1)
    with _mapper(jobs) as mapped:
        for _ in progress(mapped(requests), "fly", total=len(requests), unit="flight"):
            pass
    return sorted(request.path for request in requests)


def _requests(
    out: Path, flights: int, mission: str | None, airframe: str | None, edr: float | None, w20_kt: float | None,
    seconds: float | None, seed: int, px4: Path | None,
) -> list[_Request]:  # fmt: skip
    import numpy as np

    from px4_tinyml_sitl import airframes, missions, weather

    seconds = DEFAULT_SECONDS if seconds is None else seconds
    mission = mission or missions.DEFAULT_MISSION
    for what, value, good, expected in (
        ("flights", flights, flights >= 1, "at least 1"),
        ("seed", seed, seed >= 0, "0 or more"),
        ("seconds", seconds, MIN_SECONDS <= seconds <= 3600.0, f"{MIN_SECONDS:.0f} to 3600"),
        ("edr", edr, edr is None or 0.0 <= edr <= 1.0, "0 to 1 m^(2/3)/s"),
        ("w20-kt", w20_kt, w20_kt is None or 0.0 <= w20_kt <= 60.0, "0 to 60 knots"),
        ("edr and w20-kt", (edr, w20_kt), edr is None or w20_kt is None, "only one of them"),
        ("mission", mission, mission in missions.MISSIONS, "one of " + ", ".join(missions.MISSIONS)),
    ):  # fmt: skip
        if not good:
            raise SpecError(f"{what} = {value}: expected {expected}")
    names = [airframes.airframe(airframe).name] if airframe else list(airframes.airframes())
    order = np.random.default_rng(seed).permutation(len(names))
    fixed = edr is not None or w20_kt is not None
    w20_m_s = None if w20_kt is None else w20_kt * M_S_PER_KT
    requests = []
    for index in range(flights):
        name = names[order[index % len(names)]]
        # The turn of the weather moves on with each round of the airframes, so that each meets all of it.
        turn = (index + index // len(names)) % len(weather.DRAWN_CONDITIONS)
        condition = None if fixed else weather.DRAWN_CONDITIONS[turn]
        word = weather.condition_name(edr, w20_m_s) if condition is None else condition
        requests.append(
            _Request(
                out / f"flight_{index:04d}_{name}_{word}.ulg", seed, index, mission, name, condition, edr, w20_m_s,
                float(seconds), px4,
            )
        )  # fmt: skip
    return requests


def _fly_one(request: _Request) -> Path:
    """One flight, start to file."""
    from px4_tinyml_sitl.flight import Simulator, plan_flight
    from px4_tinyml_sitl.write_flight import write_flight

    plan = plan_flight(
        request.seed, request.index, request.mission, request.airframe, request.condition, request.edr,
        request.w20_m_s, request.seconds,
    )  # fmt: skip
    if request.px4 is None:
        write_flight(plan, Simulator(plan).fly(), request.path)
    else:
        from px4_tinyml_sitl.px4.fly_px4 import fly_px4
        from px4_tinyml_sitl.px4.px4_process import Px4Build

        fly_px4(plan, Px4Build.open(request.px4), request.path)
    return request.path


@contextmanager
def _mapper(jobs: int) -> Iterator[Callable[[list[_Request]], Iterator[Path]]]:
    """`map` over requests, in this process or in several."""
    if jobs == 1:
        yield functools.partial(map, _fly_one)
        return
    # spawn: safe whatever threads the caller has started (TensorFlow does).
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield functools.partial(pool.imap_unordered, _fly_one)
