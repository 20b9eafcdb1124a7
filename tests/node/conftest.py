"""The emulated node of a small model, and what tests say to it."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchains import need_cortex_m

from px4_tinyml.convert.bundle import ModelBundle
from px4_tinyml.paths import pretrained_bundle
from px4_tinyml.replay.node import build_node
from px4_tinyml.spec import PRESETS, DecisionSpec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # node_talk

MODELS = HERE.parents[1] / "benchmarks" / "models"


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """The conv model at 25 Hz: a decision every 1.28 s. It has random weights and never says more than 0.3."""
    spec = dataclasses.replace(
        PRESETS["imu6"],
        rate_hz=25,
        labels=("calm", "climb", "descend", "turbulence"),
        offset=(0.1, -0.2, -9.8, 0.0, 0.01, 0.0),
        inv_scale=(0.4, 0.4, 0.3, 2.0, 2.0, 3.0),
        decision=DecisionSpec(enter=0.285, leave=0.28),
    )
    model = (MODELS / "conv.tflite").read_bytes()
    return ModelBundle(spec=spec, model=model, float_model=b"none", manifest={}, golden={})


@pytest.fixture(scope="session")
def pretrained() -> ModelBundle:
    return ModelBundle.load(pretrained_bundle())


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what only tests build is kept for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "emulated-node"


Build = Callable[[ModelBundle], Path]


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
