"""An engine on this computer: instructions counted by Valgrind (callgrind), exactly and repeatably."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.emit.toolchain import build_once, compiler, file_digest, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.targets.cortex_m.bench import Code

log = logging.getLogger(__name__)

FLAGS = ("-std=c++14", "-O2", "-Wall", "-Wextra", "-fno-exceptions", "-fno-rtti")
SECTIONS = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-nostartfiles", "-static")


def build_host_bench(code: Code) -> Path:
    """Folder with the command infer and the image footprint."""
    files = code.files
    command = [*compiler(), *FLAGS, *code.flags]
    version = run_tool([*compiler(), "--version"])

    def make(work: Path) -> Path:
        write_tree(work / "src", files)
        product = work / "product"
        product.mkdir()
        sources = [str(work / "src" / name) for name in ("footprint.cpp", *code.sources)]
        sources += [str(library) for library in code.libraries]
        main, include = str(work / "src" / "host_infer.cpp"), ("-I", str(work / "src"))
        run_tool([*command, *include, main, *sources, "-o", str(product / "infer")])
        # A C library that is needed wants a _start.
        root = ("-Wl,--entry=motion_footprint", "-Wl,--defsym=_start=motion_footprint")
        run_tool([*command, *include, *SECTIONS, *root, *sources, "-o", str(product / "footprint")])
        return product

    digests = [file_digest(library) for library in code.libraries]
    return build_once("host-bench", (command, SECTIONS, version, sorted(files.items()), digests), make)


def infer_on_host(command: Path, graph: Graph, x: I8) -> I8:
    """Rows x[N, input size] through the command infer → int8[N, output size]."""
    done = subprocess.run([str(command)], input=x.tobytes(), capture_output=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{command} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return np.frombuffer(done.stdout, np.int8).reshape(len(x), graph.output.size)


def count_on_host(command: Path, row: I8) -> int | None:
    """Instructions of one inference; None (and a note) where Valgrind is not installed."""
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
        found = re.search(r"^summary: (\d+)", counts.read_text(), re.MULTILINE) if counts.is_file() else None
        if done.returncode != 0 or found is None:
            raise ToolchainError(f"valgrind failed: {done.stderr.decode(errors='replace').strip()}")
        return int(found.group(1))
