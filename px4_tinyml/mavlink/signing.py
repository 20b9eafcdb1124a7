"""MAVLink 2 signing: a key file, signatures of sent and received frames.

A signature is link id, a 48-bit time (10 µs since 2015) and the first 6 bytes of SHA-256 over key, frame, link id
and time (https://mavlink.io/en/guide/message_signing.html). The times of a stream only grow: a copy is rejected.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from px4_tinyml.errors import LinkError
from px4_tinyml.mavlink.dialect import MAGIC_V2, SIGNED
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.statistics import SenderStatistics

log = logging.getLogger(__name__)

KEY_SIZE = 32
EPOCH_2015_S = 1_420_070_400
TICKS_PER_S = 100_000
NEW_STREAM_LATE = 60 * TICKS_PER_S
"""The first time of a new stream may be a minute behind our clock, not more."""
PASSPHRASE = b"passphrase:"


class SignatureCheck(Enum):
    """Result of checking a frame's signature; all but GOOD are counted under this name in SenderStatistics."""

    GOOD = "good"
    UNSIGNED = "unsigned"
    BAD = "bad_signature"
    REPLAYED = "replayed"


@dataclass
class SigningKey:
    """A 32-byte key and the newest times of the streams signed with it. One for each link."""

    key: bytes = field(repr=False)
    link_id: int = 0
    _newest: int = 0
    _streams: dict[bytes, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_SIZE:
            raise LinkError(f"signing key of {len(self.key)} bytes: {KEY_SIZE} expected")

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Key file: 64 hex digits, 32 raw bytes, or `passphrase: words` (its SHA-256, as MAVProxy computes it)."""
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

    def check(self, frame: bytes) -> SignatureCheck:
        """Check the signature of a MAVLink frame; a good one's time is remembered for its stream."""
        if frame[0] != MAGIC_V2 or not frame[2] & SIGNED:
            return SignatureCheck.UNSIGNED
        if not hmac.compare_digest(hashlib.sha256(self.key + frame[:-6]).digest()[:6], frame[-6:]):
            return SignatureCheck.BAD
        stream = bytes((frame[-13], frame[5], frame[6]))
        ticks = int.from_bytes(frame[-12:-6], "little")
        before = self._streams.get(stream)
        if ticks <= before if before is not None else ticks + NEW_STREAM_LATE < self._now():
            return SignatureCheck.REPLAYED
        self._streams[stream] = ticks
        self._newest = max(self._newest, ticks)
        return SignatureCheck.GOOD

    def apply(self, mavlink: Any) -> None:
        """Make a pymavlink MAVLink object sign the message it packs next."""
        signing = mavlink.signing
        signing.secret_key, signing.link_id, signing.sign_outgoing = self.key, self.link_id, True
        self._newest = signing.timestamp = max(self._now(), self._newest + 1)

    def _now(self) -> int:
        """Our time in ticks: the clock's, or that of the newest accepted frame when the clock is behind."""
        return max(int((time.time() - EPOCH_2015_S) * TICKS_PER_S), self._newest)


class SigningPolicy:
    """Which frames of a link are accepted: all without a key, correctly signed ones with a key.

    Rejected frames are counted. One warning a link reports that signing differs between us and a vehicle.
    """

    def __init__(self, name: str, key: SigningKey | None) -> None:
        self._name, self._key = name, key
        self._warned = False

    def accepts(self, frame: Frame, sender: SenderStatistics) -> bool:
        """Whether to accept this frame; sender: counts those rejected."""
        if self._key is None:
            if frame.signed:
                self._warn(frame, _NO_KEY)
            return True
        check = self._key.check(frame.data)
        if check is SignatureCheck.GOOD:
            return True
        setattr(sender, check.value, getattr(sender, check.value) + 1)
        self._warn(frame, _REJECTED[check])
        return False

    def _warn(self, frame: Frame, trouble: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("%s: system %d %s", self._name, frame.system, trouble)


_NO_KEY = (
    "signs its messages and we have no key: it ignores our requests and reports. Give its key with --signing-key FILE"
)
_REJECTED = {
    SignatureCheck.UNSIGNED: "sends unsigned messages: rejected. Set the key on the vehicle, or omit --signing-key",
    SignatureCheck.BAD: "signs with another key than ours: its messages are rejected",
    SignatureCheck.REPLAYED: "sent messages with an old signing time: rejected. They are replayed, or its clock or "
    "ours is wrong",
}
