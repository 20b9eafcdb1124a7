"""Two small files of gestures, and the data set and bundle that the command line makes of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # cli_workshop

from cli_workshop import Result, Workshop, write_logs

from px4_tinyml.cli.main import main


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]):
    """Run a command here: `run("dataset", folder, "--out", other)`."""

    def run_command(*arguments: object) -> Result:
        capfd.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run_command


@pytest.fixture
def fails(run):
    """Run a command that must fail with a code, one line and no traceback; returns that line."""

    def run_and_check(code: int, *arguments: object) -> str:
        result = run(*arguments)
        lines = [line for line in result.err.splitlines() if line.startswith(f"px4-tinyml {arguments[0]}: ")]
        assert result.code == code and len(lines) == 1, result
        assert "Traceback" not in result.err and result.err.rstrip().endswith(lines[0])
        return lines[0]

    return run_and_check


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Gestures, their data set and a dense bundle; the folder's name has spaces, brackets and umlauts."""
    root = tmp_path_factory.mktemp("cli") / "Prüf stand #1 [β]"
    made = Workshop(write_logs(root / "logs"), root / "set", root / "bundle")
    assert main(["dataset", str(made.logs), "--preset", "arduino119", "--out", str(made.dataset)]) == 0
    training = ["train", str(made.dataset), "--out", str(made.bundle), "--arch", "dense", "--epochs", "30"]
    assert main(training) == 0
    return made
