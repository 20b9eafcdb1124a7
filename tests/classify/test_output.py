"""A paused terminal or a closed pipe never stops receiving, reporting or recording."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from link_senders import free_port, wait_until
from live_process import Command, UdpVehicle
from live_samples import Sender, clean_flight


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Our end and the command's end of a pty."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def introduce(vehicle: UdpVehicle, sender: Sender, terminal: int, text: str) -> None:
    """Send heartbeats until a text is on the terminal."""
    os.set_blocking(terminal, False)
    seen: list[bytes] = []

    def beat() -> None:
        vehicle.beat([sender.heartbeat()])
        with contextlib.suppress(BlockingIOError):
            seen.append(os.read(terminal, 4096))

    wait_until(lambda: text.encode() in b"".join(seen), beat)


def test_a_paused_terminal_does_not_stop_the_report(folder: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    sender, port = Sender(1), free_port()
    options = (folder, f"udpin:127.0.0.1:{port}", "--report")
    with Command(*options, stdout=theirs, stderr=theirs) as live, UdpVehicle(port) as vehicle:
        introduce(vehicle, sender, ours, "engine compiled")
        termios.tcflow(theirs, termios.TCOOFF)  # Ctrl-S
        vehicle.play(clean_flight(sender, 32.0), speed=4.0)
        assert live.running
        kinds = [m.get_type() for m in vehicle.received]
        assert kinds.count("DEBUG_FLOAT_ARRAY") > 80 and kinds.count("HEARTBEAT") >= 5
        live.interrupt()
        assert live.end(10.0) == 0


def test_a_paused_terminal_does_not_stop_a_recording(tmp_path: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    sender, port = Sender(1), free_port()
    options = (f"udpin:127.0.0.1:{port}", "--out", tmp_path / "a.tlog", "--seconds", "8")
    with Command(*options, command="record", stdout=theirs, stderr=theirs) as record, UdpVehicle(port) as vehicle:
        introduce(vehicle, sender, ours, "Hz")
        termios.tcflow(theirs, termios.TCOOFF)
        vehicle.play(clean_flight(sender, 6.0), speed=1.0)
        time.sleep(3.0)
        assert (tmp_path / "a.tlog").stat().st_size > 10_000
        termios.tcflow(theirs, termios.TCOON)
        assert record.end(10.0) == 0


@pytest.mark.parametrize("report", [False, True])
def test_a_closed_pipe_ends_live_only_without_a_report(folder: Path, report: bool) -> None:
    """Without a report it ends quietly; with one it continues and warns once."""
    sender, port = Sender(1), free_port()
    options = (folder, f"udpin:127.0.0.1:{port}", "--json", *(["--report"] if report else []))
    out, into = os.pipe()
    with Command(*options, stdout=into) as live, UdpVehicle(port) as vehicle:
        os.close(into)
        vehicle.introduce([sender.heartbeat()], live, "engine compiled")
        os.close(out)
        vehicle.play(clean_flight(sender, 24.0), speed=4.0)
        assert live.running == report
        if report:
            assert sum(m.get_type() == "DEBUG_FLOAT_ARRAY" for m in vehicle.received) > 80
            live.interrupt()
        assert live.end() == (0 if report else 1)
    assert sum("standard output is closed" in line for line in live.err) == report
    assert not any("Traceback" in line or "BrokenPipe" in line for line in live.err)


def test_a_full_non_blocking_pipe_gets_whole_lines(folder: Path, tmp_path: Path) -> None:
    """The pipe has O_NONBLOCK set and is full before it is read: every line arrives, unbroken."""
    sender, port = Sender(1), free_port()
    out, into = os.pipe()
    os.set_blocking(into, False)
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    with Command(folder, f"udpin:127.0.0.1:{port}", "--json", stdout=into) as live, UdpVehicle(port) as vehicle:
        os.close(into)
        vehicle.introduce([sender.heartbeat()], live, "engine compiled")
        vehicle.play(clean_flight(sender, 24.0), speed=4.0)
        with (tmp_path / "lines").open("wb") as into_file, subprocess.Popen(["cat"], stdin=out, stdout=into_file):
            os.close(out)
            live.interrupt()
            assert live.end() == 0
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["type"] for line in (lines[0], lines[-1])] == ["start", "end"]
    assert sum(line["type"] == "decision" for line in lines) > 80
