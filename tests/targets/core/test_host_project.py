"""The generated host project: its CSV, its messages, its C interface, its CMake build."""

from __future__ import annotations

import csv
import ctypes
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from toolchains import need

from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.decision import DECISION_FIELDS
from px4_tinyml.targets.host.build import build_tree
from px4_tinyml.targets.host.library import HostPipeline
from px4_tinyml.targets.host.run import encode_feed, run_host

HEADER = "timestamp_us,ax,ay,az,gx,gy,gz,altitude_m"


def as_csv(events) -> str:
    lines = [HEADER]
    for i, time_us in enumerate(events.imu_time_us.tolist()):
        lines += [f"{events.baro_time_us[j]},,,,,,,{events.baro_altitude_m[j]:.9g}" for j in baro_before(events, i)]
        lines.append(f"{time_us}," + ",".join(f"{v:.9g}" for v in events.imu[i].tolist()) + ",")
    return "\r\n".join(lines) + "\n"


def run(command, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(command), *arguments], input=text, capture_output=True, text=True, check=False)


@pytest.fixture
def command(tree, specs, tmp_path_factory):
    """The project of the spec "small", built once for this file."""
    flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return build_tree(tree(specs["small"]), tmp_path_factory.getbasetemp() / "small", flags) / "motion_classify"


def baro_before(events, i: int) -> range:
    """The barometer's samples between an IMU sample and the one before it."""
    return range(int(events.baro_before[i - 1]) if i else 0, int(events.baro_before[i]))


def test_csv_gives_the_same_decisions(command, specs, reference, feeds) -> None:
    for events in feeds([0, 2, 7]):
        want = reference(specs["small"], events).decisions
        done = run(command, text=as_csv(events))
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        names = [*specs["small"].labels, "uncertain"]
        assert done.returncode == 0 and len(rows) == len(want) > 100
        assert [int(r["start_us"]) for r in rows] == want["start_us"].tolist()
        assert [r["class"] for r in rows] == [names[i] for i in want["class_index"]]
        assert [round(float(r["confidence"]) * 65536) for r in rows] == want["confidence_q16"].tolist()
        assert [int(r["flags"]) for r in rows] == want["flags"].tolist()
        assert [round(float(r["p_climb"]) * 256) for r in rows] == want["probability"][:, 1].tolist()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("time,ax\n", 1, "header is 'time,ax'"),
        (f"{HEADER}\n1,2,3,4,5,6,7\n", 2, "7 fields found, 8 expected"),
        (f"{HEADER}\n1,2,3,4,5,6,7,8,9\n", 2, "9 fields found, 8 expected"),
        (f"{HEADER}\n\n1,2,3,4,5,6,7,\n-2,2,3,4,5,6,7,\n", 4, "timestamp_us is '-2'"),
        (f"{HEADER}\n1.5,2,3,4,5,6,7,\n", 2, "timestamp_us is '1.5'"),
        (f"{HEADER}\n18446744073709551616,2,3,4,5,6,7,\n", 2, "timestamp_us is '18446744073709551616'"),
        (f"{HEADER}\n1,2,3,x,5,6,7,\n", 2, "'x' found"),
        (f"{HEADER}\n1,2,3,4 4,5,6,7,\n", 2, "'4 4' found"),
        (f"{HEADER}\n1,2,,4,5,6,7,8\n", 2, "5 of the six IMU values"),
        (f"{HEADER}\n1,,,,,,,\n", 2, "0 of the six IMU values"),
        (f"{HEADER}\n{'1' * 5000}\n", 2, "line longer than 1022"),
        (f"{HEADER}\n1,2,3,4\0,5,6,7,\n", 2, "a NUL in it"),
        (f"{HEADER}\n1,2,3,4,5,6,7,\n1,2,3", 3, "3 fields found"),
    ],
)
def test_bad_csv_is_named_by_line(command, text, line, words) -> None:
    done = run(command, text=text)
    assert done.returncode == 1 and f"standard input:{line}: " in done.stderr and words in done.stderr
    assert "decisions" not in done.stderr


def test_bad_binary_and_bad_arguments(command, feeds, tmp_path) -> None:
    data = encode_feed(feeds([0])[0])
    broken = {
        "starts with MOTNFEED": b"timestamp_us,ax\n",
        "another version": data[:8] + b"\2" + data[9:],
        "cut short": data[:-1],
        "unknown kind": data[:16] + b"\0" * 8 + b"\7" + data[25:],
    }
    for words, content in broken.items():
        path = tmp_path / "feed"
        path.write_bytes(content)
        done = run(command, "--binary", str(path))
        assert done.returncode == 1 and words.replace("starts", "start") in done.stderr, words
    assert run(command, "--fast").returncode == 2
    assert "cannot be read" in run(command, str(tmp_path / "none")).stderr
    assert "cannot be written" in run(command, "--dump", str(tmp_path / "no" / "dump"), text=HEADER).stderr
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([str(command)], input=HEADER.encode(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"cannot be written" in done.stderr


def test_the_c_interface_gives_the_same_decisions(tree, specs, reference, feeds, tmp_path) -> None:
    spec, events = specs["small"], feeds([2])[0]
    path = build_tree(tree(spec), tmp_path) / "libmotion.so"
    library = ctypes.CDLL(str(path))
    library.motion_label.restype = ctypes.c_char_p
    assert [library.motion_label(i) for i in (-1, 0, 3)] == [b"uncertain", b"level", b"turbulence"]

    pipeline = HostPipeline(path, spec)  # checks ABI version, spec hash and sizes
    made = []
    for i, time_us in enumerate(events.imu_time_us.tolist()):
        for j in baro_before(events, i):
            pipeline.push_baro(int(events.baro_time_us[j]), float(events.baro_altitude_m[j]))
        made += [decided.decision for decided in pipeline.push_imu(time_us, events.imu[i].tolist())]
    want = reference(spec, events).decisions
    assert len(made) == len(want) > 100
    for name in DECISION_FIELDS:
        assert np.array_equal([decision[name] for decision in made], want[name]), name


@pytest.mark.parametrize("options", [[], ["-DMOTION_SANITIZE=ON", "-DBUILD_SHARED_LIBS=ON"]])
def test_cmake_builds_the_project(options, tree, specs, reference, feeds, tmp_path) -> None:
    need("cmake")
    write_tree(tmp_path, tree(specs["small"]))
    build = tmp_path / "build"
    run_tool(["cmake", "-S", str(tmp_path), "-B", str(build), *options])
    run_tool(["cmake", "--build", str(build)])
    events = feeds([1])[0]
    got = run_host(build / "motion_classify", events)
    assert len(got) > 100 and np.array_equal(got.inputs, reference(specs["small"], events).inputs)


def test_only_changed_files_are_written_and_none_is_deleted(tree, specs, tmp_path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    files = tree(specs["small"])
    assert len(write_tree(tmp_path, files)) == len(files)
    assert write_tree(tmp_path, files) == []
    assert write_tree(tmp_path, tree(specs["imu6"])) == [tmp_path / "README.md", tmp_path / "model/MotionSpec.hpp"]
    assert mine.read_text() == "mine"


def test_the_cache_builds_once(tree, specs, tmp_path) -> None:
    first = build_tree(tree(specs["imu6"]), tmp_path)
    stamp = (first / "motion_classify").stat().st_mtime_ns
    assert build_tree(tree(specs["imu6"]), tmp_path) == first
    assert (first / "motion_classify").stat().st_mtime_ns == stamp
    assert [p.name for p in first.parent.iterdir()] == [first.name]


def test_the_compilers_words_reach_the_user(tree, specs, tmp_path, monkeypatch) -> None:
    with pytest.raises(ToolchainError, match="MotionSpec"):
        build_tree({**tree(specs["imu6"]), "model/MotionSpec.hpp": "#error no spec here\n"}, tmp_path)
    assert not any((tmp_path / "host").iterdir())
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ToolchainError, match="no-such-compiler"):
        build_tree(tree(specs["imu6"]), tmp_path)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="apt-get install"):
        build_tree(tree(specs["imu6"]), tmp_path)
