"""record --out NAME.csv from the emulated node's own port: the sketch's captures end up whole in a file."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import numpy as np
from node_talk import imu_feed

from px4_tinyml.logs import read_log
from px4_tinyml.logs.csv.arduino_csv import ROWS
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode
from px4_tinyml.targets.arduino.emulator.sample_records import sample_records


def shaken_twice() -> Feed:
    """14 s at 238 Hz, still but for 0.6 s from the 4th and from the 9th second."""
    seconds = np.arange(0, 14, 1 / 238)
    busy = ((seconds > 4) & (seconds < 4.6)) | ((seconds > 9) & (seconds < 9.6))
    imu = np.where(busy[:, None], [12.0, -14.0, -9.8, 0, 0, 0], [0, 0, -9.8, 0, 0, 0])
    return imu_feed((seconds * 1e6 + 4e6).astype(np.uint64), imu)


def pump(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """From one port to the other until one of them is closed."""
    with contextlib.suppress(OSError):
        while data := read(4096):
            write(data)


def test_captures_from_the_nodes_own_port(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "nano_shake.csv"
    with contextlib.ExitStack() as end:
        node = end.enter_context(EmulatedNode(image, usb=True))
        assert node.usb is not None and node.telemetry is not None
        master, slave = pty.openpty()
        end.callback(os.close, slave)
        end.callback(os.close, master)
        tty.setraw(slave)
        usb, telemetry = node.usb, node.telemetry

        ends = ((usb.recv, lambda d: os.write(master, d)), (lambda n: os.read(master, n), usb.sendall))
        for read, write in (*ends, (telemetry.recv, lambda d: None)):
            threading.Thread(target=pump, args=(read, write), daemon=True).start()
        command = [sys.executable, "-m", "px4_tinyml.cli.main", "record", os.ttyname(slave), "--out", str(out)]
        recording = subprocess.Popen(command)
        end.callback(recording.wait)
        end.callback(recording.kill)
        time.sleep(2.0)
        node.play(sample_records(shaken_twice()), speed=2.0)
        deadline = time.monotonic() + 30.0
        while out.read_bytes().count(b"\n\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        recording.terminate()
        assert recording.wait(20) == 0
    captures = read_log(out)
    assert [len(c.imu.timestamp_us) for c in captures] == [ROWS, ROWS] and all(c.complete for c in captures)
    assert np.abs(captures[0].imu.accel_m_s2[5] - [12.0, -14.0, -9.8]).max() < 0.01
