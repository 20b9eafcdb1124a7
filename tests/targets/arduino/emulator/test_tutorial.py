"""docs/tutorial_arduino.md, command by command, with the real captures it was written with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from node_talk import Build
from toolchains import need_wheel

from px4_tinyml.bundle import ModelBundle

REPOSITORY = Path(__file__).resolve().parents[4]
PAGE = REPOSITORY / "docs" / "tutorial_arduino.md"


def test_the_tutorial(shared: Path, build: Build, pretrained: ModelBundle, tmp_path: Path) -> None:
    need_wheel("tensorflow", "the tutorial trains")
    build(pretrained)  # or the reason why there is no emulated node
    page = PAGE.read_text(encoding="utf-8")
    (spec,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "pipeline.toml").write_text(spec)
    for capture in sorted((shared / "data" / "imu_csv").glob("nano_*.csv")):
        (tmp_path / capture.name).symlink_to(capture)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    commands = re.findall(r"^    ((?:px4-tinyml|python) .*)$", page, re.MULTILINE)
    words = [command.split()[1] for command in commands]
    assert words == ["inspect", "dataset", "train", "generate", "examples/node_held_out.py"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, timeout=300, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    assert (tmp_path / "node" / "motion_node" / "motion_node.ino").is_file()

    # The last one's result. TensorFlow's weights are not the same bits on every computer.
    found = re.search(r"right: (\d+), uncertain: (\d+), of (\d+); likeliest class right: (\d+)", done.stdout)
    assert found, done.stdout
    right, uncertain, captures, likeliest = map(int, found.groups())
    assert captures == 53 and "different from Python: 0" in done.stdout
    assert likeliest >= 43 and right >= 0.9 * (captures - uncertain) and right >= 30
    (vertical,) = re.findall(r"^vert +(\d+)", done.stdout, re.MULTILINE)
    assert int(vertical) >= 15  # of 17
