"""Logs, folders and processes of the command line tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROWS = 119
CAPTURES = 36


class Result(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


class Workshop(NamedTuple):
    """Folders of one session."""

    logs: Path
    dataset: Path
    bundle: Path


def write_gestures(path: Path, axis: int, captures: int = CAPTURES, seed: int = 0) -> Path:
    """An Arduino capture file: a swing along one axis, each of a different size."""
    rng = np.random.default_rng(seed)
    time = np.arange(ROWS) / 119.0
    text = ["aX,aY,aZ,gX,gY,gZ"]
    for _ in range(captures):
        rows = rng.normal(0.0, 0.05, (ROWS, 6)) * [1, 1, 1, 20, 20, 20]
        rows[:, 2] += 1.0
        rows[:, axis] += rng.uniform(1.0, 2.0) * np.sin(2 * np.pi * 2 * time + rng.uniform(0, 6))
        text += [",".join(f"{value:.3f}" for value in row) for row in rows] + [""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(text))
    return path


def write_logs(folder: Path) -> Path:
    """A folder with one file for each of two gestures."""
    write_gestures(folder / "vert.csv", axis=2, seed=1)
    write_gestures(folder / "hori.csv", axis=0, seed=2)
    return folder


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the command in its own process."""
    command = [sys.executable, "-m", "px4_tinyml.cli.main", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
