"""Logs over MAVLink: the list, a download with lost frames, and a streamed log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink
from pyulog import ULog
from vehicle_field import Client, Field

from px4_tinyml.link.log_stream import UlogAssembler
from px4_tinyml.logs import read_log
from px4_tinyml_sitl.vehicle.log_server import LogServer
from px4_tinyml_sitl.vehicle.wire import Faults


class LogsOnDisk:
    """A double of OnboardLog: a folder of files."""

    open_path = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def paths(self) -> list[Path]:
        return sorted(self._folder.iterdir())


def arm_for_a_while(client: Client) -> None:
    assert client.arm()[0] == 0
    client.collect(2.5)
    assert client.arm(0.0)[0] == 0


def download(client: Client, number: int, size: int) -> bytes:
    """Send LOG_REQUEST_DATA, repeatedly for missing parts."""
    content, have = bytearray(size), np.zeros(size, bool)
    for _ in range(40):
        missing = np.flatnonzero(~have)
        if not len(missing):
            client.link.mav.log_request_end_send(1, 1)
            return bytes(content)
        first, last = int(missing[0]), int(missing[-1]) + 1
        client.link.mav.log_request_data_send(1, 1, number, first, last - first)
        end = 0
        while end < last:
            message = client.link.recv_match(type="LOG_DATA", blocking=True, timeout=0.5)
            if message is None:
                break
            end = message.ofs + message.count
            content[message.ofs : end] = bytes(message.data[: message.count])
            have[message.ofs : end] = True
    raise AssertionError(f"{int((~have).sum())} of {size} bytes not received")


def test_no_logs(field: Field) -> None:
    client, _ = field.pair()
    client.link.mav.log_request_list_send(1, 1, 0, 0xFFFF)
    entry = client.wait("LOG_ENTRY")
    assert (entry.num_logs, entry.size) == (0, 0)


@pytest.mark.parametrize("drop", [0.0, 0.1])
def test_download_is_the_file(field: Field, drop: float) -> None:
    client, vehicle = field.pair(speed=5, faults=Faults(), edr=0.3)
    arm_for_a_while(client)
    client.link.mav.log_request_list_send(1, 1, 0, 0xFFFF)
    entry = client.wait("LOG_ENTRY")
    path = vehicle.log.paths()[entry.id]
    assert (entry.num_logs, entry.size) == (1, path.stat().st_size)
    vehicle.wires[0].faults = Faults(drop=drop)
    content = download(client, entry.id, entry.size)
    assert content == path.read_bytes()


def test_logs_erased_while_they_are_listed(tmp_path: Path) -> None:
    """By the client that lists them, or on another link."""
    for number in range(20):
        (tmp_path / f"{number:02d}.ulg").write_bytes(bytes(number + 1))
    log, sent = LogsOnDisk(tmp_path), list[Any]()
    server = LogServer(log, sent.append, lambda: False)
    request = mavlink.MAVLink_log_request_list_message(1, 1, 0, 0xFFFF)
    server.handle(request)
    server.update()
    LogServer(log, lambda message: None, lambda: False).handle(mavlink.MAVLink_log_erase_message(1, 1))
    server.update()
    assert [m.id for m in sent] == list(range(10)) and sent[-1].size == 10
    server.handle(mavlink.MAVLink_log_erase_message(1, 1))
    server.update()
    assert len(sent) == 10 and not list(tmp_path.iterdir())
    server.handle(request)
    assert (sent[-1].num_logs, sent[-1].size) == (0, 0)


def test_the_log_of_a_served_flight(field: Field) -> None:
    client, vehicle = field.pair(speed=8, edr=0.3, seed=4)
    client.fly_up(4.0)
    client.land()
    path = vehicle.log.paths()[0]
    log = ULog(str(path))
    assert not log.file_corruption
    truth = log.get_dataset("turbulence_truth").data
    assert np.median(truth["edr"]) == pytest.approx(0.3, abs=0.02)
    assert log.initial_parameters["SIM_TURB_EDR"] == pytest.approx(0.3)
    flight = read_log(path)[0]
    assert not flight.gaps
    assert 180 < len(flight.imu.timestamp_us) / (np.ptp(flight.imu.timestamp_us) * 1e-6) < 260
    landed = log.get_dataset("vehicle_land_detected").data["landed"]
    assert landed[0] == 1
    assert (landed == 0).any()
    assert log.get_dataset("vehicle_status").data["nav_state"][0] == 17  # Takeoff, ordered before arming


def test_log_streaming_with_lost_packets(field: Field, tmp_path: Path) -> None:
    """The definitions are complete; only whole messages of the data are lost."""
    client, _ = field.pair(speed=3, faults=Faults(drop=0.1, drop_received=0.1), seed=2)
    assert client.command(2510, 0.0, tries=10)[0] == 0
    pieces: dict[int, tuple[bytes, int]] = {}
    definitions_end = 0
    while len(pieces) - definitions_end < 300:
        message = client.wait(["LOGGING_DATA", "LOGGING_DATA_ACKED"])
        if message.get_type() == "LOGGING_DATA_ACKED":
            client.link.mav.logging_ack_send(1, 1, message.sequence)
            definitions_end = message.sequence + 1
        pieces[message.sequence] = (bytes(message.data[: message.length]), message.first_message_offset)
    assert set(range(definitions_end)) <= set(pieces)
    lost = max(pieces) + 1 - len(pieces)
    assert lost > 5
    path = tmp_path / "streamed.ulg"
    assembler = UlogAssembler()
    path.write_bytes(b"".join(assembler.take(number, *pieces[number], 0.0) for number in sorted(pieces)))
    assert assembler.lost == lost
    log = ULog(str(path))
    assert not log.file_corruption
    assert len(log.get_dataset("sensor_combined").data["timestamp"]) > 500
    assert client.command(2511, tries=10)[0] == 0


def test_a_stream_without_acknowledgements_ends(field: Field) -> None:
    client, vehicle = field.pair()
    assert client.command(2510, 0.0)[0] == 0
    sequences = []
    while (message := client.wait(["STATUSTEXT", "LOGGING_DATA_ACKED"])).get_type() != "STATUSTEXT":
        sequences.append(message.sequence)
    assert "no acknowledgement" in message.text
    assert sequences == [0] * 50
    assert vehicle.call(lambda: vehicle.log.listeners) == []
