"""record --out NAME.csv: an Arduino's captures over a pty, with lines lost and damaged on the way."""

from __future__ import annotations

import itertools
import json
import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from link_senders import stop_when

from px4_tinyml.cli.main import main
from px4_tinyml.errors import LinkError, LogError
from px4_tinyml.link import csv_capture
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


def text_of(*captures: list[bytes]) -> bytes:
    return HEADER + b"".join(line for rows in captures for line in (*rows, b"\r\n"))


def captures_in(path: Path) -> int:
    """Captures that end with a blank line."""
    return path.read_bytes().replace(b"\r", b"").count(b"\n\n") if path.exists() else 0


@pytest.fixture
def record(port: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sends a text from the board and runs the command until its file has this many captures more."""
    master, name = port

    def run(out: Path, text: bytes, captures: int = 1, deaf: int = 0) -> None:
        sender = threading.Thread(target=board, args=(master, text, deaf))
        sender.start()
        enough = captures_in(out) + captures
        stop_when(monkeypatch, lambda: captures_in(out) == enough)
        assert main(["record", f"serial:{name}", "--out", str(out), "--json"]) == 0
        sender.join()
        assert os.read(master, 100) == b"off\n"

    return run


def test_only_complete_captures_are_written(
    record: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, short, damaged, last = (capture(seed) for seed in range(4))
    del short[50]
    damaged[7] = damaged[7].replace(b",", b"#", 1)
    out = tmp_path / "captures" / "nano_vert.csv"
    record(out, text_of(one, short, damaged) + b"hello\r\n" + text_of(last), 2)
    counts = json.loads(capsys.readouterr().out)
    assert counts == {"csv": str(out), "captures": 2, "incomplete": 2, "damaged_rows": 2}
    logs = read_log(out)
    assert [len(log.imu.timestamp_us) for log in logs] == [ROWS, ROWS] and not any(log.warnings for log in logs)
    assert out.read_bytes().replace(b"\n\n", b"\n") == (HEADER + b"".join([*one, *last])).replace(b"\r", b"")


def test_a_file_of_captures_is_resumed(record: Callable[..., None], tmp_path: Path) -> None:
    for seed in (1, 2):
        record(tmp_path / "nano_vert.csv", text_of(capture(seed)))
    assert len(read_log(tmp_path / "nano_vert.csv")) == 2


@pytest.mark.parametrize("torn", [b"0.1,0.2,0.3,0.4,0.5,0.6\r\n0.1,0.", bytes(300), b""])
def test_an_incomplete_capture_at_the_end_of_a_file_is_truncated(
    record: Callable[..., None], tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A power cut, or half a capture pasted from a serial monitor: no capture may follow it."""
    out = tmp_path / "nano_vert.csv"
    before = text_of(capture(1)) + b"".join(capture(2))
    out.write_bytes(before + torn)
    record(out, text_of(capture(3)))
    assert out.read_bytes() == before + text_of(capture(3)).removeprefix(HEADER).replace(b"\r", b"")
    assert [len(log.imu.timestamp_us) for log in read_log(out)] == [ROWS] * 3
    assert ("of an incomplete capture at its end" in caplog.text) == bool(torn)


@pytest.mark.parametrize("content", [b"when,what\n1,took off\n", b"notes", HEADER + b"".join(capture(1)) + b"windy\n"])
def test_another_file_is_not_changed(port: tuple[int, str], tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.csv"
    out.write_bytes(content)
    with pytest.raises(LogError, match=r"notes\.csv: not a file of captures"):
        record_captures(LinkAddress.parse(port[1]), out, 1.0, lambda: False)
    assert out.read_bytes() == content


def test_a_board_that_resets_is_started_again(
    record: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_capture, "REPEAT_S", 0.3)
    record(tmp_path / "nano_vert.csv", text_of(capture(3)), deaf=1)
    assert len(read_log(tmp_path / "nano_vert.csv")) == 1


def test_text_in_any_pieces() -> None:
    text = text_of(capture(5), capture(6))
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
    calls = itertools.count(1)

    def stopped() -> bool:
        call = next(calls)
        if call == 2:
            os.close(master)
        return call > 20

    with pytest.raises(LinkError, match="are complete"):
        record_captures(address, tmp_path / "nano_vert.csv", None, stopped)
