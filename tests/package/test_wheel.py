"""The wheel, in a clean virtual environment: what a user gets, not what the checkout happens to hold."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def files_of(folder: Path) -> set[Path]:
    """Relative paths of the files in a folder, compiled Python apart."""
    return {p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and only its base dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # Build from what git tracks or would track: build/ and egg-info of the checkout must not leak in.
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY)
    for name in listed.splitlines():
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, source)
    run(sys.executable, "-m", "venv", folder / "venv")
    (wheel,) = folder.glob("*.whl")
    run(folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    return folder / "venv"


def test_every_module_and_tree_is_in_the_wheel(clean: Path) -> None:
    (packages,) = (clean / "lib").glob("python*/site-packages")
    trees = (("px4_module", "px4_tinyml/_targets/px4_module"), ("firmware", "px4_tinyml/_targets/firmware"))
    for name, inside in (("px4_tinyml", "px4_tinyml"), ("sitl", "."), *trees):
        assert not files_of(REPOSITORY / name) - files_of(packages / inside)


def test_the_command_works_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    assert "px4-tinyml 0." in run(clean / "bin" / "px4-tinyml", "--version", cwd=tmp_path)
    code = "from px4_tinyml.emit.shipped import target_root; print(target_root('px4_module'))"
    root = Path(run(clean / "bin" / "python", "-c", code, cwd=tmp_path).strip())
    assert root.is_relative_to(clean)


@pytest.mark.parametrize(
    ("command", "extra"),
    [(("fly", "--out", "x", "--flights", "1"), "sim"), (("dataset", "a.csv", "--out", "x"), "train")],
)
def test_a_missing_extra_is_named_in_one_line(
    clean: Path, tmp_path: Path, command: tuple[str, ...], extra: str
) -> None:
    values = random.Random(0)
    if extra == "train":
        (tmp_path / "pipeline.toml").write_text('preset = "arduino119"\nlabels = ["a", "b"]\n')
        (tmp_path / "labels.csv").write_text("file,start_s,end_s,label\na.csv,,,a\n")
        rows = "\n".join(",".join(f"{values.random():.3f}" for _ in range(6)) for _ in range(119 * 6))
        (tmp_path / "a.csv").write_text("aX,aY,aZ,gX,gY,gZ\n" + rows + "\n")
        command = (*command, "--spec", "pipeline.toml", "--labels", "labels.csv")
    done = subprocess.run(
        [str(clean / "bin" / "px4-tinyml"), *command], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 1 and f"px4-tinyml[{extra}]" in done.stderr and len(done.stderr.splitlines()) == 1
