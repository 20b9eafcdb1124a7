"""examples/node_companion.py: who listens to the emulated node's serial port hears its classes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_talk import Build

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.logs import read_log

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "node_companion.py"
LOG = "ascend_test.ulg"
PX4_BUILD = "PX4_TINYML_PX4_BUILD"


@pytest.fixture(scope="module")
def log(shared: Path, build: Build, pretrained: ModelBundle) -> Path:
    build(pretrained)
    return shared / "data" / "ulg" / LOG


def run(*arguments: object) -> str:
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expected(log: Path, bundle: ModelBundle) -> Counter[str]:
    """Decisions by class, as Python has them."""
    (flight,) = read_log(log)
    names = [*bundle.spec.labels, "uncertain"]
    return Counter(names[index] for index in bundle.classifier().classify(flight).decisions["class_index"])


def counted(words: str, where: str) -> Counter[str]:
    (line,) = [line for line in words.splitlines() if re.match(rf"{where}: \d+ decisions", line)]
    return Counter({name: int(count) for count, name in re.findall(r"(\d+) (\w+)(?:,|$)", line.split(": ", 2)[2])})


def test_companion(log: Path, pretrained: ModelBundle) -> None:
    words = run(log, "--speed", "6")
    assert counted(words, "companion") == expected(log, pretrained)
    assert "companion: text 'Turbulence (66 %)'" in words


@pytest.fixture
def served(log: Path) -> Iterator[str]:
    """The node's port for a user of the example."""
    process = subprocess.Popen([sys.executable, str(EXAMPLE), str(log), "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().split(";")[0].split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_recorder(served: str, tmp_path: Path) -> None:
    """`record` records the node's messages and requests its IMU."""
    command = [
        *(sys.executable, "-m", "px4_tinyml.cli.main", "record", f"serial:{served}:57600"),
        *("--out", str(tmp_path), "--seconds", "6", "--json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    (recording,) = tmp_path.glob("*.tlog")
    data = recording.read_bytes()
    assert data.count(b"MOTION") > 10, facts
    (flight,) = read_log(recording)
    assert len(flight.imu) > 100, facts


@pytest.mark.px4
def test_px4(log: Path, pretrained: ModelBundle) -> None:
    """Classes arrive in debug_array on the flight controller and, forwarded, at the ground station."""
    folder = os.environ.get(PX4_BUILD)
    if not folder:
        pytest.skip(f"no PX4: set {PX4_BUILD} to a PX4 SITL build folder with the module in it (docs/px4_sitl.md)")
    words = run(log, "--speed", "1.5", "--px4", folder)
    assert counted(words, "ground station") == expected(log, pretrained)
    _, listener = words.split("`listener debug_array`:")
    assert 'name: "MOTION"' in listener and "id: 77" in listener
    assert f"{pretrained.spec.hash24:.5f}" in listener
