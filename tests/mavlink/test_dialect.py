"""Field layouts of the dialect, against pymavlink."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from link_senders import Vehicle, mavlink

from px4_tinyml.mavlink import dialect


def test_every_message_is_decoded_as_by_numpy() -> None:
    rng = random.Random(1)
    for number in dialect.messages():
        layout = dialect.record_dtype(number)
        payload = rng.randbytes(layout.itemsize)
        fields = dialect.decode(bytes((0xFD, len(payload), 0, 0, 1, 1, 1)) + number.to_bytes(3, "little") + payload)
        row = np.frombuffer(payload, layout)[0]
        for name in layout.names or ():
            value = getattr(fields, name)
            if isinstance(value, bytes):
                assert value.rstrip(b"\0") == bytes(row[name]).rstrip(b"\0"), (number, name)
            else:
                assert np.array_equal(value, row[name], equal_nan=True), (number, name)


@pytest.mark.parametrize("version", [1, 2])
def test_fields_are_those_that_were_sent(version: int) -> None:
    vehicle = Vehicle(version=version)
    log_data = dialect.decode(vehicle.pack(mavlink.MAVLink_log_data_message(1, 180, 2, [7, 8] + [0] * 88)))
    assert (log_data.id, log_data.ofs, log_data.count, log_data.data) == (1, 180, 2, bytes((7, 8)).ljust(90, b"\0"))
    beat = dialect.decode(vehicle.heartbeat())
    assert (beat.autopilot, beat.base_mode) == (dialect.MAV_AUTOPILOT_PX4, 0)
    assert dialect.message_id("HEARTBEAT") == dialect.MAVLINK_MSG_ID_HEARTBEAT == 0
    assert dialect.message_name(123456) == "UNKNOWN_123456"


def test_pymavlink_is_loaded_at_the_first_use() -> None:
    code = """
import sys
from px4_tinyml.link import connection, log_download, recorder, streams
from px4_tinyml.mavlink import dialect
assert "pymavlink" not in sys.modules
assert dialect.MAV_TYPE_GCS == 6 and "pymavlink" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
