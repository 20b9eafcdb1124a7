"""The command as a process: streams, closed pipes, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_workshop import Workshop, start

TIMEOUT_S = 60


def test_results_and_messages_go_to_different_streams(workshop: Workshop) -> None:
    process = start("classify", workshop.bundle, workshop.logs, "--json")
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0 and len(json.loads(out)["logs"]) > 40
    assert err.count("INFO: ") == len(json.loads(out)["logs"])


@pytest.mark.parametrize("command", ["classify", "inspect"])
def test_a_closed_pipe_ends_the_command_quietly(workshop: Workshop, command: str) -> None:
    process = start(command, *([workshop.bundle] if command == "classify" else []), workshop.logs)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=TIMEOUT_S) == 1
    assert "Traceback" not in err and "Exception ignored" not in err and "BrokenPipe" not in err


def test_ctrl_c_ends_a_training_quietly(workshop: Workshop, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    process = start("train", workshop.dataset, "--out", out, "--epochs", "100000", "--debug")
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 2" in line:
            break
    process.send_signal(signal.SIGINT)
    out_text, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130 and err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err and out_text == ""
    assert not (out / "manifest.json").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    process = start("train", tmp_path / "none", "--out", tmp_path / "out", "--debug")
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1 and "Traceback" in err and "DatasetError" in err


def test_a_terminal_without_unicode_still_works(workshop: Workshop) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "evaluate", str(workshop.bundle), str(workshop.dataset)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0 and "macro-F1" in done.stdout and "Traceback" not in done.stderr
