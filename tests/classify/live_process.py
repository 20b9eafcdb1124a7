"""`px4-tinyml live` as a process that has no TensorFlow, and a vehicle's frames sent to it over a real socket."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from px4_tinyml.mavlink.framer import Frame

WITHOUT = ("tensorflow", "keras", "matplotlib", "pyarrow", "pandas", "jsbsim", "sklearn", "mavsdk")
RUN = f"""
import sys
for name in {WITHOUT!r}:
    sys.modules[name] = None
from px4_tinyml.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a UDP port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
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

    def wait_for(self, text: str, timeout_s: float = 30.0) -> None:
        """Wait for a line with this text."""
        deadline = time.monotonic() + timeout_s
        while not any(text in line for line in [*self.out, *self.err]):
            assert self.running and time.monotonic() < deadline, (text, self.out[-5:], self.err[-5:])
            time.sleep(0.02)

    def json(self, kind: str) -> list[dict[str, Any]]:
        """JSON lines of one type."""
        return [line for line in map(json.loads, self.out) if line["type"] == kind]


class UdpVehicle:
    """Sends frames to a UDP port at their times (divided by speed), and keeps the messages it receives."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._to = ("127.0.0.1", port)
        self.received: list[Any] = []

    def __enter__(self) -> UdpVehicle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def introduce(self, heartbeats: Sequence[Frame], command: Command, text: str = '"start"') -> None:
        """Send heartbeats until the command has found the vehicle and printed the text."""
        deadline = time.monotonic() + 60.0
        while not any(text in line for line in [*command.out, *command.err]):
            assert command.running and time.monotonic() < deadline, command.err
            for frame in heartbeats:
                self.send(frame)
            time.sleep(0.1)

    def send(self, frame: Frame) -> None:
        self._socket.sendto(frame.data, self._to)

    def play(self, frames: Sequence[Frame], speed: float) -> None:
        began, first_us = time.monotonic(), frames[0].received_us
        for frame in frames:
            wait_s = (frame.received_us - first_us) / 1e6 / speed - (time.monotonic() - began)
            if wait_s > 0.002:
                time.sleep(wait_s)
                self._listen()
            self.send(frame)
        time.sleep(0.2)
        self._listen()

    def _listen(self) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        decoder = ardupilotmega.MAVLink(None)
        while True:
            try:
                data = self._socket.recv(4096)
            except OSError:
                return
            self.received += decoder.parse_buffer(bytearray(data)) or []


def folder_of(bundle: Any, root: Path) -> Path:
    """The bundle on disk."""
    bundle.save(root / "bundle")
    return root / "bundle"
