"""Signed links, against pymavlink's own signing."""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path

import pytest
from link_senders import UdpSender, Vehicle, drain, mavlink, receive_until

from px4_tinyml.errors import LinkError
from px4_tinyml.link.connection import Link
from px4_tinyml.mavlink.signing import EPOCH_2015_S, NEW_STREAM_LATE, TICKS_PER_S, SigningKey, Verdict

KEY = bytes(range(32))


def now() -> int:
    return int((time.time() - EPOCH_2015_S) * TICKS_PER_S)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (KEY, KEY),
        (KEY.hex().encode(), KEY),
        (b"  " + KEY.hex().upper().encode() + b"\r\n", KEY),
        (b"passphrase: correct horse\n", hashlib.sha256(b"correct horse").digest()),
        (b"Passphrase:correct horse", hashlib.sha256(b"correct horse").digest()),
        (b"passphrase: thirty-two bytes all", hashlib.sha256(b"thirty-two bytes all").digest()),
        (b"\xff" * 32, b"\xff" * 32),
    ],
)
def test_key_files(tmp_path: Path, content: bytes, key: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    assert SigningKey.read(path).key == key
    assert KEY.hex() not in repr(SigningKey.read(path))


@pytest.mark.parametrize("content", [b"", b"secret", b"g" * 64, KEY[:31], KEY + b"\n", b"passphrase:  \n", b"0" * 65])
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(LinkError, match=r"signing key .*key: "):
        SigningKey.read(path)
    with pytest.raises(LinkError, match="No such file"):
        SigningKey.read(tmp_path / "none")


def test_signatures_of_another_implementation() -> None:
    vehicle, key = Vehicle(), SigningKey(KEY)
    assert key.judge(vehicle.attitude()) is Verdict.UNSIGNED
    assert key.judge(Vehicle(version=1).attitude()) is Verdict.UNSIGNED
    vehicle.sign(KEY, now())
    frame = vehicle.attitude()
    assert key.judge(frame) is Verdict.GOOD
    assert key.judge(frame) is Verdict.REPLAYED
    for byte in range(len(frame)):
        damaged = bytearray(frame)
        damaged[byte] ^= 0x04  # anywhere (the flags' bit stays)
        assert SigningKey(KEY).judge(bytes(damaged)) in (Verdict.BAD, Verdict.UNSIGNED)
    vehicle.sign(bytes(32), now() + 10)
    assert key.judge(vehicle.attitude()) is Verdict.BAD


def test_times_of_a_stream_only_grow() -> None:
    key, first, second = SigningKey(KEY), Vehicle(1), Vehicle(2)
    start = now()
    first.sign(KEY, start)
    assert key.judge(first.attitude()) is Verdict.GOOD
    first.sign(KEY, start)
    assert key.judge(first.attitude()) is Verdict.REPLAYED
    first.sign(KEY, start + 100 * TICKS_PER_S)  # a clock ahead of ours moves ours
    assert key.judge(first.attitude()) is Verdict.GOOD
    second.sign(KEY, start + 100 * TICKS_PER_S - NEW_STREAM_LATE - 1000)  # so this is over a minute late
    assert key.judge(second.attitude()) is Verdict.REPLAYED
    second.sign(KEY, start + 100 * TICKS_PER_S - NEW_STREAM_LATE + 1000)
    assert key.judge(second.attitude()) is Verdict.GOOD


def test_a_signed_link_believes_only_what_is_signed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    vehicle, stranger, forger = Vehicle(1), Vehicle(1), Vehicle(1)
    vehicle.sign(KEY, now())
    forger.sign(b"f" * 32, now())
    with Link("udpin:127.0.0.1:0", signing=SigningKey(KEY)) as link, UdpSender(link.local_port) as sender:
        frames = [vehicle.attitude(n) for n in range(20)]
        for n, frame in enumerate(frames):
            sender.send(frame, stranger.attitude(1000 + n), forger.attitude(2000 + n))
        sender.send(*frames[:5])
        received = drain(link)
        assert [frame.message.time_boot_ms for frame in received] == list(range(20))
        counts = link.statistics.sender(1, 1)
        assert (counts.frames, counts.lost, counts.duplicates) == (20, 0, 0)
        assert (counts.unsigned, counts.bad_signature, counts.replayed) == (20, 20, 5)
    assert len(caplog.records) == 1
    assert "not believed" in caplog.text


def test_both_ends_signed() -> None:
    """What we send is believed by pymavlink, and by ourselves."""
    with Link("udpin:127.0.0.1:0", signing=SigningKey(KEY)) as link, UdpSender(link.local_port) as sender:
        vehicle = Vehicle()
        vehicle.sign(KEY, now())
        sender.send(vehicle.heartbeat())
        receive_until(link, bool)
        their = mavlink.MAVLink(None)
        their.signing.secret_key = KEY
        for _ in range(100):
            assert link.send(mavlink.MAVLink_heartbeat_message(18, 8, 0, 0, 4, 3))
        time.sleep(0.05)
        messages = []
        for _ in range(100):
            messages += their.parse_buffer(sender.receive_raw()) or []
        assert len(messages) == 100  # a wrong signature, or a time that does not grow, raises
        assert their.signing.goodsig_count == 100


def test_no_key_on_a_signed_link_is_one_clear_warning(
    udp: Link, sender: UdpSender, caplog: pytest.LogCaptureFixture
) -> None:
    vehicle = Vehicle()
    vehicle.sign(KEY, now())
    sender.send(*(vehicle.attitude(n) for n in range(50)))
    assert len(receive_until(udp, lambda frames: len(frames) == 50)) == 50
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 1
    assert "--signing-key" in warnings[0]
