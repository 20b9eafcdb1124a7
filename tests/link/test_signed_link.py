"""Links with a signing key, against pymavlink's own signing."""

from __future__ import annotations

import logging
import time

import pytest
from link_senders import UdpSender, Vehicle, drain, mavlink, receive_until

from px4_tinyml.link.connection import Link
from px4_tinyml.mavlink.signing import SigningKey

KEY = bytes(range(32))


def test_a_signed_link_rejects_unsigned_forged_and_replayed_frames(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    vehicle, stranger, forger = Vehicle(1), Vehicle(1), Vehicle(1)
    vehicle.sign(KEY)
    forger.sign(b"f" * 32)
    with Link("udpin:127.0.0.1:0", signing=SigningKey(KEY)) as link, UdpSender(link.local_port) as sender:
        frames = [vehicle.attitude(n) for n in range(20)]
        for n, frame in enumerate(frames):
            sender.send(frame, stranger.attitude(1000 + n), forger.attitude(2000 + n))
        sender.send(*frames[:5])
        received = drain(link)
        assert [frame.fields.time_boot_ms for frame in received] == list(range(20))
        counts = link.statistics.sender(1, 1)
        assert (counts.frames, counts.lost, counts.duplicates) == (20, 0, 0)
        assert (counts.unsigned, counts.bad_signature, counts.replayed) == (20, 20, 5)
    assert len(caplog.records) == 1
    assert "rejected" in caplog.text


def test_both_ends_signed() -> None:
    """Our messages are accepted by pymavlink, and theirs by us."""
    with Link("udpin:127.0.0.1:0", signing=SigningKey(KEY)) as link, UdpSender(link.local_port) as sender:
        vehicle = Vehicle()
        vehicle.sign(KEY)
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


def test_a_missing_key_is_one_warning(udp: Link, sender: UdpSender, caplog: pytest.LogCaptureFixture) -> None:
    vehicle = Vehicle()
    vehicle.sign(KEY)
    sender.send(*(vehicle.attitude(n) for n in range(50)))
    assert len(receive_until(udp, lambda frames: len(frames) == 50)) == 50
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 1
    assert "--signing-key" in warnings[0]
