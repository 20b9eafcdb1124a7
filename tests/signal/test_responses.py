"""The library of gust responses: the file that ships, and files of strangers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from px4_tinyml.errors import DatasetError
from px4_tinyml.signal.bands import band_rms
from px4_tinyml.signal.responses import SHIPPED, ResponseLibrary, load_responses, save_responses

GOOD: dict[str, Any] = {
    "rate_hz": np.int32(50), "edr": np.float64(0.3), "airframe": np.array(["a", "b"]),
    "step": np.array([0.001] * 3 + [0.0002] * 3), "samples": np.arange(2 * 5 * 6, dtype="<i2").reshape(2, 5, 6),
}  # fmt: skip


def test_the_shipped_library_has_plausible_responses() -> None:
    library = load_responses()
    assert (library.rate_hz, library.edr) == (50, 0.3) and len(set(library.airframe)) >= 12
    assert library.samples.shape == (60, 2000, 6) and library.samples.dtype == np.float32
    assert SHIPPED.stat().st_size < 1_600_000
    bands = ((0.35, 1.0), (1.0, 2.0), (2.0, 3.5), (3.5, 5.5), (5.5, 9.0))
    rms = np.sqrt(np.mean(band_rms(library.samples, 50.0, bands) ** 2, axis=0))
    # Gusts fall with frequency (−5/3); no axis is silent, and none is beyond what severe weather does.
    assert (rms[0, :3] > 0.08).all() and (rms[0, :3] < 0.5).all(), rms
    assert (np.degrees(rms[0, 3:5]) > 2.0).all() and (np.degrees(rms[0, 3:5]) < 12.0).all(), rms
    assert (rms[-1] < rms[0]).all() and (rms[-1] > 0.02 * rms[0]).all(), rms
    # Every response is one of a flight in turbulence.
    assert (np.abs(library.samples).max(axis=1) > [[0.1] * 3 + [0.02] * 3]).all()
    assert np.abs(library.samples).max() < 12.0


def test_a_library_survives_the_file_and_its_bytes_the_library(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    library = ResponseLibrary(50, 0.3, ("a", "long name"), rng.normal(size=(2, 30, 6)).astype(np.float32))
    save_responses(library, tmp_path / "a.npz")
    back = load_responses(tmp_path / "a.npz")
    assert back.samples == pytest.approx(library.samples, abs=0.00051) and back.airframe == library.airframe
    save_responses(back, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    for value in (40.0, np.nan):
        with pytest.raises(DatasetError, match="larger than"):
            save_responses(ResponseLibrary(50, 0.3, ("a",), np.full((1, 3, 6), value, np.float32)), tmp_path / "c.npz")


def arrays(change: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: value for name, value in (GOOD | change).items() if value is not None})
    return file.getvalue()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": None}, "no array samples"),
        ({"samples": GOOD["samples"].astype(float)}, "samples has type float64"),
        ({"samples": GOOD["samples"].astype(np.int32)}, "int16"),
        ({"samples": GOOD["samples"][:, :, :5]}, "shape"),
        ({"samples": GOOD["samples"][:, :0]}, "shape"),
        ({"samples": np.array([None])}, "allow_pickle"),
        ({"rate_hz": np.int32(0)}, "rate_hz"),
        ({"rate_hz": np.arange(2)}, "rate_hz"),
        ({"edr": np.float64(np.nan)}, "edr"),
        ({"edr": np.float64(0.0)}, "edr"),
        ({"step": np.full(6, np.inf)}, "step"),
        ({"step": np.full(5, 0.1)}, "step"),
        ({"airframe": np.array(["a"])}, "one name"),
        ({"airframe": np.array(["a", "\x1b[2J"])}, "one name"),
        ({"airframe": np.zeros((2, 2), "U1")}, "one name"),
    ],
)
def test_a_damaged_library_is_one_clear_error(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "r.npz"
    path.write_bytes(arrays({}))
    assert load_responses(path).airframe == ("a", "b")
    path.write_bytes(arrays(change))
    with pytest.raises(DatasetError, match=words) as error:
        load_responses(path)
    assert str(path) in str(error.value) and "fly --responses" in str(error.value)


def test_cut_and_foreign_files_are_clear_errors(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    for data in (b"", b"no zip", arrays({})[:-30], arrays({})[:400]):
        path.write_bytes(data)
        with pytest.raises(DatasetError, match="not a library"):
            load_responses(path)
    with pytest.raises(OSError):
        load_responses(tmp_path / "none.npz")
