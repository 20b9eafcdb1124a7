"""A bundle of a stranger: its files are what the manifest says, its arrays what they must be, and it runs nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from px4_tinyml.bundle import HASHED_FILES, ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.errors import ConversionError
from px4_tinyml.signal import golden_arrays
from px4_tinyml.signal.golden import read_golden
from px4_tinyml.targets.px4.generate import px4_files

CODE = "0}}; struct Evil { Evil() { __builtin_trap(); } } evil; const int8_t kMore[][4] = {{0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a bundle that ships with the package."""
    return Path(shutil.copytree(pretrained_bundle(), tmp_path / "bundle"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


def golden_of(folder: Path) -> dict[str, Any]:
    with np.load(folder / "golden.npz") as file:
        return {name: file[name] for name in file.files}


def write_golden(folder: Path, golden: Mapping[str, Any]) -> None:
    """With its hash in the manifest: whoever makes a bundle can do that too."""
    file = io.BytesIO()
    np.savez(file, **dict(golden))
    (folder / "golden.npz").write_bytes(file.getvalue())
    edit_manifest(folder, lambda data: data["files"].update(hashes(folder)))


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in HASHED_FILES}


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def hostile(folder: Path) -> dict[str, Any]:
    golden = golden_of(folder)
    text = golden["output"].astype("U200")
    text[0, 0] = CODE
    return {**golden, "output": text}


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(
    "command",
    [
        ("generate", "px4", "BUNDLE", "--out", "OUT"),
        ("replay", "BUNDLE", "LOG", "--targets", "px4-host"),
        ("replay", "BUNDLE", "LOG"),
    ],
)
def test_code_in_the_golden_vectors_is_refused(
    folder: Path, own_cache: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], hashed: bool
) -> None:
    out = folder.parent / "out"
    write_golden(folder, hostile(folder))
    if not hashed:
        edit_manifest(folder, lambda data: data.pop("files"))
    log = folder.parent / "a.csv"
    log.write_text("timestamp_us,ax,ay,az,gx,gy,gz\n", encoding="utf-8")
    words = {"BUNDLE": str(folder), "OUT": str(out), "LOG": str(log)}
    assert main([words.get(word, word) for word in command]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "golden.npz: array output is <U200[8, 4], int8[8, 4] expected; do not use this bundle" in line
    assert not out.exists() and not own_cache.exists()


def test_code_in_the_golden_vectors_is_refused_in_memory_too(folder: Path) -> None:
    bundle = dataclasses.replace(ModelBundle.load(folder), golden=hostile(folder))
    with pytest.raises(ConversionError, match="array output is <U200"):
        read_golden(bundle.golden, bundle.spec)
    with pytest.raises(ConversionError, match="array output is <U200"):
        px4_files(bundle)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"input": np.zeros((8, 895), np.int8)}, r"array input is int8\[8, 895\], int8\[8, 896\] expected"),
        ({"output": np.zeros((7, 4), np.int8)}, r"array output is int8\[7, 4\], int8\[8, 4\] expected"),
        ({"output": np.zeros((8, 4), np.float64)}, r"array output is float64\[8, 4\]"),
        ({"imu_time_us": np.zeros(2160, np.int64)}, r"array imu_time_us is int64\[2160\], uint64\[2160\] expected"),
        ({"counts": np.int64(3)}, r"array counts is int64\[\], int64\[6\] expected"),
        ({"baro_before": np.full(2160, 811)}, "array baro_before has values from 811 to 811, 0 to 810 expected"),
        ({"baro_before": np.full(2160, -1)}, "array baro_before has values from -1"),
        ({"more": np.zeros(1)}, "array 'more' found, which a bundle does not have"),
        ({"counts": None}, "array counts not found"),
        ({"counts": np.array([{}], object)}, "damaged golden vectors"),
    ],
)
def test_an_array_that_is_not_what_it_has_to_be(folder: Path, change: dict[str, Any], found: str) -> None:
    write_golden(folder, {k: v for k, v in {**golden_of(folder), **change}.items() if v is not None})
    with pytest.raises(ConversionError, match=f"golden.npz: {found}"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"no archive"])
def test_golden_vectors_that_are_no_archive(folder: Path, data: bytes) -> None:
    (folder / "golden.npz").write_bytes(data)
    edit_manifest(folder, lambda found: found["files"].update(hashes(folder)))
    with pytest.raises(ConversionError, match=r"golden\.npz: damaged golden vectors"):
        ModelBundle.load(folder)


def test_golden_vectors_that_are_too_big(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_arrays, "MAX_BYTES", 1000)
    with pytest.raises(ConversionError, match="1000 at most expected"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("name", HASHED_FILES)
def test_a_file_that_was_changed_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ConversionError, match=rf"hash of (the model|{name}) is \w{{16}}, the manifest says"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("files", [{}, [], "x", {"golden.npz": "0"}])
def test_hashes_that_are_not_all_there(folder: Path, files: object) -> None:
    edit_manifest(folder, lambda data: data.update(files=files))
    with pytest.raises(ConversionError, match=r"the sha256 of each of model\.tflite, .*golden\.npz expected"):
        ModelBundle.load(folder)


def test_a_bundle_without_hashes_warns_once(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit_manifest(folder, lambda data: data.pop("files"))
    bundle = ModelBundle.load(folder)
    (line,) = caplog.messages
    assert str(folder) in line and "train again" in line and "\n" not in line
    bundle.save(tmp_path / "again")
    caplog.clear()
    assert ModelBundle.load(tmp_path / "again").manifest["files"] == hashes(tmp_path / "again")
    assert not caplog.messages


def test_a_bundle_is_saved_as_it_was(tmp_path: Path) -> None:
    ModelBundle.load(pretrained_bundle()).save(tmp_path)
    for path in pretrained_bundle().iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
