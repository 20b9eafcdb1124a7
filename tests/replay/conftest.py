"""Bundles around the two models of benchmarks/, and feeds for them."""

from __future__ import annotations

import pytest
from reference_models import SPECS, hostile_feed, reference_bundle

from px4_tinyml.bundle import ModelBundle


@pytest.fixture(scope="session")
def bundles() -> dict[str, ModelBundle]:
    return {name: reference_bundle(name, hostile_feed(1, 20.0)) for name in SPECS}


@pytest.fixture(params=SPECS)
def bundle(request: pytest.FixtureRequest, bundles: dict[str, ModelBundle]) -> ModelBundle:
    return bundles[request.param]


@pytest.fixture(autouse=True)
def cache(own_cache: None) -> None:
    """Built programs go to the folder of this run."""
