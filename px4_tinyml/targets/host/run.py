"""Runs a feed through the host C++ command and reads its results.

The README.md of a generated host project describes the binary formats.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.classifier import COUNTERS, Classification
from px4_tinyml.signal.decision import DECISION
from px4_tinyml.signal.slots import Feed

FEED_RECORD = np.dtype([("time_us", "<u8"), ("kind", "<u4"), ("values", "<f4", (6,)), ("zero", "<u4")])
FEED_HEAD = b"MOTNFEED" + struct.pack("<II", 1, FEED_RECORD.itemsize)
DUMP_HEAD = struct.Struct("<8sIIII")
DUMP_TAIL = struct.Struct(f"<8s{len(COUNTERS)}I")


def encode_feed(events: Feed) -> bytes:
    """A feed in the command's binary format: barometer and IMU samples in the order of delivery."""
    imu_count, delivered = len(events.imu_time_us), int(events.baro_before[-1]) if len(events.imu) else 0
    records = np.zeros(imu_count + delivered, FEED_RECORD)
    imu_at = np.arange(imu_count) + events.baro_before
    is_baro = np.ones(len(records), np.bool_)
    is_baro[imu_at] = False
    records["time_us"][imu_at] = events.imu_time_us
    records["values"][imu_at] = events.imu
    records["kind"][is_baro] = 1
    records["time_us"][is_baro] = events.baro_time_us[:delivered]
    records["values"][is_baro, 0] = events.baro_altitude_m[:delivered]
    return FEED_HEAD + records.tobytes()


def decode_dump(data: bytes) -> Classification:
    """Decode the output of `--dump`. Raises ToolchainError for a truncated one or another version."""
    if len(data) < DUMP_HEAD.size + DUMP_TAIL.size:
        raise ToolchainError(f"motion_classify wrote {len(data)} bytes: truncated")
    magic, version, decision_size, inputs, outputs = DUMP_HEAD.unpack_from(data)
    end, *counters = DUMP_TAIL.unpack_from(data, len(data) - DUMP_TAIL.size)
    if (magic, version, decision_size, end) != (b"MOTNDUMP", 1, DECISION.itemsize, b"MOTN_END"):
        raise ToolchainError("motion_classify wrote another format: it belongs to another version of px4-tinyml")
    window = np.dtype([("decision", DECISION), ("input", "i1", (inputs,)), ("output", "i1", (outputs,))])
    body: NDArray[np.void] = np.frombuffer(data[DUMP_HEAD.size : -DUMP_TAIL.size], window)
    return Classification(
        inputs=np.ascontiguousarray(body["input"]),
        outputs=np.ascontiguousarray(body["output"]),
        decisions=body["decision"].copy(),
        counts=dict(zip(COUNTERS, counters, strict=True)),
    )


def run_host(command: Path, events: Feed) -> Classification:
    """A feed through a built `motion_classify`; raises ToolchainError with its message when it fails."""
    with tempfile.TemporaryDirectory(prefix="px4-tinyml-") as folder:
        dump = Path(folder) / "dump"
        done = subprocess.run(
            [str(command), "--binary", "--dump", str(dump)], input=encode_feed(events), capture_output=True, check=False
        )
        if done.returncode != 0:
            message = done.stderr.decode(errors="replace").strip()
            raise ToolchainError(f"{command} ended with {done.returncode}: {message}")
        return decode_dump(dump.read_bytes())
