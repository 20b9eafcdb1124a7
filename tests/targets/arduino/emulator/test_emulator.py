"""The emulator as a process: its input, and its errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from node_talk import motion

from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.arduino.build import node_sources
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import BARO, IMU, pressure_pa, sample_records, time_record


def test_records_are_in_the_order_of_delivery() -> None:
    events = motion(2.0, baro_hz=7)
    records = sample_records(events)
    assert len(records) == len(events.imu) + int(events.baro_before[-1])
    assert (np.diff(records.time_us.astype(np.int64)) >= 0).all()
    kinds = [row[:1] for row in records.rows]
    assert [len(row) for row in records.rows] == [{b"i": IMU, b"a": BARO}[kind].itemsize for kind in kinds]
    assert kinds.index(b"i") == events.baro_before[0] and kinds.count(b"i") == len(events.imu)
    assert b"".join(records.part(n, n + 5) for n in range(0, len(records), 5)) == b"".join(records.rows)
    assert records.part(0, 0) == b"" and len(sample_records(motion(0.0))) == 0


def test_pressure_is_the_standard_atmospheres() -> None:
    assert pressure_pa([0, 1000, 11000]) == pytest.approx([101325, 89875, 22632], rel=2e-4)


def test_time_passes_without_samples(image: Path) -> None:
    """A silent IMU is reported, and its return."""
    events = motion(3.0)
    with EmulatedNode(image) as node:
        assert node.telemetry is not None
        node.telemetry.settimeout(30)
        node.play(sample_records(events))
        for second in range(20):
            node.send(time_record(13_000_000 + second * 100_000))
        node.play(sample_records(motion(1.0, start_us=20_000_000)))
        heard = b""
        while b"IMU is back" not in heard:
            heard += node.telemetry.recv(4096)
    assert heard.index(b"IMU silent") < heard.index(b"IMU is back")


def test_a_crash_is_reported(image: Path) -> None:
    with EmulatedNode(image) as node:
        assert node.running
        os.kill(node.pid, signal.SIGKILL)
        with pytest.raises(ToolchainError, match="has ended \\(-9\\)"):
            node.play(sample_records(motion(60.0)))
        assert not node.running


def test_it_ends_with_who_started_it(image: Path) -> None:
    """Also when that is killed and cannot clean up."""
    code = "import sys, time, pathlib; from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode\n"
    code += f"node = EmulatedNode(pathlib.Path({str(image)!r})); print(node.pid, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    emulator = int(process.stdout.readline())
    assert Path(f"/proc/{emulator}").exists()
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 20
    while time.monotonic() < end and running(emulator):
        time.sleep(0.05)
    assert not running(emulator)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_invalid_image_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"has ended \(1\): (.|\n)*Could not load kernel"):
        EmulatedNode(tmp_path / "nothing")


def test_no_emulator(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolchainError, match=r"apt-get install .* qemu-system-arm"):
        EmulatedNode(image)


def test_no_sketch() -> None:
    with pytest.raises(ToolchainError, match="generate arduino"):
        node_sources({"motion_node/src/a.cpp": ""})
