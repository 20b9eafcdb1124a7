"""mypy --strict over the package as it is installed: sitl/ lies beside px4_tinyml/ here and inside it there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "px4_tinyml", tree / "px4_tinyml", ignore=skip)
        shutil.copytree(REPOSITORY / "sitl", tree / "px4_tinyml" / "sitl", ignore=skip)
        cache = REPOSITORY / ".mypy_cache"
        command = [sys.executable, "-m", "mypy", "--config-file", str(REPOSITORY / "pyproject.toml")]
        return subprocess.run([*command, "--cache-dir", str(cache), "-p", "px4_tinyml"], cwd=tree).returncode


if __name__ == "__main__":
    sys.exit(main())
