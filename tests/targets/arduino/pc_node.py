"""The node on this computer, behind the test double of a board (pc_board.cpp)."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_talk import messages_in

from px4_tinyml.signal.slots import Feed

TELEMETRY, USB = 0, 1
MEMORY_BYTES = 1024
AT_REST = (0, 0, -9.8, 0, 0, 0)
COUNTS = ("received", "bad_crc", "unknown", "refused", "sent", "dropped")
COMMAND = struct.Struct("<Q6fIcBBx")
STATE = struct.Struct(f"<6I{MEMORY_BYTES}s")


@dataclass
class Taken:
    """What the node did: bytes sent by link, since the last time; the rest since it was switched on."""

    sent: list[bytes]
    counts: list[dict[str, int]]
    source: int
    jumps: int
    uncertainty_us: int
    reboot: int
    silent: int
    writes: int
    memory: bytes

    def messages(self, link: int, kind: str | None = None) -> list[Any]:
        return [m for m in messages_in(self.sent[link]) if kind in (None, m.get_type())]

    def texts(self, link: int) -> list[str]:
        return [m.text for m in self.messages(link, "STATUSTEXT")]


class PcNode:
    """Commands are collected and sent when an answer is wanted. time_us runs forward by run()."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.time_us = 0
        self.commands: list[bytes] = []

    def close(self) -> None:
        """End the program; a sanitizer's report fails the test."""
        with self.process:
            try:
                _, errors = self.process.communicate(b"".join(self.commands), timeout=20)
            finally:
                self.process.kill()
        assert (self.process.returncode, errors.decode()) == (0, "")

    def _add(
        self, kind: bytes, time_us: int = 0, values: Iterable[float] = (), data: bytes = b"", size: int = 0,
        link: int = 0, there: bool = True,
    ) -> None:  # fmt: skip
        numbers = (*values, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)[:6]
        self.commands.append(COMMAND.pack(time_us, *numbers, len(data) or size, kind, link, there) + data)

    def receive(self, link: int, data: bytes) -> None:
        self._add(b"b", self.time_us, data=data, link=link)

    def imu(self, time_us: int, values: Iterable[float]) -> None:
        self._add(b"i", time_us, values)

    def baro(self, time_us: int, altitude_m: float, pressure_pa: float = 95_000.0, temperature_c: float = 21.5) -> None:
        self._add(b"a", time_us, (pressure_pa, temperature_c, altitude_m))

    def step(self) -> None:
        self._add(b"s", self.time_us)

    def run(self, seconds: float, imu: Sequence[float] | None = AT_REST) -> None:
        """Time passes, with a constant IMU at 200 Hz (None: silent)."""
        end = self.time_us + round(seconds * 1e6)
        while self.time_us < end:
            self.time_us += 5000
            if imu is not None:
                self.imu(self.time_us, imu)
            self.step()

    def after(self, seconds: float, imu: Sequence[float] | None = AT_REST) -> Taken:
        """What the node does until then."""
        self.run(seconds, imu)
        return self.take()

    def play(self, feed: Feed) -> None:
        """The IMU samples of a feed."""
        for self.time_us, values in zip(feed.imu_time_us.tolist(), feed.imu.tolist(), strict=True):
            self.imu(self.time_us, values)
            self.step()

    def room(self, link: int, size: int = 0xFFFFFFFF, there: bool = True) -> None:
        self._add(b"r", size=size, link=link, there=there)

    def cut_next_write(self, after_bytes: int) -> None:
        self._add(b"c", size=after_bytes)

    def power_cycle(self) -> None:
        self._add(b"p")

    def set_memory(self, memory: bytes) -> None:
        self._add(b"w", data=memory)

    def take(self) -> Taken:
        self._add(b"q")
        assert self.process.stdin
        self.process.stdin.write(b"".join(self.commands))
        self.process.stdin.flush()
        self.commands.clear()
        sent, counts = [], []
        for _ in (TELEMETRY, USB):
            size, *numbers = struct.unpack("<7I", self._read(28))
            counts.append(dict(zip(COUNTS, numbers, strict=True)))
            sent.append(self._read(size))
        return Taken(sent, counts, *STATE.unpack(self._read(STATE.size)))

    def ask(self, link: int, frame: bytes, kind: str) -> list[Any]:
        """Send a frame; the node's answers of that kind."""
        self.take()
        self.receive(link, frame)
        self.step()
        return self.take().messages(link, kind)

    def result(self, link: int, command: bytes) -> int:
        """MAV_RESULT of a command."""
        (answer,) = self.ask(link, command, "COMMAND_ACK")
        return int(answer.result)

    def _read(self, size: int) -> bytes:
        assert self.process.stdout and self.process.stderr
        data = self.process.stdout.read(size)
        if len(data) < size:
            raise AssertionError(f"the node ended: {self.process.stderr.read().decode()[-3000:]}")
        return data
