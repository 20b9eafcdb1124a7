"""The emulated node as a process: samples in, a serial port out."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.arduino.emulator.sample_records import Records
from px4_tinyml.targets.cortex_m.run import COUNTING, emulator
from px4_tinyml_sitl.child_group import ChildGroup

MACHINE = "mps2-an386"
TICKS_AN_INSTRUCTION = 1.6
START = b"MOTNFEED"
WORK = struct.Struct("<6Q")
TIMEOUT_S = 60.0
CHUNK = 256
"""Records sent before the board acknowledges them."""
PTY_NOTICED_S = 1.5
"""The emulator checks once a second whether its pty is open; bytes sent before are lost."""
PTY = re.compile(r"redirected to (\S+)")


@dataclass(frozen=True)
class Work:
    """Work of a board, in instructions: loops with a sample, and loops without."""

    busy_instructions: float
    busy_loops: int
    idle_instructions: float
    idle_loops: int
    longest_instructions: float
    stack_bytes: int


class EmulatedNode:
    """A running node, as a context manager.

    telemetry: the port Serial1 as a socket to this process, unless it is a pty (telemetry_path then).
    """

    def __init__(self, image: Path, pty: bool = False, usb: bool = False) -> None:
        """usb: the port Serial, too, as a socket `usb`.

        Raises ToolchainError when the emulator is not installed or does not start.
        """
        self._end = contextlib.ExitStack()
        self._lock = threading.Lock()
        self.telemetry: socket.socket | None = None
        self.usb: socket.socket | None = None
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as failed:
            failed.callback(self.close)
            ports: list[str] = []
            self._feed = self._pair(ports, theirs)
            if pty:
                ports += ["-serial", "pty"]
            else:
                self.telemetry = self._pair(ports, theirs)
            if usb:
                self.usb = self._pair(ports, theirs)
            self._process = self._start(ports, image)
            theirs.close()  # the connections then end with the emulator
            self._end.callback(self._stop)
            self.telemetry_path = self._pty_path() if pty else ""
            self._await(b"r")
            self._feed.sendall(START)
            failed.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the emulator."""
        self._end.close()

    def play(self, records: Records, speed: float | None = None, stop: threading.Event | None = None) -> None:
        """Send samples as fast as the board reads them, or at `speed` times real time by this computer's clock.

        Raises ToolchainError when the emulator ends or stops reading.
        """
        begin, first_us = time.monotonic(), int(records.time_us[0]) if len(records) else 0
        at = 0
        while at < len(records) and not (stop and stop.is_set()):
            last = min(at + CHUNK, len(records))
            if speed is not None:
                now_us = first_us + int((time.monotonic() - begin) * speed * 1e6)
                last = min(last, int(records.time_us.searchsorted(now_us, side="right")))
                if last == at:
                    due_s = begin + (int(records.time_us[at]) - first_us) / (speed * 1e6) - time.monotonic()
                    time.sleep(min(max(due_s, 0.001), 0.1))
                    continue
            self.send(records.part(at, last))
            at = last

    def send(self, data: bytes) -> None:
        """Send whole records and wait until the board has read them."""
        with self._lock:
            self._write(data + b"p")
            if self._await(b"pr") == b"r":  # restarted: it waits for the start of records
                self._feed.sendall(START)

    def work(self) -> Work:
        """Work since the start."""
        with self._lock:
            self._write(b"c")
            self._await(b"c")
            busy, busy_loops, idle, idle_loops, longest, stack = WORK.unpack(self._read(WORK.size))
        per = TICKS_AN_INSTRUCTION
        return Work(busy / per, busy_loops, idle / per, idle_loops, longest / per, stack)

    @property
    def pid(self) -> int:
        """Process id of the emulator."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """False after the emulator has ended: the node crashed."""
        return self._process.poll() is None

    def _pair(self, ports: list[str], theirs: contextlib.ExitStack) -> socket.socket:
        """One more serial port of the board, connected to a socket here."""
        ours, other = socket.socketpair()
        self._end.callback(ours.close)
        theirs.callback(other.close)
        name = f"port{len(ports)}"
        ports += ["-chardev", f"socket,id={name},fd={other.fileno()}", "-serial", f"chardev:{name}"]
        return ours

    def _start(self, ports: Sequence[str], image: Path) -> subprocess.Popen[str]:
        silent = ("-display", "none", "-monitor", "none", "-semihosting-config", "enable=on,target=native")
        command = [emulator(), "-M", MACHINE, *silent, *COUNTING, *ports, "-kernel", str(image.resolve())]
        fds = [int(word.rpartition("=")[2]) for word in ports if word.startswith("socket,")]
        group = ChildGroup()
        self._end.callback(group.kill)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            pass_fds=fds, process_group=group.number,
        )  # fmt: skip
        assert process.stdout
        self._output = process.stdout
        return process

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()

    def _pty_path(self) -> str:
        found = PTY.search(self._output.readline())
        if found is None:
            raise self._ended()
        return found[1]

    def _write(self, data: bytes) -> None:
        try:
            self._feed.sendall(data)
        except OSError as error:
            raise self._ended() from error

    def _await(self, wanted: bytes) -> bytes:
        """The next byte of the board; raises ToolchainError unless it is one of these."""
        byte = self._read(1)
        if byte not in wanted:
            raise ToolchainError(f"the emulated node sent {byte!r}; expected one of {wanted!r}")
        return byte

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([self._feed], [], [], TIMEOUT_S)
            if not ready:
                raise ToolchainError(f"the emulated node has not read its samples for {TIMEOUT_S:g} s: it hangs")
            try:
                part = self._feed.recv(size - len(data))
            except ConnectionError as error:
                raise self._ended() from error
            if not part:
                raise self._ended()
            data += part
        return data

    def _ended(self) -> ToolchainError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        self._process.kill()
        code = self._process.wait()
        return ToolchainError(f"the emulated node has ended ({code}): {self._output.read().strip()}")
