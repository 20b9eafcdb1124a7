"""record --out NAME.csv: an Arduino's captures over a pty, with lines lost and damaged on the way."""

from __future__ import annotations

import json
import os
import pty
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.cli.main import main
from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.csv_capture import CaptureText, record_captures
from px4_tinyml.logs import read_log
from px4_tinyml.logs.csv.arduino_csv import ROWS

HEADER = b"aX,aY,aZ,gX,gY,gZ\r\n"


def capture(seed: int) -> list[bytes]:
    values = np.random.default_rng(seed).normal(0.0, 1.0, (ROWS, 6))
    return [b",".join(b"%.3f" % v for v in row) + b"\r\n" for row in values]


@pytest.fixture
def port() -> Iterator[tuple[int, str]]:
    """The board's end of a serial line, and the name of ours."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def board(master: int, text: bytes, deaf: int = 0) -> None:
    """Waits for "csv" (once more for each time it is deaf), then sends."""
    received = b""
    while received.count(b"csv\n") <= deaf:
        received += os.read(master, 100)
    for at in range(0, len(text), 500):
        os.write(master, text[at : at + 500])
        time.sleep(0.001)


def test_only_complete_captures_are_written(
    port: tuple[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master, name = port
    one, short, damaged, last = (capture(seed) for seed in range(4))
    del short[50]
    damaged[7] = damaged[7].replace(b",", b"#", 1)
    text = HEADER + b"".join([*one, b"\r\n", *short, b"\r\n", *damaged, b"\r\n", b"hello\r\n", HEADER, *last, b"\r\n"])
    sender = threading.Thread(target=board, args=(master, text))
    sender.start()
    out = tmp_path / "captures" / "nano_vert.csv"
    assert main(["record", f"serial:{name}", "--out", str(out), "--seconds", "3", "--json"]) == 0
    sender.join()
    counts = json.loads(capsys.readouterr().out)
    assert counts == {"csv": str(out), "captures": 2, "incomplete": 2, "damaged_rows": 2}
    assert os.read(master, 100) == b"off\n"
    logs = read_log(out)
    assert [len(log.imu.timestamp_us) for log in logs] == [ROWS, ROWS] and not any(log.warnings for log in logs)
    assert out.read_bytes().replace(b"\n\n", b"\n") == (HEADER + b"".join([*one, *last])).replace(b"\r", b"")


def test_a_file_of_captures_is_resumed(port: tuple[int, str], tmp_path: Path) -> None:
    master, name = port
    out = tmp_path / "nano_vert.csv"
    for seed in (1, 2):
        text = HEADER + b"".join([*capture(seed), b"\r\n"])
        sender = threading.Thread(target=board, args=(master, text))
        sender.start()
        assert main(["record", name, "--out", str(out), "--seconds", "1.5"]) == 0
        sender.join()
        assert os.read(master, 100) == b"off\n"
    assert len(read_log(out)) == 2


@pytest.mark.parametrize("torn", [b"0.1,0.2,0.3,0.4,0.5,0.6\r\n0.1,0.", bytes(300), b""])
def test_an_incomplete_capture_at_the_end_of_a_file_is_truncated(
    port: tuple[int, str], tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A power cut, or half a capture pasted from a serial monitor: no capture may follow it."""
    master, name = port
    out = tmp_path / "nano_vert.csv"
    before = HEADER + b"".join([*capture(1), b"\r\n", *capture(2)])
    out.write_bytes(before + torn)
    sender = threading.Thread(target=board, args=(master, HEADER + b"".join([*capture(3), b"\r\n"])))
    sender.start()
    assert main(["record", name, "--out", str(out), "--seconds", "1.5"]) == 0
    sender.join()
    assert os.read(master, 100) == b"off\n"
    assert out.read_bytes() == before + b"".join([*capture(3), b"\r\n"]).replace(b"\r", b"")
    assert [len(log.imu.timestamp_us) for log in read_log(out)] == [ROWS] * 3
    assert ("of an incomplete capture at its end" in caplog.text) == bool(torn)


@pytest.mark.parametrize("content", [b"when,what\n1,took off\n", b"notes", HEADER + b"".join(capture(1)) + b"windy\n"])
def test_another_file_is_not_changed(port: tuple[int, str], tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.csv"
    out.write_bytes(content)
    with pytest.raises(LogError, match=r"notes\.csv: not a file of captures"):
        record_captures(LinkAddress.parse(port[1]), out, 1.0, lambda: False)
    assert out.read_bytes() == content


def test_a_board_that_resets_is_started_again(port: tuple[int, str], tmp_path: Path) -> None:
    master, name = port
    sender = threading.Thread(target=board, args=(master, HEADER + b"".join([*capture(3), b"\r\n"]), 1))
    sender.start()
    assert main(["record", name, "--out", str(tmp_path / "nano_vert.csv"), "--seconds", "4"]) == 0
    sender.join()
    assert os.read(master, 100) == b"off\n"
    assert len(read_log(tmp_path / "nano_vert.csv")) == 1


def test_text_in_any_pieces() -> None:
    text = HEADER + b"".join([*capture(5), b"\r\n", *capture(6), b"\r\n"])
    for size in (1, 7, len(text)):
        taker = CaptureText()
        taken = [c for at in range(0, len(text), size) for c in taker.take(text[at : at + size])]
        assert b"".join(taken) == text.removeprefix(HEADER).replace(b"\r", b"") and taker.captures == 2
        assert (taker.incomplete, taker.damaged_rows) == (0, 0)


def test_only_a_serial_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "udpin:127.0.0.1:0", "--out", str(tmp_path / "x.csv")]) == 1
    assert "serial" in capsys.readouterr().err
    assert main(["record", "serial:/dev/ttyNONE7", "--out", str(tmp_path / "x.csv")]) == 1
    assert "ttyNONE7" in capsys.readouterr().err


def test_a_board_unplugged_between_two_reads(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    address = LinkAddress.parse(os.ttyname(slave))
    os.close(slave)
    calls = []

    def stopped() -> bool:
        calls.append(None)
        if len(calls) == 2:
            os.close(master)
        return len(calls) > 20

    with pytest.raises(LinkError, match="are complete"):
        record_captures(address, tmp_path / "nano_vert.csv", None, stopped)
