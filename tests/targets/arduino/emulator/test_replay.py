"""`replay --targets node` on real logs, and what the node takes of a Nano 33 BLE."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from node_talk import Build, motion

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.replay.run_all import Replay
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import sample_records
from px4_tinyml.targets.arduino.run import run_node
from px4_tinyml.targets.base import footprint
from px4_tinyml.targets.boards import board

REAL = ("ascend_test.ulg", "frrs_gps_interference.ulg")
NANO = board("nano33ble")
IMU_HZ, BARO_HZ = 238, 75
"""Rates of a Nano 33 BLE Sense's sensors, as docs/node.md has them."""


def test_no_mismatches_on_real_logs(
    shared: Path, build: Build, pretrained: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    build(pretrained)  # or the reason why it cannot be
    logs = [str(shared / "data" / "ulg" / name) for name in REAL]
    assert main(["replay", str(pretrained_bundle()), *logs, "--targets", "python,node", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["targets"] == ["python", "node"]
    assert [log["mismatches"] for log in document["logs"]] == [0, 0, 0]
    assert all(log["windows"] > 40 for log in document["logs"][1:])


def test_awkward_samples(image: Path, bundle: ModelBundle) -> None:
    """Hours after the start; a clock set back, a gap, samples that are no numbers: the same decisions, one for one."""
    events = motion(60.0, start_us=90 * 60 * 1_000_000 * 50)
    time, imu = events.imu_time_us.copy(), events.imu.copy()
    time[500:] -= np.uint64(5_000_000)
    time[900:] += np.uint64(2_000_000)
    imu[1200] = np.nan
    imu[1300, 2] = np.inf
    awkward = dataclasses.replace(events, imu_time_us=time, imu=imu)
    done = Replay(bundle, ["numpy", "arduino"]).run_feed("awkward", awkward)
    assert done.mismatches == 0, done.pairs
    assert done.windows > 15
    assert [done.counts[f"reset_{why}"] for why in ("backwards", "gap", "non_finite")] == [1, 1, 2]


def test_another_model_is_reported(image: Path, bundle: ModelBundle) -> None:
    other = dataclasses.replace(bundle.spec, labels=("a", "b", "c", "d"))
    with pytest.raises(ToolchainError, match="runs spec"):
        run_node(image, motion(20.0), other)


def test_a_difference_is_found(image: Path, bundle: ModelBundle) -> None:
    """What compares only decisions sees one."""
    replay = Replay(bundle, ["numpy", "arduino"])
    louder = replay.runners["arduino"]
    replay.runners["arduino"] = lambda events: louder(dataclasses.replace(events, imu=events.imu * np.float32(1.5)))
    done = replay.run_feed("louder", motion(30.0))
    (pair,) = done.pairs.values()
    assert pair.mismatches and "decision is not" in pair.first


def test_flash_ram_and_load(build: Build, pretrained: ModelBundle) -> None:
    """Its linker script has the Nano's memory. The load: instructions of all loops with a sample in them, MAVLink
    included, of those the Nano has in the time. The figures themselves are printed.
    """
    image, seconds = build(pretrained), 12.0
    with EmulatedNode(image) as node:
        node.play(sample_records(motion(seconds, rate_hz=IMU_HZ, baro_hz=BARO_HZ)))
        work = node.work()
    size, stack = footprint(image, "arm-none-eabi-size"), work.stack_bytes
    print(f"flash {size.flash_bytes} bytes, variables {size.ram_bytes} (1024 of them are flash pages), stack {stack}")
    assert size.flash_bytes < NANO.flash_kb * 1024 * 0.05
    assert 500 < stack < 4096
    assert size.ram_bytes + stack < NANO.ram_kb * 1024 * 0.08

    assert work.busy_loops >= seconds * IMU_HZ
    busy = work.busy_instructions / (seconds * NANO.clock_hz)
    longest_ms = work.longest_instructions / NANO.clock_hz * 1e3
    print(f"busy {busy:.2%}, {work.busy_instructions / work.busy_loops:.0f} instructions a loop, {longest_ms:.2f} ms")
    assert 0.001 < busy < 0.05
    assert longest_ms < 1000 / IMU_HZ  # no sample is late for the inference
