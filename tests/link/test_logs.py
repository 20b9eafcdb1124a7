"""Logs from a vehicle: downloaded over bad links, resumed, and streamed in flight."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from link_senders import AnsweringVehicle, free_port, mavlink, recorded, stop_when, wait_until, written

from px4_tinyml.cli.main import main
from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link import log_download as log_files
from px4_tinyml.link import log_stream as ulog_stream
from px4_tinyml.link.connection import Link
from px4_tinyml.link.log_download import LogClient, LogEntry
from px4_tinyml.link.log_stream import UlogAssembler, UlogStream
from px4_tinyml.link.vehicle import choose
from px4_tinyml.logs import read_log
from px4_tinyml.logs.ulog.ulog_file import MAGIC

CHUNK = 90


class LogVehicle(AnsweringVehicle):
    """A test double of PX4's log handler, on a link that loses: lists first, then sends what is asked for."""

    def __init__(self, port: int, logs: dict[int, tuple[int, bytes]]) -> None:
        super().__init__(port)
        self.logs, self.loss, self.sent_bytes = logs, 0.0, 0
        self.stop_after: int | None = None
        """Stops sending (but for its heartbeat) after so many bytes."""
        self.reboot_after: int | None = None
        """Forgets that it has listed its logs then."""
        self.counts: dict[int, int] = {}
        """Wrong counts, by offset: each is sent once, with data that is wrong, too."""
        self._listed = False
        self._random = random.Random(1)
        self._sending: list[tuple[int, int, int]] = []
        self._heartbeat_due_s = 0.0

    def _send_due(self) -> None:
        if time.monotonic() >= self._heartbeat_due_s:
            self._heartbeat_due_s = time.monotonic() + 0.5
            self._socket.send(self.vehicle.heartbeat())
        for _ in range(25):
            self._send_some()

    def _answer(self, message: Any) -> None:
        name = message.get_type()
        if self._random.random() < self.loss:
            return
        if name == "LOG_REQUEST_LIST":
            self._listed = True
            for number, (when, log) in self.logs.items():
                count = len(self.logs)
                self._send(mavlink.MAVLink_log_entry_message(number, count, max(self.logs), when, len(log)))
        elif name == "LOG_REQUEST_DATA" and self._listed and message.id in self.logs:
            size = len(self.logs[message.id][1])
            self._sending = [(message.id, message.ofs, min(size, message.ofs + message.count))]

    def _send_some(self) -> None:
        if not self._sending:
            return
        number, place, end = self._sending.pop()
        if self.reboot_after is not None and self.sent_bytes >= self.reboot_after:
            self.reboot_after, self._listed = None, False
            return
        if self.stop_after is not None and self.sent_bytes >= self.stop_after:
            return
        part = self.logs[number][1][place : place + CHUNK]
        self.sent_bytes += len(part)
        count = self.counts.pop(place, len(part))
        if count != len(part):
            part = b"?" * CHUNK
        self._send(mavlink.MAVLink_log_data_message(number, place, count, list(part.ljust(CHUNK, b"\0"))))
        if place + CHUNK < end:
            self._sending = [(number, place + CHUNK, end)]

    def _send(self, message: Any) -> None:
        data = self.vehicle.pack(message)
        if self._random.random() >= self.loss:
            self._socket.send(data)


def some_log(size: int, seed: int = 0) -> bytes:
    return MAGIC + b"\1" + random.Random(seed).randbytes(size - len(MAGIC) - 1)


LOGS = {
    0: (1_790_000_100, some_log(150_001, 1)),
    1: (1_790_000_000, some_log(90 * 100, 2)),
    2: (0, b"\xa3\x95\x80\x80" + bytes(85)),
    3: (1_790_000_200, b""),
}


@pytest.fixture
def vehicle(udp: Link) -> Iterator[LogVehicle]:
    with LogVehicle(udp.local_port, dict(LOGS)) as running:
        yield running


@pytest.fixture
def client(udp: Link, vehicle: LogVehicle) -> LogClient:
    return LogClient(udp, choose(udp, 1), patience_s=6.0)


@pytest.fixture
def entry(client: LogClient) -> LogEntry:
    """The largest log."""
    return next(e for e in client.list() if e.number == 0)


def test_the_list_is_sorted_by_time(client: LogClient) -> None:
    entries = client.list()
    assert [(e.number, e.size) for e in entries] == [(2, 89), (1, 9000), (0, 150_001), (3, 0)]
    assert [e.stem for e in entries[:2]] == ["log_002", "2026-09-21_14-13-20"]  # without a time by its number


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_downloads_are_complete(client: LogClient, vehicle: LogVehicle, tmp_path: Path, loss: float) -> None:
    vehicle.loss = loss
    shown: list[int] = []
    for entry in client.list():
        if not entry.size:
            with pytest.raises(LinkError, match="empty"):
                client.download(entry, tmp_path / "empty")
            continue
        path = client.download(entry, tmp_path / entry.stem, shown.append)
        assert path.read_bytes() == LOGS[entry.number][1]
        assert path.suffix == (".bin" if entry.number == 2 else ".ulg")
        assert shown[-1] == entry.size
    assert shown == sorted(shown[: shown.index(89) + 1]) + shown[shown.index(89) + 1 :]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("count", [255, 91, 89, 0])
def test_a_chunk_with_a_wrong_count_is_requested_again(
    client: LogClient, entry: LogEntry, vehicle: LogVehicle, tmp_path: Path, count: int
) -> None:
    last = 150_001 // CHUNK * CHUNK
    vehicle.counts = dict.fromkeys((0, CHUNK, 100 * CHUNK, 1023 * CHUNK, last - CHUNK), count)
    vehicle.counts[last] = 0 if count == 0 else 255
    assert client.download(entry, tmp_path / "log").read_bytes() == LOGS[0][1]
    assert not vehicle.counts


def test_an_interrupted_download_is_resumed(
    client: LogClient, entry: LogEntry, vehicle: LogVehicle, tmp_path: Path
) -> None:
    vehicle.stop_after = 120_000
    with pytest.raises(LinkError, match="Received bytes are kept: run again"):
        client.download(entry, tmp_path / "log")
    (part,) = tmp_path.glob("*.part")
    kept = part.stat().st_size
    assert 90_000 <= kept < entry.size
    vehicle.stop_after, vehicle.sent_bytes = None, 0
    assert client.download(entry, tmp_path / "log").read_bytes() == LOGS[0][1]
    assert vehicle.sent_bytes < entry.size - kept + 1000
    # and a complete file is not downloaded again
    vehicle.sent_bytes = 0
    assert client.download(entry, tmp_path / "log").name == "log.ulg"
    assert vehicle.sent_bytes < 1000


def test_a_part_of_another_log_is_not_resumed(client: LogClient, entry: LogEntry, tmp_path: Path) -> None:
    (tmp_path / f"log.{entry.size}.part").write_bytes(some_log(100_000, 77))
    assert client.download(entry, tmp_path / "log").read_bytes() == LOGS[0][1]
    (tmp_path / "other.ulg").write_bytes(some_log(150_001, 78))
    assert client.download(entry, tmp_path / "other").name == "other_2.ulg"
    assert (tmp_path / "other.ulg").read_bytes() == some_log(150_001, 78)


def test_a_download_survives_a_reboot(client: LogClient, entry: LogEntry, vehicle: LogVehicle, tmp_path: Path) -> None:
    """PX4 sends nothing before it has listed its logs again."""
    vehicle.reboot_after = 50_000
    assert client.download(entry, tmp_path / "log").read_bytes() == LOGS[0][1]


def test_a_changed_list_of_logs_ends_a_download(
    client: LogClient, entry: LogEntry, vehicle: LogVehicle, tmp_path: Path
) -> None:
    vehicle.reboot_after = 50_000
    vehicle.logs = {**LOGS, 0: (1_790_000_300, some_log(150_001, 5))}
    vehicle.stop_after = 50_000
    with pytest.raises(LinkError, match="has changed in the vehicle"):
        client.download(entry, tmp_path / "log")


def test_a_folder_that_cannot_be_written(client: LogClient, tmp_path: Path) -> None:
    entry = client.list()[1]
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="expected a folder"):
        client.download(entry, tmp_path / "file" / "log")


def test_a_vehicle_without_a_list_of_logs_is_an_error(udp: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "LIST_IDLE_S", 0.3)
    with LogVehicle(udp.local_port, {}), pytest.raises(LinkError, match="sends no list of logs"):
        LogClient(udp, choose(udp, 1)).list()


def some_messages(number: int) -> list[bytes]:
    """ULog messages (after the header) of many sizes, each with its number in it."""
    rng = random.Random(4)
    return [
        struct.pack("<HcI", 4 + size, b"D", n) + rng.randbytes(size)
        for n, size in enumerate(rng.choice((5, 40, 300, 2000)) for _ in range(number))
    ]


def packets(messages: list[bytes]) -> list[tuple[int, bytes, int]]:
    """(sequence, data, first message offset) as a logger cuts them, starting near the wrap of the sequence."""
    stream = MAGIC + b"\1" + bytes(8)
    starts, place = [], len(stream)
    for message in messages:
        starts.append(place)
        place += len(message)
    stream += b"".join(messages)
    cut = []
    for at in range(0, len(stream), 249):
        first = next((s - at for s in starts if at <= s < at + 249), 255)
        cut.append(((65500 + at // 249) % 65536, stream[at : at + 249], first))
    return cut


def parsed(data: bytes) -> tuple[list[bytes], int]:
    """Messages and dropouts of an assembled log."""
    assert data[:7] == MAGIC
    place, messages, dropouts = 16, [], 0
    while place < len(data):
        end = place + 3 + int.from_bytes(data[place : place + 2], "little")
        assert end <= len(data), "a torn message"
        if data[place + 2 : place + 3] == b"O":
            dropouts += 1
        else:
            messages.append(data[place:end])
        place = end
    return messages, dropouts


@pytest.mark.parametrize("seed", range(5))
def test_lost_packets_of_a_stream_cost_complete_messages(seed: int) -> None:
    rng = random.Random(seed)
    messages = some_messages(400)
    assembler = UlogAssembler()
    out, lost, runs, gone = b"", 0, 0, False
    everything = packets(messages)
    for n, (sequence, data, first) in enumerate(everything):
        if 0 < n < len(everything) - 1 and rng.random() < 0.1:
            lost += 1
            runs += not gone
            gone = True
            continue
        gone = False
        for _ in range(rng.choice((1, 1, 2))):  # some are repeated
            out += assembler.take(sequence, data, first, n * 0.01)
    received, dropouts = parsed(out)
    assert assembler.lost == lost > 20
    assert dropouts == assembler.dropouts
    assert 0 < dropouts <= runs
    assert len(received) < 400
    assert [message for message in messages if message in set(received)] == received
    # without losses every message is there
    whole = UlogAssembler()
    assert parsed(b"".join(whole.take(s, d, f, 0.0) for s, d, f in everything)) == (messages, 0)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[int]:
    """A simulated vehicle flying, in a process of its own: the port it sends to."""
    port = free_port()
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "serve", f"udpout:127.0.0.1:{port}"]
    command += ["--mission", "hover", "--speed", "4", "--out", str(tmp_path / "vehicle")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_commands_against_the_embedded_vehicle(
    served: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Record with its own log streamed, then list and download: all readable, nothing lost, no sample skipped."""
    url, tlog, ulg = f"udpin:127.0.0.1:{served}", tmp_path / "flight.tlog", tmp_path / "flight.ulg"
    before: list[int] = []

    def enough() -> bool:
        """Two simulated seconds of 200 samples each after the log has begun."""
        if written(ulg) > 50_000 and not before:
            before.append(recorded(tlog, "HIGHRES_IMU"))
        return bool(before) and recorded(tlog, "HIGHRES_IMU") > before[0] + 400

    def px4_tinyml(*arguments: object, code: int = 0) -> str:
        assert main([str(argument) for argument in arguments]) == code
        return capfd.readouterr().out

    with monkeypatch.context() as patch:
        stop_when(patch, enough)
        facts = json.loads(px4_tinyml("record", url, "--out", tlog, "--ulog", "--json"))
    assert facts["statistics"]["senders"][0]["lost"] == 0
    (ulog,) = facts["ulog"]
    assert (ulog["lost"], ulog["dropouts"], ulog["files"]) == (0, 0, [ulg.name])
    sent, logged = (log.imu.timestamp_us for path in (tlog, ulg) for log in read_log(path))
    first, last = logged[0], min(sent[-1], logged[-1])
    assert np.array_equal(*(times[(times >= first) & (times <= last)] for times in (sent, logged)))
    assert last - first > 1_000_000, "a second of simulated flight"

    entries: list[dict[str, Any]] = []  # the vehicle lists a log when its first bytes are on its disk
    wait_until(lambda: bool(entries), lambda: entries.extend(json.loads(px4_tinyml("logs", "list", url, "--json"))))
    (entry,) = entries
    path = Path(px4_tinyml("logs", "get", url, "--last", "--system", 1, "--out", tmp_path / "logs").strip())
    (original,) = (tmp_path / "vehicle").glob("*.ulg")
    assert original.read_bytes().startswith(path.read_bytes())
    assert path.stat().st_size >= entry["bytes"]
    assert main(["logs", "get", url, "17", "--system", "1", "--out", str(tmp_path)]) == 2
    out, err = capfd.readouterr()
    assert not out and "no log 17 on the vehicle; it has: 0" in err


def test_a_stream_over_a_bad_wire_is_still_a_log(tmp_path: Path) -> None:
    from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle
    from px4_tinyml_sitl.vehicle.wire import Faults

    with Link("udpin:127.0.0.1:0") as link:
        vehicle = EmbeddedVehicle(
            f"udpout:127.0.0.1:{link.local_port}", mission="hover", speed=2, faults=Faults(drop=0.05, duplicate=0.05)
        )
        with vehicle:
            stream = UlogStream(link, choose(link), tmp_path / "streamed")
            wait_until(
                lambda: stream.dropouts >= 10 and stream.bytes > 400_000, lambda: stream.watch(link.receive(0.1))
            )
            stream.close()
    assert stream.lost > 5
    (flight,) = read_log(stream.files[0])
    assert len(flight.imu) > 500
    assert len(flight.gaps) >= stream.dropouts // 2 > 0


def test_a_vehicle_that_does_not_stream(
    udp: Link, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ulog_stream, "RETRY_S", 0.2)
    with LogVehicle(udp.local_port, {}):
        stream = UlogStream(udp, choose(udp, 1), tmp_path / "none")
        wait_until(lambda: bool(stream.trouble), lambda: stream.watch(udp.receive(0.1)))
        stream.close()
    assert "does not answer MAV_CMD_LOGGING_START" in caplog.text
    assert not list(tmp_path.iterdir())
