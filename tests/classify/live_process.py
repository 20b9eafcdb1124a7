"""`px4-tinyml live` as a process that has no TensorFlow, and a vehicle's frames sent to it over a real socket."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from link_senders import UdpSender, free_port, wait_until

from px4_tinyml.errors import LinkError
from px4_tinyml.link.connection import Link
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.signal.classifier import Classification

TIMES = ("start_us", "end_us", "flags")
WITHOUT = ("tensorflow", "keras", "matplotlib", "pyarrow", "pandas", "jsbsim", "sklearn", "mavsdk")
RUN = f"""
import sys
for name in {WITHOUT!r}:
    sys.modules[name] = None
from px4_tinyml.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def is_free(port: int) -> bool:
    """Whether a UDP port is free."""
    try:
        Link(f"udpin:127.0.0.1:{port}").close()
    except LinkError:
        return False
    return True


class Command:
    """A running `px4-tinyml live …`, killed at the end of the `with` block.

    before: a line of Python to run first. stdout, stderr: other places for its output than the lists out and err.
    """

    def __init__(
        self, *arguments: object, command: str = "live", before: str = "",
        stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE,
    ) -> None:  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{RUN}", command, *map(str, arguments)],
            stdout=stdout, stderr=stderr, text=True,
        )  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self._process.stdout, self.out), (self._process.stderr, self.err))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    def __enter__(self) -> Command:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def end(self, timeout_s: float = 30.0) -> int:
        """Wait for its end and all of its output; returns the exit code."""
        code = self._process.wait(timeout_s)
        for reader in self._readers:
            reader.join(5.0)
        return code

    def wait_for(self, text: str, step: Callable[[], object] = lambda: time.sleep(0.02)) -> None:
        """Wait for a line with this text, repeating a step."""

        def running_step() -> None:
            assert self.running, (text, self.out[-5:], self.err[-5:])
            step()

        wait_until(lambda: any(text in line for line in [*self.out, *self.err]), running_step)

    def json(self, kind: str) -> list[dict[str, Any]]:
        """JSON lines of one type."""
        return [line for line in map(json.loads, self.out) if line["type"] == kind]


class UdpVehicle:
    """Sends frames to a UDP port at their times (divided by speed), and keeps the messages it receives."""

    def __init__(self, port: int) -> None:
        self._socket = UdpSender(port)
        self.received: list[Any] = []

    def __enter__(self) -> UdpVehicle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.__exit__()

    def introduce(self, heartbeats: Sequence[Frame], command: Command, text: str = '"start"') -> None:
        """Send heartbeats until the command has found the vehicle and printed the text."""
        command.wait_for(text, lambda: self.beat(heartbeats))

    def beat(self, heartbeats: Sequence[Frame]) -> None:
        """Send heartbeats, and wait a little."""
        for frame in heartbeats:
            self.send(frame)
        time.sleep(0.1)

    def send(self, frame: Frame) -> None:
        with contextlib.suppress(ConnectionRefusedError):  # no program listens yet
            self._socket.send(frame.data)

    def play(self, frames: Sequence[Frame], speed: float) -> None:
        began, first_us = time.monotonic(), frames[0].received_us
        for frame in frames:
            wait_s = (frame.received_us - first_us) / 1e6 / speed - (time.monotonic() - began)
            if wait_s > 0.002:
                time.sleep(wait_s)
                self.received += self._socket.received()
            self.send(frame)
        time.sleep(0.2)
        self.received += self._socket.received()


def play_to_live(
    folder: Path, frames: Sequence[Frame], heartbeats: Sequence[Frame], *options: object,
    speed: float = 4.0, text: str = '"start"', code: int = 0,
) -> tuple[Command, list[Any]]:  # fmt: skip
    """Frames to `live` with these options, then Ctrl-C: its output, and the messages the vehicle received."""
    port = free_port()
    with Command(folder, f"udpin:127.0.0.1:{port}", *options) as live, UdpVehicle(port) as vehicle:
        vehicle.introduce(heartbeats, live, text)
        vehicle.play(frames, speed)
        live.interrupt()
        assert live.end() == code, live.err
    return live, vehicle.received


def check_decisions(lines: list[dict[str, Any]], expected: Classification, labels: Sequence[str]) -> None:
    """JSON lines of decisions are those of `classify`."""
    assert len(lines) == len(expected)
    for line, row in zip(lines, expected.decisions, strict=True):
        assert [line[name] for name in TIMES] == [int(row[name]) for name in TIMES]
        assert line["class"] == (labels[row["class_index"]] if row["class_index"] >= 0 else "uncertain")
        assert line["confidence"] == round(int(row["confidence_q16"]) / 65536, 6)
        assert line["probabilities"] == {
            label: p / 256 for label, p in zip(labels, row["probability"].tolist(), strict=False)
        }
