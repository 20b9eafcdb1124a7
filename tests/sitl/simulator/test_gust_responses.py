"""Gust responses: what they depend on, and how they grow with EDR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.errors import SpecError
from px4_tinyml.signal.bands import band_rms
from px4_tinyml.signal.responses import SHIPPED, load_responses
from px4_tinyml_sitl.gust_responses import fly_responses, gust_response


def test_the_bytes_depend_on_the_seed_only(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two", "other")]
    for path, seed, jobs in zip(paths, (3, 3, 4), (1, 2, 2), strict=True):
        fly_responses(path, 2, seed, jobs)
    one, two, other = (path.read_bytes() for path in paths)
    assert one == two != other
    library = load_responses(paths[0])
    assert library.airframe == ("cine3", "250") and library.samples.shape == (2, 2000, 6)


def test_the_shipped_library_is_that_of_its_seed() -> None:
    """Response 3 of `make responses`; another processor may round a step differently."""
    shipped = load_responses(SHIPPED)
    name, response = gust_response(2026, 3)
    assert name == shipped.airframe[3]
    assert response == pytest.approx(shipped.samples[3], abs=0.0011)


def test_a_response_is_linear_in_edr() -> None:
    half, whole = (
        np.sqrt(np.sum(band_rms(gust_response(2026, 1, edr)[1][None], 50.0) ** 2, axis=1)) for edr in (0.15, 0.3)
    )
    assert whole / half == pytest.approx(2.0, rel=0.03)


def test_without_turbulence_there_is_no_response() -> None:
    assert not gust_response(2026, 4, 0.0)[1].any()


def test_arguments_out_of_range_are_errors(tmp_path: Path) -> None:
    for keywords in ({"count": 0}, {"seed": -1}, {"jobs": -1}):
        with pytest.raises(SpecError, match="expected at least"):
            fly_responses(tmp_path / "r.npz", **keywords)
