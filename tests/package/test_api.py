"""The public API: every name resolves lazily, and the lines of the README run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from toolchains import need_wheel

import px4_tinyml

README = Path(__file__).resolve().parents[2] / "README.md"


def test_every_public_name_resolves_and_is_documented() -> None:
    assert {name for names in px4_tinyml._HOME.values() for name in names} == set(px4_tinyml.__all__)
    for name in px4_tinyml.__all__:
        value = getattr(px4_tinyml, name)
        assert name == "PRESETS" or value.__doc__
        assert name in dir(px4_tinyml)
    with pytest.raises(AttributeError, match="'nothing'"):
        px4_tinyml.nothing  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, px4_tinyml; print({'numpy', 'jinja2', 'pymavlink', 'tensorflow'} & set(sys.modules) or 'light')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "light"


def test_the_lines_of_the_readme_run(tmp_path: Path) -> None:
    for module in ("tensorflow", "jsbsim"):
        need_wheel(module, "the README flies and trains")
    (lines,) = re.findall(r"## From Python\n+```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    fly = [sys.executable, "-m", "px4_tinyml.cli.main", "fly", "--out", "flights", "--flights", "6", "--seconds", "30"]
    subprocess.run(fly, cwd=tmp_path, check=True, timeout=300, capture_output=True)
    (tmp_path / "readme.py").write_text(lines)
    done = subprocess.run([sys.executable, "readme.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert 0.0 <= float(printed[0]) <= 1.0 and sum("level" in line for line in printed) == 6
    assert (tmp_path / "motion" / "src" / "modules" / "motion_classifier" / "MotionClassifier.cpp").is_file()
