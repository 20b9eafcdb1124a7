"""Vehicles by pymavlink, and wires that lose, repeat and reorder frames, with the true counts."""

from __future__ import annotations

import os
import pty
import random
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from px4_tinyml import progress
from px4_tinyml.link.connection import Frame, Link
from px4_tinyml.logs.tlog.tlog_file import TlogFile
from px4_tinyml.mavlink.signing import EPOCH_2015_S, TICKS_PER_S

PX4, ARDUPILOT = mavlink.MAV_AUTOPILOT_PX4, mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA


class Vehicle:
    """Packs messages of one component, as MAVLink 2 (or 1)."""

    def __init__(self, system: int = 1, component: int = 1, version: int = 2) -> None:
        self.mavlink = mavlink.MAVLink(None, system, component)
        self.version = version

    def pack(self, message: Any) -> bytes:
        data = bytes(message.pack(self.mavlink, force_mavlink1=self.version == 1))
        self.mavlink.seq = (self.mavlink.seq + 1) % 256
        return data

    def attitude(self, time_ms: int = 0) -> bytes:
        return self.pack(mavlink.MAVLink_attitude_message(time_ms, 0.1, 0.2, 0.3, 0, 0, 0))

    def imu(self, time_us: int) -> bytes:
        return self.pack(
            mavlink.MAVLink_highres_imu_message(time_us, 0, 0, -9.8, 0, 0, 0, 0.2, 0, 0.4, 1000, 0, 50, 20, 0x1FFF)
        )

    def heartbeat(self, autopilot: int = PX4, kind: int = 2) -> bytes:
        return self.pack(mavlink.MAVLink_heartbeat_message(kind, autopilot, 0, 0, 4, 3))

    def sign(self, key: bytes, timestamp: int | None = None) -> None:
        """Sign from now on, with times from this one (10 µs since 2015), or our clock's."""
        signing = self.mavlink.signing
        signing.secret_key, signing.timestamp, signing.sign_outgoing = key, timestamp or signing_now(), True


def signing_now() -> int:
    """Our clock's time in signatures."""
    return int((time.time() - EPOCH_2015_S) * TICKS_PER_S)


class UdpSender:
    """A socket that sends to a local port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)

    def __enter__(self) -> UdpSender:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self._socket.send(datagram)

    def receive_raw(self) -> bytes:
        """One datagram received."""
        return self._socket.recv(65536)

    def received(self) -> list[Any]:
        """Messages received."""
        parser = mavlink.MAVLink(None)
        messages: list[Any] = []
        while True:
            try:
                messages += parser.parse_buffer(self._socket.recv(65536)) or []
            except (BlockingIOError, ConnectionRefusedError):  # nothing, or no program listens yet
                return messages


class AnsweringVehicle(threading.Thread):
    """A vehicle that receives and sends, in a thread until the end of the block. Subclasses add its behaviour."""

    def __init__(self, port: int, system: int = 1) -> None:
        super().__init__(daemon=True)
        self.vehicle = Vehicle(system)
        self._socket = UdpSender(port)
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self._socket.__exit__()

    def run(self) -> None:
        while not self._over.wait(0.001):
            for message in self._socket.received():
                self._answer(message)
            self._send_due()

    def _answer(self, message: Any) -> None:
        """Handle a received message."""
        raise NotImplementedError

    def _send_due(self) -> None:
        """Called repeatedly: send what is due."""
        raise NotImplementedError


def free_port() -> int:
    """A free UDP port."""
    with Link("udpin:127.0.0.1:0") as link:
        return link.local_port


@dataclass
class Truth:
    """True counts of a bad wire."""

    lost: int = 0
    duplicates: int = 0
    reordered: int = 0


def bad_wire(frames: Iterable[bytes], seed: int, loss: float, repeat: float, swap: float) -> tuple[list[bytes], Truth]:
    """Frames as they arrive: some lost, some repeated, some behind up to 20 later ones. The last ones are unchanged.

    A frame counts as reordered when it is received after one that was sent later.
    """
    rng = random.Random(seed)
    arriving: list[tuple[float, int, bytes]] = []
    everything = list(frames)
    for number, frame in enumerate(everything):
        sound = number < 1 or number >= len(everything) - 30
        if not sound and rng.random() < loss:
            continue
        place = number + (rng.randint(1, 20) + 0.5 if not sound and rng.random() < swap else 0.0)
        arriving.append((place, number, frame))
        if not sound and rng.random() < repeat:
            arriving.append((place + rng.randint(1, 20) + 0.25, number, frame))
    arriving.sort()
    truth, seen, newest = Truth(), set[int](), -1
    for _, number, _ in arriving:
        if number in seen:
            truth.duplicates += 1
        elif number < newest:
            truth.reordered += 1
        seen.add(number)
        newest = max(newest, number)
    truth.lost = len(everything) - len(seen)
    return [frame for _, _, frame in arriving], truth


class Pty:
    """A serial cable: `device` is the computer's end, a symbolic link as udev makes them; write() is the vehicle's."""

    def __init__(self, device: Path) -> None:
        self._vehicle, self._computer = pty.openpty()
        tty.setraw(self._computer)
        os.set_blocking(self._vehicle, False)
        self.device = device
        device.symlink_to(os.ttyname(self._computer))

    def __enter__(self) -> Pty:
        return self

    def __exit__(self, *_: object) -> None:
        if self._vehicle >= 0:
            self.pull()

    def write(self, data: bytes) -> None:
        os.write(self._vehicle, data)

    def read(self) -> bytes:
        try:
            return os.read(self._vehicle, 65536)
        except BlockingIOError:
            return b""

    def pull(self) -> None:
        """The cable is pulled: the device vanishes."""
        self.device.unlink()
        os.close(self._vehicle)
        os.close(self._computer)
        self._vehicle = -1


def wait_until(done: Callable[[], bool], step: Callable[[], object] = lambda: time.sleep(0.01)) -> None:
    """Repeat a step until this holds; fails after a minute."""
    deadline = time.monotonic() + 60.0
    while not done():
        assert time.monotonic() < deadline
        step()


def stop_when(monkeypatch: pytest.MonkeyPatch, done: Callable[[], bool]) -> None:
    """Commands that run until Ctrl-C, called in this process, stop when this holds; they fail after a minute."""
    deadline = time.monotonic() + 60.0

    def stopped() -> bool:
        assert time.monotonic() < deadline
        return done()

    monkeypatch.setattr(progress, "stop_requests", lambda: nullcontext(stopped))


def recorded(path: Path, name: str) -> int:
    """Messages of a name in a .tlog that may still be written."""
    return TlogFile.read(path.read_bytes()).counts().get(name, 0) if path.exists() else 0


def written(path: Path) -> int:
    """Size of a file, 0 before it exists."""
    return path.stat().st_size if path.exists() else 0


def receive_until(link: Link, done: Callable[[list[Frame]], bool]) -> list[Frame]:
    """All frames until this holds; fails after a minute."""
    frames: list[Frame] = []
    wait_until(lambda: done(frames), lambda: frames.extend(link.receive(0.05)))
    return frames


def drain(link: Link) -> list[Frame]:
    """All frames until the link is silent."""
    frames: list[Frame] = []
    while got := link.receive(0.1):
        frames += got
    return frames
