"""Runs programs in QEMU: files in, files out."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.base import Runner
from px4_tinyml.targets.cortex_m.build import CPUS, build_cortex_m, tool
from px4_tinyml.targets.host.run import decode_dump, encode_feed

EMULATOR = "qemu-system-arm"
TIMEOUT_S = 600
COUNTING = ("-icount", "shift=6")
"""Virtual time is 64 ns an instruction, independent of this computer's load."""


def emulator() -> str:
    """Path of QEMU; raises ToolchainError when it is not installed."""
    return tool(EMULATOR)


def emulator_command(image: Path, cpu: str, *options: str) -> list[str]:
    """The command that runs an image; semihosting uses files in the working directory."""
    silent = ("-display", "none", "-monitor", "none", "-serial", "none")
    semihosting = ("-semihosting-config", "enable=on,target=native")
    return [emulator(), "-M", CPUS[cpu].machine, *silent, *semihosting, *options, "-kernel", str(image.resolve())]


def run_image(
    image: Path, cpu: str, inputs: Mapping[str, bytes], outputs: Sequence[str], options: Sequence[str] = ()
) -> dict[str, bytes]:
    """Write a program's input files, run it, and return its output files, by name.

    Raises ToolchainError with its message when it fails or does not end.
    """
    with tempfile.TemporaryDirectory(prefix="px4-tinyml-") as name:
        folder = Path(name)
        for file, data in inputs.items():
            (folder / file).write_bytes(data)
        command = emulator_command(image, cpu, *options)
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise ToolchainError(f"{image.name} on {cpu} has not ended after {TIMEOUT_S} s in {EMULATOR}") from error
        if done.returncode != 0:
            message = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise ToolchainError(f"{image.name} on {cpu} ended with {done.returncode} in {EMULATOR}: {message}")
        return {file: (folder / file).read_bytes() for file in outputs}


def cortex_m_runner(bundle: ModelBundle, cpu: str) -> Runner:
    """Build the image for a bundle; returns what runs a feed through it. Raises ToolchainError."""
    emulator()
    image = build_cortex_m(bundle, cpu)
    return lambda events: run_cortex_m(image, cpu, events)


def run_cortex_m(image: Path, cpu: str, events: Feed) -> Classification:
    """A feed through the image of `build_cortex_m`."""
    return decode_dump(run_image(image, cpu, {"feed": encode_feed(events)}, ["dump"])["dump"])
