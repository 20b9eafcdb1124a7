"""Tests that miss a tool: they skip, and fail where every tool must be there."""

from __future__ import annotations

from pathlib import Path

import pytest
import toolchains

REQUIRED = "PX4_TINYML_REQUIRE_TOOLCHAINS"


def test_what_is_there_is_not_missed() -> None:
    toolchains.need("sh")
    toolchains.need_wheel("numpy", "everything is made of it")


def test_what_is_missing_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"nm, simavr not installed: apt-get install binutils simavr"):
        toolchains.need("nm", "simavr")
    with pytest.raises(pytest.skip.Exception, match="no_such_wheel not installed, and it is wanted"):
        toolchains.need_wheel("no_such_wheel", "it is wanted")
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match=rf"apt-get install clang \({REQUIRED}=1\)"):
        toolchains.need("clang++")


def test_nobody_else_decides_it() -> None:
    tests = Path(toolchains.__file__).parent
    own = {Path(toolchains.__file__), Path(__file__)}
    texts = {path: path.read_text(encoding="utf-8") for path in set(tests.rglob("*.py")) - own}
    assert [path.name for path, text in texts.items() if REQUIRED in text or "importorskip" in text] == []
