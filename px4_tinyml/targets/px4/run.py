"""The PX4 module itself on this computer: its sources and a stand-in for PX4 (sitl/px4_host), fed samples."""

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
from px4_tinyml.emit.toolchain import build_once, compiler, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import U64
from px4_tinyml.signal.classifier import COUNTERS, Classification
from px4_tinyml.signal.decision import DECISION, ONE_Q16
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.px4.generate import px4_files
from px4_tinyml.targets.px4.stand_in.script import Record, Script, decode_record
from px4_tinyml.targets.px4.stand_in.shim import LINK_OPTIONS, Harness, harness

COMMAND = "px4_host"
TIMEOUT_S = 600
PX4_OPTIONS = (
    *("-O2", "-fdata-sections", "-ffunction-sections", "-fomit-frame-pointer"),
    *("-fno-signed-zeros", "-fno-trapping-math", "-freciprocal-math", "-fno-math-errno", "-fno-strict-aliasing"),
    *("-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra"),
)
"""Compiler options of PX4 v1.17 that matter (cmake/px4_add_common_flags.cmake and the boards')."""
STATUS = {
    "decisions": r"decisions (\d+),",
    "sparse": r"windows too sparse (\d+),",
    "engine_failures": r"engine failures (\d+)",
    "reset_non_finite": r"reset, sample not finite: (\d+) events",
    "reset_backwards": r"reset, time ran backwards: (\d+) events",
    "reset_gap": r"reset, gap in time: (\d+) events",
    "reset_lost": r"reset, samples lost: (\d+) events",
}
"""Where `motion_classifier status` says what was counted."""


def px4_tree(bundle: ModelBundle) -> dict[str, str]:
    """The module's tree for a bundle, with the compiled engine."""
    return px4_files(bundle, "compiled")


def module_options(tree: Mapping[str, str]) -> list[str]:
    """Compiler options that the module's CMakeLists.txt sets whatever the engine and PX4's version are."""
    text = tree["src/modules/motion_classifier/CMakeLists.txt"]
    flags = re.search(r"COMPILE_FLAGS\n(.*?)\n\tINCLUDES\n", text, re.DOTALL)
    if flags is None:
        raise ToolchainError("CMakeLists.txt of motion_classifier has no COMPILE_FLAGS before INCLUDES")
    words = re.sub(r"#.*", "", flags[1]).split()
    return [word for word in words if word.startswith("-")]


class Px4Host:
    """A bundle's module, built; see `run`. made: its topics and parameters."""

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
        in the user's cache. Raises ToolchainError with the compiler's words.
        """
        self.spec = bundle.spec
        tree = px4_tree(bundle) if tree is None else tree
        self.made = harness(tree, px4)
        self.command = _build(self.made, form, [*module_options(tree), *options], options)

    def do(self, script: Script) -> Record:
        """Do a script; raises ToolchainError with the program's words when it fails or does not end."""
        with tempfile.TemporaryDirectory(prefix="px4-tinyml-") as name:
            paths = Path(name) / "script", Path(name) / "record"
            paths[0].write_bytes(script.encode())
            arguments = [str(self.command), *map(str, paths)]
            try:
                done = subprocess.run(arguments, capture_output=True, timeout=TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired as error:
                raise ToolchainError(f"{self.command} has not ended after {TIMEOUT_S} s") from error
            if done.returncode != 0:
                words = done.stderr.decode(errors="replace").strip()
                raise ToolchainError(f"{self.command} ended with {done.returncode}: {words}")
            return decode_record(paths[1].read_bytes(), self.made)

    def run(self, events: Feed) -> Classification:
        """A feed through the module. Raises ToolchainError when it does not start, say its status and stop."""
        script = Script(self.made)
        first, last = (int(events.imu_time_us[0]), int(events.imu_time_us[-1])) if len(events.imu) else (0, 0)
        script.command(first, "start")
        add_feed(script, events)
        return self.finish(script, last)[0]

    def finish(self, script: Script, last_us: int) -> tuple[Classification, Record]:
        """Let the module say its status and stop, do the script, and read what came out."""
        script.command(last_us, "status")
        script.command(last_us, "stop")
        record = self.do(script)
        for result in record.results:
            if result.code != 0:
                raise ToolchainError(f"motion_classifier failed: {record.printed(result.event).strip()}")
        return classification(record, self.spec, status_counts(record.printed(script.count - 2))), record


def _build(made: Harness, form: str, options: Sequence[str], link_options: Sequence[str]) -> Path:
    program = compiler()
    flags = [*PX4_OPTIONS, *made.options(form), *options]
    key = (program, run_tool([*program, "--version"]), flags, sorted(made.files.items()))

    def make(work: Path) -> Path:
        write_tree(work, made.files)
        objects = []
        for source in made.sources(form):
            objects.append(source.replace("/", "_") + ".o")
            run_tool([*program, *flags, "-c", source, "-o", objects[-1]], cwd=work)
        product = work / "product"
        product.mkdir()
        run_tool([*program, *link_options, *objects, *LINK_OPTIONS, "-o", f"product/{COMMAND}"], cwd=work)
        return product

    return build_once("px4-host", key, make) / COMMAND


def add_feed(script: Script, events: Feed, baro_fields: Mapping[str, Any] | None = None) -> None:
    """Publish a feed's samples as sensor_combined and vehicle_air_data, in its order.

    The clock is the IMU's; a barometer sample comes between the IMU's that are around it. baro_fields: other values
    in vehicle_air_data.
    """
    count = len(events.imu)
    delivered = int(events.baro_before[-1]) if count else 0
    after = np.searchsorted(events.baro_before, np.arange(delivered), side="right")
    imu = script.messages(
        "sensor_combined",
        events.imu_time_us,
        {
            "timestamp": events.imu_time_us,
            "accelerometer_m_s2": events.imu[:, :3],
            "gyro_rad": events.imu[:, 3:],
        },
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
    script.publish((baro, after), (imu, np.arange(count)))


def arrival_us(time_us: U64, imu_time_us: U64, after: NDArray[np.int64]) -> U64:
    """When samples arrive: at their own time, as far as the IMU's before and after (its index) allow it."""
    before_us = np.where(after > 0, imu_time_us[np.maximum(after - 1, 0)], imu_time_us[after])
    return np.asarray(np.minimum(np.maximum(time_us, before_us), imu_time_us[after]), np.uint64)


def status_counts(text: str) -> dict[str, int]:
    """What `motion_classifier status` counted, by the names of STATUS. Raises ToolchainError when it does not say."""
    found = {name: re.search(pattern, text) for name, pattern in STATUS.items()}
    missing = [name for name, match in found.items() if match is None]
    if missing:
        raise ToolchainError(f"`motion_classifier status` does not tell {', '.join(missing)}; it printed:\n{text}")
    return {name: int(match[1]) for name, match in found.items() if match is not None}


def classification(record: Record, spec: PipelineSpec, counts: dict[str, int]) -> Classification:
    """What was published as motion_classification, with the windows it was decided from."""
    published = record.decisions
    decisions = np.zeros(len(published), DECISION)
    span = spec.window
    end_slots = [spec.slot_of(int(end)) for end in published["timestamp_sample"].tolist()]
    decisions["start_us"] = [spec.slot_start_us(slot - span) for slot in end_slots]
    decisions["end_us"] = published["timestamp_sample"]
    decisions["confidence_q16"] = published["confidence"] * ONE_Q16
    decisions["probability"] = published["probabilities"] * 256
    for name in ("class_index", "flags", "label_count"):
        decisions[name] = published[name]
    inputs = spec.window * len(spec.channels)
    windows = record.windows.reshape(len(published), inputs + len(spec.labels))
    return Classification(windows[:, :inputs], windows[:, inputs:], decisions, {c: counts[c] for c in COUNTERS})
