"""Logs are found by content and suffix; foreign files are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from collect_samples import small_dataflash, small_tlog, small_ulog, write_ulog2csv

from px4_tinyml.errors import LogError
from px4_tinyml.logs import find_logs, read_log, sniff


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.ulg").write_bytes(small_ulog(1.0))
    (tmp_path / "deep" / "b.BIN").write_bytes(small_dataflash(1.0))
    (tmp_path / "c.tlog").write_bytes(small_tlog(1.0))
    (tmp_path / "renamed.dat").write_bytes(small_ulog(1.0))
    (tmp_path / "nano_vert.csv").write_text("aX,aY,aZ,gX,gY,gZ\n" + "0,0,1,0,0,0\n" * 119, encoding="utf-8")
    (tmp_path / "imu.csv").write_text("t,acc.x,gyro.x\n1,2,3\n", encoding="utf-8")
    (tmp_path / "manifest.csv").write_text("file,bytes\na.ulg,1\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("logs", encoding="utf-8")
    for hidden in (".a.ulg", ".flight.ulg.px4/log/a.ulg"):  # the second is what an interrupted `fly --px4` left
        (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / hidden).write_bytes(small_ulog(1.0))
    (tmp_path / "damaged.ulg").write_bytes(b"garbage, but named like a log")
    write_ulog2csv(tmp_path)
    return tmp_path


def test_a_folder_gives_its_logs_and_one_for_each_ulog2csv_set(folder: Path) -> None:
    found = [str(p.relative_to(folder)) for p in find_logs([folder])]
    assert found == [
        "12_00_00_sensor_combined_0.csv", "a.ulg", "c.tlog", "damaged.ulg", "deep/b.BIN", "imu.csv", "nano_vert.csv",
        "renamed.dat",
    ]  # fmt: skip


def test_globs_files_and_duplicates(folder: Path) -> None:
    assert [p.name for p in find_logs([str(folder / "*.ulg"), folder / "a.ulg"])] == ["a.ulg", "damaged.ulg"]
    assert [p.name for p in find_logs([folder / ".flight.ulg.px4"])] == ["a.ulg"], "asked for by name"
    status = folder / "12_00_00_vehicle_status_0.csv"
    assert [p.name for p in find_logs([status])] == ["12_00_00_sensor_combined_0.csv"]
    assert find_logs([folder / "missing.ulg"]) == [folder / "missing.ulg"]  # read_log says what is wrong


@pytest.mark.parametrize("given", ["*.rosbag", "deep/*.ulg"])
def test_nothing_found_is_an_error(folder: Path, given: str) -> None:
    with pytest.raises(LogError, match="is a flight log"):
        find_logs([str(folder / given)])
    (folder / "empty").mkdir()
    with pytest.raises(LogError, match="no flight log in this folder"):
        find_logs([folder / "empty"])


def test_content_decides_before_the_suffix(folder: Path) -> None:
    kinds = {p.name: sniff(p).kind for p in find_logs([folder])}
    assert kinds["renamed.dat"] == "ulog" and kinds["b.BIN"] == "dataflash" and kinds["c.tlog"] == "tlog"
    assert kinds["imu.csv"] == "csv" and kinds["nano_vert.csv"] == "arduino_csv"
    wrong = folder / "wrong.tlog"
    wrong.write_bytes(small_ulog(1.0))
    assert sniff(wrong).kind == "ulog" and len(read_log(wrong)) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ulg", b"", r"empty file \(0 bytes\)"),
        (
            "a.ulg",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4053\n",
            r"Git LFS pointer.*4053 bytes",
        ),
        ("a.tlog", "\ufeffC:\\X".encode("utf-16-le"), r"UTF-16 text \(an MSBuild"),
        ("a.ulg", b"\x1f\x8b\x08\x00", "compressed"),
        ("a.ulg", b"<!DOCTYPE html>", "web page"),
        ("a.log", b"FMT, 128, 89, FMT, BBnNZ\n", "dataflash log as text"),
        ("a.dat", bytes(range(256)), "not a log this program knows"),
        ("a.txt", b"hello\n", "text that is not a table"),
        ("a.ulg", b"ULog\x01\x12\x35\x01", "cut inside its header"),
        ("a.ulg", b"ULoh\x01\x12\x35\x01" + bytes(100), "not a ULog"),
        ("a.bin", b"\x00\x01\x02\x03" * 20, "not a dataflash log"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LogError, match=message) as caught:
        read_log(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_folders_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="a folder"):
        read_log(tmp_path)
    with pytest.raises(LogError, match="no such file"):
        read_log(tmp_path / "no.ulg")
    if os.geteuid() != 0:  # root reads everything
        secret = tmp_path / "secret.ulg"
        secret.write_bytes(small_ulog(1.0))
        secret.chmod(0)
        with pytest.raises(LogError, match="cannot be read"):
            read_log(secret)
