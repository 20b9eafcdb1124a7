"""record --ulog: a resumed recording, a log that cannot be written, streams of other clients."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from link_senders import AnsweringVehicle, free_port, mavlink, recorded, stop_when, written

from px4_tinyml.cli.main import main
from px4_tinyml.logs.tlog.tlog_file import TlogFile
from px4_tinyml.logs.ulog.ulog_file import MAGIC

HEADER = MAGIC + b"\1" + bytes(8)
TEXT = b"\x64\0L6" + bytes(8) + bytes(91)
"""One ULog message, of 103 bytes."""


class Streaming(AnsweringVehicle):
    """Streams a log of TEXTs at LOGGING_START until LOGGING_STOP, or (unasked) always."""

    def __init__(self, port: int, system: int = 1, unasked: bool = False) -> None:
        super().__init__(port, system)
        self.starts = self.stops = 0
        self.wrong: dict[int, tuple[int, int]] = {}
        """Length and first message offset of some messages, by sequence."""
        self._streams = self._unasked = unasked
        self._sequence = 0
        self._heartbeat_due_s = 0.0

    def _answer(self, message: Any) -> None:
        if message.get_type() != "COMMAND_LONG" or message.target_system != self.vehicle.mavlink.srcSystem:
            return
        if message.command == mavlink.MAV_CMD_LOGGING_START and not self._unasked:
            self.starts += 1
            self._socket.send(self.vehicle.pack(mavlink.MAVLink_command_ack_message(message.command, 0)))
            self._streams, self._sequence = True, 0
        elif message.command == mavlink.MAV_CMD_LOGGING_STOP:
            self.stops += 1
            self._streams = self._unasked

    def _send_due(self) -> None:
        try:
            if time.monotonic() >= self._heartbeat_due_s:
                self._heartbeat_due_s = time.monotonic() + 0.1
                self._socket.send(self.vehicle.heartbeat())
            if self._streams:
                first = self._sequence == 0 and not self._unasked
                data = HEADER if first else TEXT * 2
                length, offset = self.wrong.get(self._sequence, (len(data), 0))
                message = mavlink.MAVLink_logging_data_message(
                    255, 0, self._sequence % 65536, length, offset, data + bytes(249 - len(data))
                )
                self._socket.send(self.vehicle.pack(message))
                self._sequence += 1
        except ConnectionRefusedError:
            self._heartbeat_due_s = 0.0  # no program listens yet


Record = Callable[[Callable[[], bool]], int]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "flight.tlog"


@pytest.fixture
def record(port: int, out: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Records with the vehicles' logs until this holds."""

    def run(done: Callable[[], bool]) -> int:
        stop_when(monkeypatch, done)
        code = main(["record", f"udpin:127.0.0.1:{port}", "--out", str(out), "--ulog", "--json"])
        assert not TlogFile.read(out.read_bytes()).damage
        return code

    return run


def test_a_recording_with_a_log_is_resumed(
    port: int, out: Path, record: Record, capfd: pytest.CaptureFixture[str]
) -> None:
    """As by a service that restarts: the .tlog grows, each session has a .ulg of its own."""

    def session(ulog: Path, heartbeats: int) -> None:
        assert record(lambda: recorded(out, "HEARTBEAT") >= heartbeats and written(ulog) > 10_000) == 0
        assert json.loads(capfd.readouterr().out)["ulog"][0]["files"] == [ulog.name]
        data = ulog.read_bytes()
        assert data.startswith(HEADER) and data.count(TEXT) * len(TEXT) == len(data) - 16

    with Streaming(port):
        for number, name in enumerate(("flight.ulg", "flight_2.ulg", "flight_3.ulg"), 1):
            session(out.with_name(name), 5 * number)
    assert len(json.loads(out.with_name("flight.tlog.json").read_text())["sessions"]) == 3


def test_a_log_that_cannot_be_written_does_not_end_the_recording(
    port: int, out: Path, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit on file size that the .ulg reaches and the .tlog does not."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Streaming(port) as vehicle:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            assert record(lambda: vehicle.stops > 0 and recorded(out, "HEARTBEAT") > 10) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (session,) = json.loads(out.with_name("flight.tlog.json").read_text())["sessions"]
    assert session["error"] is None
    assert (vehicle.starts, vehicle.stops) == (1, 1)
    assert caplog.text.count("flight.ulg: the file has reached its largest size") == 1
    assert out.with_suffix(".ulg").stat().st_size > 30_000


def test_log_data_without_a_ulg_stays_in_the_tlog(port: int, out: Path, record: Record) -> None:
    """Of a vehicle that streams to another client: we have no header, so no file."""
    with Streaming(port, 2, unasked=True):
        assert record(lambda: recorded(out, "LOGGING_DATA") > 50) == 0
    assert not out.with_suffix(".ulg").exists()
    out.unlink()
    with Streaming(port):
        assert record(lambda: written(out.with_suffix(".ulg")) > 0 and recorded(out, "HEARTBEAT") > 5) == 0
    assert recorded(out, "LOGGING_DATA") == 0


@pytest.mark.parametrize("wrong", [(255, 0), (250, 255), (206, 207), (100, 254)])
def test_lengths_that_do_not_fit_are_rejected(
    wrong: tuple[int, int], port: int, out: Path, record: Record, capfd: pytest.CaptureFixture[str]
) -> None:
    """Such a message counts as lost: the file has a dropout there and is complete otherwise."""
    ulog = out.with_suffix(".ulg")
    with Streaming(port) as vehicle:
        vehicle.wrong = {5: wrong, 6: wrong, 20: wrong}
        assert record(lambda: written(ulog) > 70 * len(TEXT)) == 0
    (facts,) = json.loads(capfd.readouterr().out)["ulog"]
    assert (facts["lost"], facts["dropouts"]) == (3, 2)
    data = ulog.read_bytes()
    texts = data.count(TEXT)
    assert len(data) == len(HEADER) + texts * len(TEXT) + 2 * 5
    assert data.startswith(HEADER + TEXT * 8 + b"\2\0O")
    assert recorded(out, "LOGGING_DATA") == 3
