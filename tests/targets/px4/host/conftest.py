"""The module of the pretrained bundle, built around the stand-in for PX4 with the address and undefined sanitizers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.signal.classifier import Classifier
from px4_tinyml.targets.px4.run import Px4Host

sys.path.insert(0, str(Path(__file__).parent))  # px4_host_feeds and px4_host_flight

SANITIZERS = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""The first includes the leak sanitizer; any finding ends the program with an error."""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Built programs go to the folder of this run, once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["XDG_CACHE_HOME"] = str(folder / "px4-host-cache")


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    return ModelBundle.load(pretrained_bundle())


@pytest.fixture(scope="session")
def python(bundle: ModelBundle) -> Classifier:
    """The reference."""
    return bundle.classifier()


@pytest.fixture(scope="session")
def host(bundle: ModelBundle, cxx: list[str]) -> Px4Host:
    return Px4Host(bundle, options=SANITIZERS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.ulg"
