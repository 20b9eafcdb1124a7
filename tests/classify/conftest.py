"""A small bundle, and a place of this run's own for what is built."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # live_samples
sys.path.append(str(Path(__file__).parents[1] / "link"))  # link_senders

from live_samples import small_bundle

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.targets.host.build import LIBRARY, build_host


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    return small_bundle()


@pytest.fixture(scope="session")
def folder(bundle: ModelBundle, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle on disk, its library built."""
    bundle.save(path := tmp_path_factory.mktemp("bundle") / "bundle")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Built libraries go to this run's folder, once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session")
def library(bundle: ModelBundle, own_cache: None) -> Path:
    """The bundle's libmotion.so."""
    return build_host(bundle).parent / LIBRARY
