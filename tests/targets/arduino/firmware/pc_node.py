"""The node on this computer, behind the test double of a board (pc_board.cpp)."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

TELEMETRY, USB = 0, 1
STEP_US = 10_000
MEMORY_BYTES = 1024
COUNTS = ("received", "bad_crc", "unknown", "refused", "sent", "dropped")


@dataclass
class Taken:
    """What the node did since the last time: bytes by link; the rest since it was switched on."""

    sent: list[bytes]
    counts: list[dict[str, int]]
    source: int
    jumps: int
    uncertainty_us: int
    reboot: bool
    silent: bool
    decisions: int
    writes: int
    memory: bytes

    def messages(self, link: int, kind: str | None = None) -> list[Any]:
        found = parse(self.sent[link])
        return [m for m in found if kind is None or m.get_type() == kind]


def parse(data: bytes, **signing: Any) -> list[Any]:
    """Every MAVLink message in the bytes; anything else among them is an error."""
    parser = mavlink.MAVLink(None)
    for name, value in signing.items():
        setattr(parser.signing, name, value)
    parser.robust_parsing = False
    return list(parser.parse_buffer(data) or [])


class Sender:
    """Somebody who talks to the node: builds frames, with sequence numbers."""

    def __init__(self, system: int = 255, component: int = 190) -> None:
        self.mav = mavlink.MAVLink(None, srcSystem=system, srcComponent=component)

    def pack(self, message: Any) -> bytes:
        frame = bytes(message.pack(self.mav))
        self.mav.seq = (self.mav.seq + 1) % 256
        return frame


class PcNode:
    """Commands are collected and sent when an answer is wanted. time_us runs forward by run()."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.time_us = 0
        self.commands: list[bytes] = []

    def close(self) -> None:
        """Ends it; a sanitizer's complaint is a failure."""
        assert self.process.stdin and self.process.stderr
        try:
            self._flush()
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        words = self.process.stderr.read().decode()
        assert self.process.wait(20) == 0, words
        assert not words

    def receive(self, link: int, data: bytes) -> None:
        for i in range(0, len(data), 60_000):
            part = data[i : i + 60_000]
            self.commands.append(b"b" + struct.pack("<BQH", link, self.time_us, len(part)) + part)

    def imu(self, time_us: int, values: Iterable[float]) -> None:
        self.commands.append(b"i" + struct.pack("<Q6f", time_us, *values))

    def baro(self, time_us: int, altitude_m: float, pressure_pa: float = 95_000.0, temperature_c: float = 21.5) -> None:
        self.commands.append(b"a" + struct.pack("<Q3f", time_us, pressure_pa, temperature_c, altitude_m))

    def step(self) -> None:
        self.commands.append(b"s" + struct.pack("<Q", self.time_us))

    def run(self, seconds: float, imu: Sequence[float] | None = (0, 0, -9.8, 0, 0, 0), rate_hz: int = 200) -> None:
        """Time passes, with a constant IMU (None: silent)."""
        end = self.time_us + round(seconds * 1e6)
        period = 1_000_000 // rate_hz
        while self.time_us < end:
            self.time_us += period
            if imu is not None:
                self.imu(self.time_us, imu)
            self.step()

    def room(self, link: int, size: int = 0xFFFFFFFF, there: bool = True) -> None:
        self.commands.append(b"r" + struct.pack("<BIB", link, size, there))

    def cut_next_write(self, after_bytes: int) -> None:
        self.commands.append(b"c" + struct.pack("<I", after_bytes))

    def power_cycle(self) -> None:
        self.commands.append(b"p")

    def set_memory(self, memory: bytes) -> None:
        self.commands.append(b"w" + struct.pack("<I", len(memory)) + memory)

    def take(self) -> Taken:
        self.commands.append(b"q")
        self._flush()
        sent, counts = [], []
        for _ in (TELEMETRY, USB):
            sent.append(self._read(struct.unpack("<I", self._read(4))[0]))
            counts.append(dict(zip(COUNTS, struct.unpack("<6I", self._read(24)), strict=True)))
        source, jumps, uncertainty, reboot, silent = struct.unpack("<5I", self._read(20))
        pipeline = struct.unpack("<6I", self._read(24))
        (writes,) = struct.unpack("<I", self._read(4))
        memory = self._read(MEMORY_BYTES)
        return Taken(
            sent, counts, source, jumps, uncertainty, bool(reboot), bool(silent), pipeline[0], writes, memory
        )  # fmt: skip

    def ask(self, link: int, frame: bytes, kind: str) -> list[Any]:
        """Send a frame; the node's answers of that kind."""
        self.take()
        self.receive(link, frame)
        self.step()
        return self.take().messages(link, kind)

    def _flush(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"".join(self.commands))
        self.process.stdin.flush()
        self.commands.clear()

    def _read(self, size: int) -> bytes:
        assert self.process.stdout
        data = self.process.stdout.read(size)
        if len(data) < size:
            assert self.process.stderr
            raise AssertionError(f"the node ended: {self.process.stderr.read().decode()[-3000:]}")
        return data
