"""The truth file, and which windows are calm, turbulent or a manoeuvre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.errors import DatasetError
from px4_tinyml.quality.air_truth import CALM, LEFT_OUT, MANOEUVRE, TURBULENT, Stretch, air_of_windows, read_truth

HEAD = "file,columns,vehicle,start_s,end_s,air\n"
FIRST_US = 7_000_000


def windows(*starts_s: float, length_s: float = 5.12) -> tuple[np.ndarray, np.ndarray]:
    start = np.array([FIRST_US + round(1e6 * s) for s in starts_s], np.uint64)
    return start, start + np.uint64(round(1e6 * length_s))


def stretch(start_s: float | None, end_s: float | None, air: int) -> Stretch:
    return Stretch(2, "a.ulg", "", "quad", start_s, end_s, air)


def air_of(starts_s: list[float], *stretches: Stretch) -> list[int]:
    return air_of_windows(*windows(*starts_s), stretches, FIRST_US).tolist()


def test_a_window_with_four_tenths_of_a_second_of_turbulence_is_turbulent() -> None:
    rough = stretch(10.0, 11.0, TURBULENT)
    starts = [5.279, 5.28, 10.6, 10.601, 4.88, 4.879, 11.0]
    expected = [LEFT_OUT, TURBULENT, TURBULENT, LEFT_OUT, LEFT_OUT, LEFT_OUT, LEFT_OUT]
    assert air_of(starts, rough) == expected
    # Beside a calm stretch: what touches nothing turbulent is calm, what touches too little is left out.
    calm = stretch(0.0, 100.0, CALM)
    assert air_of(starts, rough, calm) == [*expected[:4], CALM, CALM, CALM]


def test_four_fifths_of_a_window_in_one_kind() -> None:
    calm, hard = stretch(0.0, 10.0, CALM), stretch(10.0, 20.0, MANOEUVRE)
    # 80 % of 5.12 s is 4.096 s: calm up to a start of 5.904 s, a manoeuvre from 8.976 s and up to 15.904 s.
    starts = [0.0, 5.904, 5.905, 7.44, 8.975, 8.976, 15.904, 15.905]
    expected = [CALM, CALM, LEFT_OUT, LEFT_OUT, LEFT_OUT, MANOEUVRE, MANOEUVRE, LEFT_OUT]
    assert air_of(starts, calm, hard) == expected


def test_rows_that_touch_or_overlap_are_not_counted_twice() -> None:
    halves = stretch(0.0, 3.0, CALM), stretch(2.0, 4.0, CALM)
    assert air_of([0.0], *halves) == [LEFT_OUT]  # 4.0 s of 5.12 s, not 5.0 s
    assert air_of([0.0], *halves, stretch(4.0, 4.2, CALM)) == [CALM]
    assert air_of([0.0], stretch(0.0, 0.2, TURBULENT), stretch(3.0, 3.2, TURBULENT)) == [TURBULENT]


def test_open_ends_cover_the_whole_log() -> None:
    assert air_of([0.0, 900.0], stretch(None, None, CALM)) == [CALM, CALM]
    assert air_of([0.0, 6.0], stretch(6.0, None, TURBULENT)) == [LEFT_OUT, TURBULENT]


def read(folder: Path, text: str) -> list[Stretch]:
    (folder / "a.csv").touch()
    (folder / "a.toml").touch()
    (folder / "truth.csv").write_text(text)
    return read_truth(folder / "truth.csv", folder)


def test_rows(tmp_path: Path) -> None:
    first, second = read(
        tmp_path, f'{HEAD}a.csv,a.toml,"quad, heavy",1.5,,calm\na.csv,a.toml,"quad, heavy",,9,turbulent\n'
    )
    assert first == Stretch(2, "a.csv", "a.toml", "quad, heavy", 1.5, None, CALM)
    assert second == Stretch(3, "a.csv", "a.toml", "quad, heavy", None, 9.0, TURBULENT)
    assert first.span_us(FIRST_US)[0] == FIRST_US + 1_500_000 and second.span_us(FIRST_US) == (0, FIRST_US + 9_000_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "truth.csv:1: header nothing found, file,columns,vehicle,start_s,end_s,air expected"),
        ("file,air\na.csv,calm\n", "truth.csv:1: header file,air found, file,columns,vehicle,start_s"),
        (HEAD, "truth.csv:1: a header and no rows found"),
        (f"{HEAD}a.csv,,quad,,calm\n", "truth.csv:2: 5 columns found, 6 expected"),
        (f"{HEAD}a.csv,,quad,,,calm,x\n", "truth.csv:2: 7 columns found, 6 expected"),
        (f"{HEAD}a.csv,,quad,,,calm\na.csv,,quad,,,windy\n", "truth.csv:3: air 'windy' found, one of calm, turb"),
        (f"{HEAD}a.csv,,,,,calm\n", "truth.csv:2: vehicle is empty, a name expected"),
        (f"{HEAD}b.csv,,quad,,,calm\n", "truth.csv:2: file 'b.csv' found, the path of a file in .* expected"),
        (f"{HEAD}../a.csv,,quad,,,calm\n", "truth.csv:2: file '../a.csv' found, the path of a file in .* expected"),
        (f"{HEAD}a.csv,b.toml,quad,,,calm\n", "truth.csv:2: columns 'b.toml' found, the path of a file in .* expected"),
        (f"{HEAD}a.csv,,quad,one,,calm\n", "truth.csv:2: start_s 'one' found, seconds from the log's first IMU"),
        (f"{HEAD}a.csv,,quad,,-1,calm\n", "truth.csv:2: end_s '-1' found, seconds"),
        (f"{HEAD}a.csv,,quad,nan,,calm\n", "truth.csv:2: start_s 'nan' found, seconds"),
        (f"{HEAD}a.csv,,quad,5,5,calm\n", "truth.csv:2: end_s 5 found, a time after start_s 5 expected"),
        (f"{HEAD}a.csv,,quad,,,calm\na.csv,,hexa,,,calm\n", "truth.csv:3: vehicle 'hexa' found, 'quad' expected"),
        (f"{HEAD}a.csv,,quad,,,calm\na.csv,a.toml,quad,,,calm\n", "truth.csv:3: columns 'a.toml' found, '' expected"),
    ],
)  # fmt: skip
def test_errors_name_the_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DatasetError, match=expected):
        read(tmp_path, text)


def test_a_truth_file_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.csv: cannot be read \(No such file or directory\)"):
        read_truth(tmp_path / "none.csv", tmp_path)
    (tmp_path / "truth.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="not a CSV text file"):
        read_truth(tmp_path / "truth.csv", tmp_path)
