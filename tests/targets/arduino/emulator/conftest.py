"""The emulated node of a small model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from reference_models import reference_bundle
from toolchains import need_cortex_m

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.targets.arduino.build import build_node

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from node_talk import Build


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """The conv model at 25 Hz: a decision every 1.28 s."""
    return reference_bundle("conv", rate_hz=25, labels=("calm", "climb", "descend", "turbulence"))


@pytest.fixture(scope="session")
def pretrained() -> ModelBundle:
    return ModelBundle.load(pretrained_bundle())


@pytest.fixture(scope="session")
def build() -> Build:
    """A bundle's node as an image, kept in the user's cache like what `replay` builds."""

    def make(bundle: ModelBundle) -> Path:
        need_cortex_m()
        return build_node(bundle)

    return make


@pytest.fixture(scope="session")
def image(build: Build, bundle: ModelBundle) -> Path:
    return build(bundle)
