"""An engine on this computer: instructions counted by Valgrind (callgrind), exactly and repeatably."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.write import text_files
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.targets.base import Code, Cost, Subject, footprint
from px4_tinyml.targets.host.build import build_host_programs
from px4_tinyml.targets.host.generate import TEMPLATES

log = logging.getLogger(__name__)

# A C library that is linked in needs a _start.
_FOOTPRINT = (
    "-Wl,--gc-sections", "-nostartfiles", "-static", "-Wl,--entry=motion_footprint",
    "-Wl,--defsym=_start=motion_footprint",
)  # fmt: skip


def measure_host(subject: Subject, code: Code, cost: Cost) -> Cost:
    """The cost with instructions, flash and RAM. Raises ParityError when the outputs are wrong, or ToolchainError."""
    built = build_host_bench(replace(code, spec=None))
    subject.check(infer_on_host(built / "infer", subject.graph, subject.x))
    size = footprint(built / "footprint", "size")
    return replace(
        cost,
        instructions=count_on_host(built / "infer", subject.x[:1]),
        flash_bytes=size.flash_bytes - cost.weights_bytes,
        ram_bytes=size.ram_bytes,
    )


def build_host_bench(code: Code) -> Path:
    """Folder with the command infer and the image footprint."""
    sections = ("-ffunction-sections", "-fdata-sections")
    programs = {
        "infer": code.program("infer.cpp", "footprint.cpp"),
        "footprint": code.program("footprint.cpp", flags=sections, link_flags=_FOOTPRINT),
    }
    return build_host_programs({**code.files, **text_files(TEMPLATES / "bench")}, programs)


def infer_on_host(command: Path, graph: Graph, x: I8) -> I8:
    """Rows x[N, input size] through the command infer → int8[N, output size]."""
    done = subprocess.run([str(command)], input=x.tobytes(), capture_output=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{command} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return np.frombuffer(done.stdout, np.int8).reshape(len(x), graph.output.size)


def count_on_host(command: Path, row: I8) -> int | None:
    """Instructions of one inference; None, with a warning, where Valgrind is not installed."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        log.warning("instructions on this computer are not counted: install valgrind")
        return None
    with tempfile.TemporaryDirectory(prefix="px4-tinyml-") as folder:
        options = ["--tool=callgrind", "--toggle-collect=motion_footprint", "--callgrind-out-file=counts"]
        done = subprocess.run(
            [valgrind, *options, str(command)], input=row.tobytes(), cwd=folder, capture_output=True, check=False
        )
        counts = Path(folder) / "counts"
        summary = re.search(r"^summary: (\d+)", counts.read_text(), re.MULTILINE) if counts.is_file() else None
        if done.returncode != 0 or summary is None:
            raise ToolchainError(f"valgrind failed: {done.stderr.decode(errors='replace').strip()}")
        return int(summary.group(1))
