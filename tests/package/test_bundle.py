"""A stranger's bundle: every file, key and array is checked, and none of them runs code."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from px4_tinyml.bundle import HASHED_FILES, ModelBundle
from px4_tinyml.bundle.model_bundle import MAX_BYTES
from px4_tinyml.cli.main import main
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.errors import ConversionError, SpecError
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
    """With its hash in the manifest, as an attacker would."""
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
def test_code_in_the_golden_vectors_is_rejected(
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


def test_code_in_the_golden_vectors_is_rejected_in_memory_too(folder: Path) -> None:
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
def test_an_array_of_a_wrong_type_shape_or_range_is_rejected(folder: Path, change: dict[str, Any], found: str) -> None:
    write_golden(folder, {k: v for k, v in {**golden_of(folder), **change}.items() if v is not None})
    with pytest.raises(ConversionError, match=f"golden.npz: {found}"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"no archive"])
def test_golden_vectors_that_are_not_an_archive_are_rejected(folder: Path, data: bytes) -> None:
    (folder / "golden.npz").write_bytes(data)
    edit_manifest(folder, lambda found: found["files"].update(hashes(folder)))
    with pytest.raises(ConversionError, match=r"golden\.npz: damaged golden vectors"):
        ModelBundle.load(folder)


def test_golden_vectors_above_the_limit_are_rejected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_arrays, "MAX_BYTES", 1000)
    with pytest.raises(ConversionError, match="1000 at most expected"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("name", HASHED_FILES)
def test_a_changed_file_is_rejected(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    found = rf"hash of (the model|{name}) is \w{{16}}, .* in the manifest: the parts come from different trainings"
    with pytest.raises(ConversionError, match=found):
        ModelBundle.load(folder)


@pytest.mark.parametrize("files", [{}, {"golden.npz": "0"}])
def test_missing_hashes_are_rejected(folder: Path, files: object) -> None:
    edit_manifest(folder, lambda data: data.update(files=files))
    with pytest.raises(ConversionError, match=r"the sha256 of each of model\.tflite, .*golden\.npz expected"):
        ModelBundle.load(folder)


def changed(*path: str | int, to: object) -> Callable[[dict[str, Any]], object]:
    """An edit of one key of the manifest."""

    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("files", to=[]), r"files: Expected `object | null`, got `array` \(\[\] found\); train again"),
        (changed("bundle_version", to=True), "bundle version True found, 1 expected"),
        (changed("bundle_version", to=2), "bundle version 2 found, 1 expected"),
        (changed("training", to=[]), r"training: Expected `object`, got `array` \(\[\] found\)"),
        (changed("training", "seed", to="x"), r"training\.seed: Expected `int`, got `str` \('x' found\)"),
        (changed("training", "best_epoch", to=99), "training: expected 80 losses, and a best epoch among them"),
        (changed("metrics", "int8", "accuracy", to=1.5), r"metrics\.int8\.accuracy: .*<= 1\.0 \(1\.5 found\)"),
        (changed("metrics", "int8", "confusion", 0, to=[1]), "metrics: expected 4 rows and columns in the confusion"),
        (changed("metrics", "labels", to=["a", "b", "c", "d"]), "metrics: expected f1 of a, b, c, d for float"),
        (changed("model", "input", "scale", to=-1.0), r"model\.input\.scale: .* > 0\.0 \(-1\.0 found\)"),
        (changed("baseline", "left", 0, to=31), "baseline: expected nodes -1 to 30"),
        (changed("baseline", "label", 0, to=4), "of other labels than the spec's"),
        (changed("more", to=1), "the document: Object contains unknown field `more`"),
        (lambda data: data.pop("metrics"), "the document: Object missing required field `metrics`"),
        (changed("spec", to=None), r"spec: Expected `object`, got `null` \(None found\)"),
        (changed("spec", "offset", 0, to=1e300), "float too large"),
        (changed("spec", "offset", 0, to=10**400), "int too large"),
    ],
)
def test_a_damaged_manifest_is_one_clear_error(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit_manifest(folder, change)
    with pytest.raises((ConversionError, SpecError), match=rf"manifest\.json: .*{message}"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"bundle_version": NaN}', "", "\xff", '{"a": ' + "9" * 6000 + "}"])
def test_a_manifest_that_is_not_json_is_rejected(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ConversionError, match=r"manifest\.json: damaged: .*; train again"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", *HASHED_FILES])
def test_only_regular_files_of_a_bounded_size_are_read(folder: Path, name: str) -> None:
    path, large = folder / name, folder.parent / "large"
    large.write_bytes(b"")
    os.truncate(large, MAX_BYTES + 1)
    for replace, message in (
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (large.rename, "larger than 67108864 bytes"),
    ):
        path.unlink()
        replace(path)
        with pytest.raises(ConversionError, match=message):
            ModelBundle.load(folder)


def test_a_bundle_without_hashes_warns_once(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit_manifest(folder, lambda data: data.pop("files"))
    bundle = ModelBundle.load(folder)
    (line,) = caplog.messages
    assert str(folder) in line and "train again" in line and "\n" not in line
    bundle.save(tmp_path / "again")
    caplog.clear()
    ModelBundle.load(tmp_path / "again")
    assert json.loads((tmp_path / "again/manifest.json").read_text())["files"] == hashes(tmp_path / "again")
    assert not caplog.messages


def test_a_bundle_is_saved_with_the_same_bytes(tmp_path: Path) -> None:
    ModelBundle.load(pretrained_bundle()).save(tmp_path)
    for path in pretrained_bundle().iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
