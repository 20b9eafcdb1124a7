"""The compiler and the emulator, and bundles around the reference models."""

from __future__ import annotations

import pytest
from reference_models import hostile_feed, reference_bundle
from toolchains import need_cortex_m

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.slots import Feed


@pytest.fixture(autouse=True)
def toolchain(own_cache: None) -> None:
    """Images go to the folder of this run."""
    need_cortex_m()


@pytest.fixture
def feed() -> Feed:
    return hostile_feed(7, 120.0)


@pytest.fixture(scope="session")
def conv() -> ModelBundle:
    return reference_bundle("conv", hostile_feed(1, 20.0))
