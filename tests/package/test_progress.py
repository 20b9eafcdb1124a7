"""Progress is shown to a person at a terminal, and to nothing else."""

from __future__ import annotations

import io
import sys

import pytest

from px4_tinyml.progress import progress_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_of_shows_how_far_it_is_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_of(120.0, "a.BIN", "s of flight") as show:
        show(-1.0)
        monkeypatch.setattr("tqdm.std.tqdm.mininterval", 0.0, raising=False)
        for done in (30.0, 20.0, 60.0, 500.0):
            show(done)
    shown = terminal.getvalue()
    assert "a.BIN:   0 %|" in shown and " 0 of 120 s of flight, 00:00 gone, ? left" in shown
    assert "500" not in shown


def test_progress_of_is_silent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = io.StringIO()
    monkeypatch.setattr(sys, "stderr", nothing)
    with progress_of(120.0, "a.BIN", "s of flight") as show:
        show(60.0)
    assert nothing.getvalue() == ""
