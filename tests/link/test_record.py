"""Recordings: readable after a power cut, resumed, and kept when the disk is full."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from link_senders import UdpSender, Vehicle, free_port, mavlink, recorded, wait_until

from px4_tinyml.errors import LogError
from px4_tinyml.link import recorder as record
from px4_tinyml.link.appender import _sync_folder
from px4_tinyml.link.recorder import Recorder, new_recording
from px4_tinyml.logs import read_log
from px4_tinyml.logs.tlog.tlog_file import TlogFile, tlog_records
from px4_tinyml.mavlink.framer import Frame, Framer


def frames_of(vehicle: Vehicle, number: int, start_us: int = 10**15) -> list[Frame]:
    framer = Framer()
    return [f for n in range(number) for f in framer.feed(vehicle.imu(n * 20_000), start_us + n * 20_000)]


def write(path: Path, frames: Sequence[Frame]) -> Recorder:
    """A session of a recording."""
    with Recorder(path) as recorder:
        recorder.write(frames)
    return recorder


def complete_frames(path: Path) -> int:
    """Frames of an undamaged recording."""
    log = TlogFile.read(path.read_bytes())
    assert not log.damage
    return len(log.frames)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flight.tlog"


def test_a_tlog_holds_the_received_frames(tmp_path: Path) -> None:
    """The times and bytes given, readable here and by pymavlink."""
    frames = frames_of(Vehicle(), 500)
    path = tmp_path / "new" / "flight.tlog"
    with Recorder(path, lambda: {"link": "udpin:0.0.0.0:14540"}) as recorder:
        for n in range(0, 500, 7):
            recorder.write(frames[n : n + 7])
    assert (recorder.frames, recorder.bytes) == (500, path.stat().st_size)
    assert path.read_bytes() == b"".join(f.received_us.to_bytes(8, "big") + f.data for f in frames)
    log = TlogFile.read(path.read_bytes())
    assert log.times_us(log.frames).tolist() == [f.received_us for f in frames]
    (flight,) = read_log(path)
    assert len(flight.imu) == 500

    from pymavlink import mavutil

    reader = mavutil.mavlink_connection(str(path))
    count = 0
    while reader.recv_match(type="HIGHRES_IMU") is not None:
        count += 1
    assert count == 500
    (session,) = json.loads(recorder.sidecar.read_text())["sessions"]
    assert (session["frames"], session["link"], session["error"]) == (500, "udpin:0.0.0.0:14540", None)
    assert session["ended"] >= session["started"]


@pytest.mark.parametrize("torn", [1, 8, 9, 20, 60, -10_000, -200_000])
def test_a_truncated_record_is_dropped_on_resume(path: Path, torn: int, caplog: pytest.LogCaptureFixture) -> None:
    """A power cut leaves half a record, or zeros where the file system had no time for the data."""
    frames = frames_of(Vehicle(), 3000)
    write(path, frames[:2500])
    whole = path.read_bytes()
    last = len(frames[2499].data) + 8
    with path.open("ab") as stream:
        if torn < 0:
            stream.write(bytes(10_000))
        elif torn < last:
            stream.write(whole[-last:][:torn])
        else:
            stream.write(whole[-torn:][: -(last // 2)])
    recorder = write(path, frames[2500:])
    assert recorder.resumed
    assert complete_frames(path) == 3000
    assert [s["frames"] for s in json.loads(recorder.sidecar.read_text())["sessions"]] == [2500, 500]
    assert "of an incomplete record at its end" in caplog.text


@pytest.mark.parametrize(("kept", "zeros"), [(3, 0), (8, 0), (9, 0), (20, 0), (20, 300), (40, 4056)])
def test_a_file_with_a_truncated_first_record_is_restarted(path: Path, kept: int, zeros: int) -> None:
    """A service that records to one file must not fail for good after a power cut in its first second."""
    frames = frames_of(Vehicle(), 10, 1_700_000_000_000_000)
    path.write_bytes(tlog_records(frames)[:kept] + bytes(zeros))
    write(path, frames)
    assert complete_frames(path) == 10


@pytest.mark.parametrize("version", [1, 2])
def test_a_record_continued_by_zeros_is_dropped(path: Path, version: int) -> None:
    """Its length is right: only its checksum is wrong."""
    frames = frames_of(Vehicle(version=version), 11)
    write(path, frames[:10])
    with path.open("r+b") as stream:
        stream.seek(20 - len(frames[9].data), os.SEEK_END)
        stream.write(bytes(500))
    write(path, frames[10:])
    assert complete_frames(path) == 10


def test_a_folder_that_cannot_be_synchronised_is_accepted() -> None:
    """FUSE and network file systems may refuse; /proc does."""
    _sync_folder(Path("/proc"))


def test_unknown_messages_at_the_end_are_kept(path: Path) -> None:
    unknown = Frame(10**15, bytes((0xFD, 2, 0, 0, 7, 9, 1)) + (54321).to_bytes(3, "little") + b"ab\x01\x02", 2, 54321)
    write(path, [*frames_of(Vehicle(), 3), unknown])
    size = path.stat().st_size
    write(path, [])
    assert path.stat().st_size == size


def test_another_file_is_not_changed(path: Path) -> None:
    records = b"".join(bytes(8) + frame.data for frame in frames_of(Vehicle(), 100))
    noise = random.Random(1).randbytes(5_000_000)
    for content in (noise[:200_000], b"text\n" * 30_000, records + noise[:100] + bytes(5_000_000)):
        path.write_bytes(content)
        with pytest.raises(LogError, match="refusing to append"):
            Recorder(path)
        assert path.read_bytes() == content
    with pytest.raises(LogError, match="is a file, expected a folder"):
        Recorder(path / "flight.tlog")


def test_a_second_recorder_of_one_file_is_refused(path: Path) -> None:
    """It writes nothing; after the first has ended it may resume."""
    frames = frames_of(Vehicle(), 300)
    code = "import sys, pathlib; from px4_tinyml.link.recorder import Recorder; Recorder(pathlib.Path(sys.argv[1]))"
    with Recorder(path) as recorder:
        recorder.write(frames[:200])
        other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=30)
        assert other.returncode and "another program is writing it" in other.stderr
        recorder.write(frames[200:])
    assert complete_frames(path) == 300
    assert write(path, []).resumed


def test_two_recordings_of_one_second(tmp_path: Path) -> None:
    """Each name is reserved before the first write."""
    names = [new_recording(tmp_path, 1_795_401_586_000_000 + n).name for n in range(3)]
    assert names == [f"2026-11-23_02-39-46{more}.tlog" for more in ("", "_2", "_3")]


def test_a_broken_sidecar_does_not_stop_a_recording(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        write(path, frames_of(Vehicle(), 3)).sidecar.write_text("{")
    assert "cannot be read" in caplog.text
    assert complete_frames(path) == 6


def test_a_sidecar_that_cannot_be_written_does_not_stop_a_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is a folder's, or the recording's folder was moved. One warning."""
    monkeypatch.setattr(record, "SIDECAR_S", 0.0)
    (tmp_path / "taken.tlog.json").mkdir()
    for path in (tmp_path / "taken.tlog", tmp_path / "card" / "flight.tlog"):
        caplog.clear()
        with Recorder(path) as recorder:
            for frame in frames_of(Vehicle(), 3):
                recorder.write([frame])
                time.sleep(0.7)
                if path.parent.name == "card":
                    path = path.parent.rename(tmp_path / "moved") / path.name
        assert caplog.text.count("cannot be written") == 1
        assert complete_frames(path) == 3


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"fl\xfcg.tlog")
    for _ in range(2):
        recorder = write(path, frames_of(Vehicle(), 3))
    document = json.loads(recorder.sidecar.read_bytes())
    assert document["file"] == path.name and len(document["sessions"]) == 2
    assert complete_frames(path) == 6


def test_a_killed_program_leaves_complete_records(path: Path) -> None:
    """kill -9 while recording: frames are in the file before it is closed."""
    code = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_record import frames_of, Vehicle
from px4_tinyml.link.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]))
for frame in frames_of(Vehicle(), 40_000):
    recorder.write([frame])
    time.sleep(0.001)
"""
    command = [sys.executable, "-c", code, str(path), str(Path(__file__).parent)]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: recorded(path, "HIGHRES_IMU") >= 500)
    finally:
        process.kill()
        process.wait(10)
    assert 500 <= complete_frames(path) < 40_000
    assert json.loads(path.with_name("flight.tlog.json").read_text())["sessions"][0]["ended"] is None


def test_a_file_of_the_largest_size_keeps_complete_records(path: Path) -> None:
    """A limit on file size instead of a disk: the kernel refuses in the middle of a record."""
    frames = frames_of(Vehicle(), 3000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        recorder = Recorder(path)
        with pytest.raises(LogError, match="has reached its largest size") as error:
            for n in range(0, 3000, 10):
                recorder.write(frames[n : n + 10])
                time.sleep(0.02)
        with pytest.raises(LogError):
            recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(path) in str(error.value)
    assert 0 < complete_frames(path) < 3000
    (session,) = json.loads(recorder.sidecar.read_text())["sessions"]
    assert "kept" in session["error"]


FULL = """
mount -t tmpfs -o size=200k none "$1" || exit 77
exec "$2" -m px4_tinyml.cli.main record udpin:127.0.0.1:$3 --out "$1" --seconds 30
"""


def test_a_full_disk_ends_a_recording_cleanly(tmp_path: Path) -> None:
    """A real file system of 200 KB, mounted in a namespace of its own."""
    folder = tmp_path / "card"
    folder.mkdir()
    port = free_port()
    command = ["unshare", "-rm", "sh", "-c", FULL, "sh", str(folder), sys.executable, str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    vehicle = Vehicle()
    try:
        with UdpSender(port) as sender:
            deadline = time.monotonic() + 25
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    for _ in range(20):
                        sender.send(vehicle.pack(mavlink.MAVLink_statustext_message(6, b"x" * 50)))
                    sender.send(vehicle.heartbeat())
                except ConnectionRefusedError:
                    pass
                time.sleep(0.01)
        _, err = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait(10)
    if process.returncode == 77 or "unshare" in err:
        pytest.skip(f"no file system can be mounted here: {err.strip()[-200:]}")
    assert process.returncode == 1, err
    assert "the disk is full" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("number", "seconds", "code"), [(signal.SIGINT, None, 0), (signal.SIGTERM, None, 0), (signal.SIGINT, "60", 130)]
)
def test_stopping_a_recording(tmp_path: Path, number: signal.Signals, seconds: str | None, code: int) -> None:
    """Ctrl-C ends a recording without --seconds and interrupts one with --seconds."""
    port = free_port()
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "record", f"udpin:127.0.0.1:{port}", "--out", str(tmp_path)]
    command += ["--json", *(["--seconds", seconds] if seconds else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    vehicle = Vehicle()
    try:
        with UdpSender(port) as sender:

            def beat() -> None:
                nonlocal vehicle
                try:
                    sender.send(vehicle.heartbeat())
                except ConnectionRefusedError:
                    vehicle = Vehicle()
                time.sleep(0.02)

            wait_until(lambda: sum(recorded(path, "HEARTBEAT") for path in tmp_path.glob("*.tlog")) >= 50, beat)
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == code, err
    facts = json.loads(out)
    log = TlogFile.read(Path(facts["tlog"]).read_bytes())
    assert len(log.frames) == facts["frames"] >= 50
    assert facts["vehicles"][0]["system"] == 1
    assert facts["statistics"]["senders"][0]["lost"] == 0
    assert Path(facts["sidecar"]).is_file()
