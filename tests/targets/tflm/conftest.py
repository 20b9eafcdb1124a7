"""TensorFlow Lite Micro where the environment names one, and a bundle to generate from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from reference_models import hostile_feed, reference_bundle
from toolchains import missing, need, need_cortex_m

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.tflm.build import DIR_VARIABLE, TflmTree


@pytest.fixture(autouse=True)
def cache(own_cache: None) -> None:
    """Built programs go to the folder of this run."""


@pytest.fixture
def tree() -> Callable[[str], TflmTree]:
    """The tree that the environment names for a target; skips without one, fails when its files are missing."""

    def find(target: str) -> TflmTree:
        if not os.environ.get(DIR_VARIABLE):
            pytest.skip(f"{DIR_VARIABLE} is not set: no TensorFlow Lite Micro here (docs/tflm.md)")
        if target != "host":
            need_cortex_m()
        try:
            found = TflmTree.find(target)
        except ToolchainError as error:
            missing(str(error))
        assert found is not None
        return found

    return find


@pytest.fixture
def tools() -> None:
    need("make", "cmake")


@pytest.fixture(scope="session")
def feed() -> Feed:
    return hostile_feed(3, 120.0)


@pytest.fixture(scope="session")
def bundle(feed: Feed) -> ModelBundle:
    return reference_bundle("conv", feed, 4096)


@pytest.fixture
def project(bundle: ModelBundle, tmp_path: Path) -> Callable[[str], Path]:
    """Folder of the project that `generate` writes for a target."""
    bundle.save(tmp_path / "bundle")

    def generate(target: str) -> Path:
        out = tmp_path / target
        assert main(["generate", target, str(tmp_path / "bundle"), "--out", str(out), "--engine", "tflm"]) == 0
        return out

    return generate
