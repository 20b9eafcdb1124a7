"""MAVLink 2 signing: a key file, signatures of what is sent and of what is received.

A signature is link id, a 48-bit time (10 µs since 2015) and the first 6 bytes of SHA-256 over key, frame, link id
and time (https://mavlink.io/en/guide/message_signing.html). Times of a stream only grow, so a copy is no message.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from px4_tinyml.errors import LinkError

KEY_SIZE = 32
EPOCH_2015_S = 1_420_070_400
TICKS_PER_S = 100_000
NEW_STREAM_LATE = 60 * TICKS_PER_S
"""A stream not seen before may be a minute behind our clock, not more."""
PASSPHRASE = b"passphrase:"


class Verdict(Enum):
    """What a signature says of a frame."""

    GOOD = "good"
    UNSIGNED = "unsigned"
    BAD = "bad"
    REPLAYED = "replayed"


@dataclass
class SigningKey:
    """A 32-byte key and the times of the streams it was seen in. One for each link."""

    key: bytes = field(repr=False)
    link_id: int = 0
    _newest: int = 0
    _streams: dict[bytes, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_SIZE:
            raise LinkError(f"signing key of {len(self.key)} bytes: {KEY_SIZE} expected")

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Key file: 64 hex digits, 32 raw bytes, or `passphrase: words` (its SHA-256, as MAVProxy makes it)."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LinkError(f"signing key {path}: {error.strerror}") from error
        text = content.strip()
        if text.lower().startswith(PASSPHRASE):
            words = text[len(PASSPHRASE) :].strip()
            if not words:
                raise LinkError(f"signing key {path}: no words after “passphrase:”")
            return cls(hashlib.sha256(words).digest())
        if len(content) == KEY_SIZE:
            return cls(content)
        try:
            if len(text) == 2 * KEY_SIZE:
                return cls(bytes.fromhex(text.decode("ascii")))
        except ValueError:
            pass
        raise LinkError(
            f"signing key {path}: {len(content)} bytes that are no key; 64 hex digits, 32 raw bytes, "
            "or a line “passphrase: words” expected"
        )

    def judge(self, frame: bytes) -> Verdict:
        """Whether a MAVLink frame may be believed; remembers the stream's time when it may."""
        if frame[0] != 0xFD or not frame[2] & 1:
            return Verdict.UNSIGNED
        if not hmac.compare_digest(hashlib.sha256(self.key + frame[:-6]).digest()[:6], frame[-6:]):
            return Verdict.BAD
        stream = bytes((frame[-13], frame[5], frame[6]))
        ticks = int.from_bytes(frame[-12:-6], "little")
        before = self._streams.get(stream)
        if ticks <= before if before is not None else ticks + NEW_STREAM_LATE < self._now():
            return Verdict.REPLAYED
        self._streams[stream] = ticks
        self._newest = max(self._newest, ticks)
        return Verdict.GOOD

    def apply(self, mavlink: Any) -> None:
        """Make a pymavlink MAVLink object sign what it packs next."""
        signing = mavlink.signing
        signing.secret_key, signing.link_id, signing.sign_outgoing = self.key, self.link_id, True
        self._newest = signing.timestamp = max(self._now(), self._newest + 1)

    def _now(self) -> int:
        """Our time in ticks: the clock's, or that of the newest frame believed when the clock is behind."""
        return max(int((time.time() - EPOCH_2015_S) * TICKS_PER_S), self._newest)
