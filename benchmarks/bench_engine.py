"""`make bench`: both reference models on Cortex-M4 and M7, into results/engine.json. The same every time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from px4_tinyml.bench.cost_table import table
from px4_tinyml.bench.document import row
from px4_tinyml.bench.measure import measure_all, read_subject
from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.targets.cortex_m.build import COMPILER, CPUS, tool
from px4_tinyml.targets.cortex_m.run import EMULATOR

HERE = Path(__file__).resolve().parent
MODELS = ("dense", "conv")


def main() -> int:
    subjects = [read_subject(HERE / "models" / f"{name}.tflite") for name in MODELS]
    costs = [cost for subject in subjects for cost in measure_all(subject, list(CPUS))]
    tools = {name: run_tool([tool(name), "--version"]).splitlines()[0] for name in (COMPILER, EMULATOR)}
    results = HERE / "results" / "engine.json"
    results.write_text(json.dumps({"tools": tools, "rows": [row(cost) for cost in costs]}, indent=2) + "\n")
    print(table(costs))
    print(f"\n{results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
