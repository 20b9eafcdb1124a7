"""What every test may use: the shared flight logs, and the C++ compiler."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from px4_tinyml.emit.toolchain import compiler
from px4_tinyml.errors import ToolchainError

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))
from toolchains import missing  # noqa: E402

REPOSITORY = HERE.parent

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would the commands that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Every core has a test process of its own: the threads of boosted trees would wait for each other, ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with `data/` (real flight logs, not part of this repository) and `reference/` (int8 models)."""
    root = Path(os.environ.get("PX4_TINYML_SHARED", REPOSITORY.parent / "shared"))
    if not (root / "data" / "manifest.csv").is_file():
        pytest.skip("real flight logs are not here: set PX4_TINYML_SHARED to the folder that holds data/")
    return root


@pytest.fixture(scope="session")
def cxx() -> list[str]:
    """The C++ compiler of this computer, with its options."""
    try:
        return compiler()
    except ToolchainError as error:
        missing(str(error))


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built programs go to the folder of this run, once for all tests of a process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
