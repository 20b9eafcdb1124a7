"""Key files and signatures, against pymavlink's own signing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from link_senders import Vehicle, signing_now

from px4_tinyml.errors import LinkError
from px4_tinyml.mavlink.signing import NEW_STREAM_LATE, TICKS_PER_S, SignatureCheck, SigningKey

KEY = bytes(range(32))


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
def test_a_file_that_is_no_key_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(LinkError, match=r"signing key .*key: "):
        SigningKey.read(path)
    with pytest.raises(LinkError, match="No such file"):
        SigningKey.read(tmp_path / "none")


def test_signatures_of_another_implementation() -> None:
    vehicle, key = Vehicle(), SigningKey(KEY)
    assert key.check(vehicle.attitude()) is SignatureCheck.UNSIGNED
    assert key.check(Vehicle(version=1).attitude()) is SignatureCheck.UNSIGNED
    vehicle.sign(KEY)
    frame = vehicle.attitude()
    assert key.check(frame) is SignatureCheck.GOOD
    assert key.check(frame) is SignatureCheck.REPLAYED
    for byte in range(len(frame)):
        damaged = bytearray(frame)
        damaged[byte] ^= 0x04  # any byte (the bit of the flags stays)
        assert SigningKey(KEY).check(bytes(damaged)) in (SignatureCheck.BAD, SignatureCheck.UNSIGNED)
    vehicle.sign(bytes(32), signing_now() + 10)
    assert key.check(vehicle.attitude()) is SignatureCheck.BAD


def test_a_time_that_does_not_grow_is_rejected() -> None:
    key, first, second = SigningKey(KEY), Vehicle(1), Vehicle(2)
    start = signing_now()
    first.sign(KEY, start)
    assert key.check(first.attitude()) is SignatureCheck.GOOD
    first.sign(KEY, start)
    assert key.check(first.attitude()) is SignatureCheck.REPLAYED
    first.sign(KEY, start + 100 * TICKS_PER_S)  # a clock ahead of ours sets ours forward
    assert key.check(first.attitude()) is SignatureCheck.GOOD
    second.sign(KEY, start + 100 * TICKS_PER_S - NEW_STREAM_LATE - 1000)  # so this one is over a minute late
    assert key.check(second.attitude()) is SignatureCheck.REPLAYED
    second.sign(KEY, start + 100 * TICKS_PER_S - NEW_STREAM_LATE + 1000)
    assert key.check(second.attitude()) is SignatureCheck.GOOD
