"""Flights that several tests use, flown once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from px4_tinyml_sitl.flight import FlightPlan, Flown, Simulator, plan_flight

sys.path.insert(0, str(Path(__file__).parent))  # sitl_flights


@pytest.fixture(scope="session")
def hover() -> object:
    """Fly a 40 s hover mission: (airframe, seed, EDR) to its plan and truth."""

    def fly(airframe: str, seed: int, edr: float) -> tuple[FlightPlan, Flown]:
        plan = plan_flight(seed, 0, "hover", airframe, None, edr, None, 40.0)
        return plan, Simulator(plan).fly()

    return fly


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Nine short flights, written by two processes."""
    from px4_tinyml_sitl.simulate import fly

    return fly(tmp_path_factory.mktemp("logs"), 9, seconds=40.0, seed=11, jobs=2)
