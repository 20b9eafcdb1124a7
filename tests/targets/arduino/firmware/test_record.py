"""`record` on the node's own USB port: a pseudo-terminal with the node at its other end."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
import tty
from pathlib import Path

import numpy as np
from pc_node import USB, PcNode

from px4_tinyml.logs import read_log


def test_the_node_is_asked_for_its_imu_and_recorded(node: PcNode, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ours, theirs = pty.openpty()
    for end in (ours, theirs):
        tty.setraw(end)
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "record", f"serial:{os.ttyname(theirs)}:57600"]
    record = subprocess.Popen(
        [*command, "--out", str(tmp_path / "node.tlog"), "--seconds", "8", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        begin = time.monotonic()
        while record.poll() is None and time.monotonic() - begin < 60:
            while node.time_us < (time.monotonic() - begin) * 1e6:
                node.time_us += 4200
                node.imu(node.time_us, rng.normal([0, 0, -9.8, 0, 0, 0], 1).tolist())
                node.step()
            if select.select([ours], [], [], 0.02)[0]:
                node.receive(USB, os.read(ours, 4096))
            os.write(ours, node.take().sent[USB])
        output, _ = record.communicate(timeout=10)
    finally:
        record.kill()
        record.wait()
        os.close(ours)
        os.close(theirs)
    assert record.returncode == 0
    facts = json.loads(output)
    (sender,) = facts["statistics"]["senders"]
    assert (sender["system"], sender["component"], sender["lost"]) == (1, 25, 0)
    (log,) = read_log(tmp_path / "node.tlog")
    assert len(log.imu) > 100
    steps = np.diff(log.imu.timestamp_us.astype(np.int64))
    assert (steps == 20_000).mean() > 0.95
