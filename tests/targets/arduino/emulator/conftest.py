"""The emulated node of a small model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from reference_models import reference_bundle
from toolchains import need_cortex_m

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.targets.arduino.build import build_node

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from node_talk import Build  # noqa: E402


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """The conv model at 25 Hz: a decision every 1.28 s."""
    return reference_bundle("conv", rate_hz=25, labels=("calm", "climb", "descend", "turbulence"))


@pytest.fixture(scope="session")
def pretrained() -> ModelBundle:
    return ModelBundle.load(pretrained_bundle())


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what only tests build is kept for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "emulated-node"


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
