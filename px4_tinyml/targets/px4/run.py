"""Runs the PX4 module on this computer, in a stand-in for PX4 (stand_in/): samples in, decisions out."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import U64
from px4_tinyml.logs.ulog.ulog_file import Topic
from px4_tinyml.signal.classifier import COUNTERS, Classification
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.compare import reported_decisions
from px4_tinyml.targets.px4.build import build_module, module_options
from px4_tinyml.targets.px4.generate import px4_files
from px4_tinyml.targets.px4.stand_in.script import Publications, Record, Script, decode_record
from px4_tinyml.targets.px4.stand_in.shim import make_harness

TIMEOUT_S = 600
STATUS = {
    "decisions": r"decisions (\d+),",
    "sparse": r"windows too sparse (\d+),",
    "engine_failures": r"engine failures (\d+)",
    "reset_non_finite": r"reset, sample not finite: (\d+) events",
    "reset_backwards": r"reset, time ran backwards: (\d+) events",
    "reset_gap": r"reset, gap in time: (\d+) events",
    "reset_lost": r"reset, samples lost: (\d+) events",
}
"""Patterns of the counts in the output of `motion_classifier status`."""


class Px4Host:
    """A bundle's module, built; see `run`. harness: its topics and parameters."""

    def __init__(
        self,
        bundle: ModelBundle,
        form: str = "crtp",
        options: Sequence[str] = (),
        tree: Mapping[str, str] | None = None,
        px4: Path | None = None,
    ) -> None:
        """form: of ModuleBase, see shim.MODULE_FORMS. options: more for compiler and linker.

        tree: of the module, instead of the bundle's. px4: a checkout to take PX4's messages from. Built once and kept
        in the user's cache. Raises ToolchainError with the compiler's output.
        """
        self.spec = bundle.spec
        tree = px4_files(bundle, "compiled") if tree is None else tree
        self.harness = make_harness(tree, px4)
        self.command = build_module(self.harness, form, [*module_options(tree), *options], options)

    def play(self, script: Script) -> Record:
        """Run a script; raises ToolchainError with the program's message when it fails or does not end."""
        with tempfile.TemporaryDirectory(prefix="px4-tinyml-") as name:
            paths = Path(name) / "script", Path(name) / "record"
            paths[0].write_bytes(script.encode())
            arguments = [str(self.command), *map(str, paths)]
            try:
                done = subprocess.run(arguments, capture_output=True, timeout=TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired as error:
                raise ToolchainError(f"{self.command} has not ended after {TIMEOUT_S} s") from error
            if done.returncode != 0:
                message = done.stderr.decode(errors="replace").strip()
                raise ToolchainError(f"{self.command} ended with {done.returncode}: {message}")
            return decode_record(paths[1].read_bytes(), self.harness)

    def run(self, events: Feed) -> Classification:
        """A feed through the module. Raises ToolchainError when a command of the module fails."""
        script = Script(self.harness)
        first, last = (int(events.imu_time_us[0]), int(events.imu_time_us[-1])) if len(events.imu) else (0, 0)
        script.command(first, "start")
        add_feed(script, events)
        return self.finish(script, last)[0]

    def finish(self, script: Script, last_us: int) -> tuple[Classification, Record]:
        """Add the commands `status` and `stop`, run the script, and return the results."""
        script.command(last_us, "status")
        script.command(last_us, "stop")
        record = self.play(script)
        for result in record.results:
            if result.code != 0:
                raise ToolchainError(f"motion_classifier failed: {record.printed(result.event).strip()}")
        counts = status_counts(record.printed(script.count - 2))
        decisions = published_decisions(record.decisions, self.spec)
        inputs = self.spec.window * len(self.spec.channels)
        windows = record.windows.reshape(len(decisions), inputs + len(self.spec.labels))
        done = Classification(windows[:, :inputs], windows[:, inputs:], decisions, {c: counts[c] for c in COUNTERS})
        return done, record


def add_feed(script: Script, events: Feed, baro_fields: Mapping[str, Any] | None = None) -> list[NDArray[np.int64]]:
    """Publish a feed's samples as sensor_combined and vehicle_air_data, in its order.

    The clock is the IMU's; a barometer sample is published between the IMU samples around it. baro_fields: other
    values in vehicle_air_data. Returns the indices of the actions, of the barometer and of the IMU.
    """
    count = len(events.imu)
    delivered = int(events.baro_before[-1]) if count else 0
    after = np.searchsorted(events.baro_before, np.arange(delivered), side="right")
    imu = script.messages(
        "sensor_combined",
        events.imu_time_us,
        {"timestamp": events.imu_time_us, "accelerometer_m_s2": events.imu[:, :3], "gyro_rad": events.imu[:, 3:]},
    )
    baro_clock_us = arrival_us(events.baro_time_us[:delivered], events.imu_time_us, after)
    baro = script.messages(
        "vehicle_air_data",
        baro_clock_us,
        {
            "timestamp": events.baro_time_us[:delivered],
            "timestamp_sample": events.baro_time_us[:delivered],
            "baro_alt_meter": events.baro_altitude_m[:delivered],
            **(baro_fields or {}),
        },
    )
    # Barometer first: the stable order of equal positions.
    return script.publish((baro, after), (imu, np.arange(count)))


def arrival_us(time_us: U64, imu_time_us: U64, after: NDArray[np.int64]) -> U64:
    """Arrival times of samples: their own, limited by the IMU samples before and after (index)."""
    before_us = np.where(after > 0, imu_time_us[np.maximum(after - 1, 0)], imu_time_us[after])
    return np.asarray(np.minimum(np.maximum(time_us, before_us), imu_time_us[after]), np.uint64)


def status_counts(text: str) -> dict[str, int]:
    """Counts in the output of `motion_classifier status`, by the names of STATUS. Raises ToolchainError without one."""
    matches = {name: re.search(pattern, text) for name, pattern in STATUS.items()}
    missing = [name for name, match in matches.items() if match is None]
    if missing:
        raise ToolchainError(f"`motion_classifier status` does not print {', '.join(missing)}; its output:\n{text}")
    return {name: int(match[1]) for name, match in matches.items() if match is not None}


def published_decisions(topic: Topic | Publications, spec: PipelineSpec) -> NDArray[np.void]:
    """Messages motion_classification as decisions (dtype DECISION)."""
    names = ("class_index", "flags", "confidence", "probabilities")
    decisions = reported_decisions(topic["timestamp_sample"], {name: topic[name] for name in names}, spec)
    decisions["label_count"] = topic["label_count"]
    return decisions
