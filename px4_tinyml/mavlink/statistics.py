"""Link statistics from MAVLink's 8-bit sequence numbers, for each (system, component)."""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any

WINDOW = 128
"""Frames back from the newest within which late frames and duplicates are distinguished."""
OUTAGE_US = 3_000_000
"""A silence this long (and of more than two frames) is an outage."""
PAUSE_STEPS = 3
"""A number at most this far ahead after a silence: the sender paused (or the link buffered), 256 were not lost."""
_RATE_US = 1_000_000
_REBOOT_US = 2_000_000
"""A reboot is detected this soon after its first frame."""


@dataclass
class SenderStatistics:
    """One component's frames. `lost` is corrected when a frame turns out to be late (`reordered`).

    Eight bits cannot count a long gap: there the sender's rate gives the multiple of 256 that was lost, too.
    Messages that another component forwards only in part (PX4 does so) look lost, too.
    bytes are whole frames. unsigned, bad_signature and replayed frames were rejected: they are in no other count.
    unknown: frames of unknown messages. On a line without checksums of its own their numbers may be damaged: such a
    frame stands for one of the numbers missing where it was received.
    """

    frames: int = 0
    bytes: int = 0
    lost: int = 0
    duplicates: int = 0
    reordered: int = 0
    unknown: int = 0
    unsigned: int = 0
    bad_signature: int = 0
    replayed: int = 0
    outages: int = 0
    outage_s: float = 0.0
    rate_hz: float = 0.0
    """Frames sent a second, over the last full second."""
    last_us: int = 0
    """When the newest frame was received, µs since 1970."""
    _sequence: int = field(default=-1, repr=False)
    _seen: int = field(default=1, repr=False)  # bit n: the frame n before the newest one was received
    _advanced: int = field(default=0, repr=False)  # frames sent since the first
    _marked: int = field(default=0, repr=False)  # _advanced when rate_hz was last measured
    _mark_us: int = field(default=0, repr=False)
    _unchecked: int = field(default=0, repr=False)  # frames without a checksum after the newest one
    _reconnected: bool = field(default=False, repr=False)
    _behind: bool = field(default=False, repr=False)  # the last frame was late or a duplicate
    _before_jump: tuple[int, int, int] = field(default=(0, 0, 0), repr=False)  # lost, duplicates, reordered
    _jump_us: int = field(default=0, repr=False)  # when a frame was last received that is not the next one

    def note(self, sequence: int, received_us: int, size: int, checked: bool = True) -> None:
        """Count an accepted frame. checked: its sequence number cannot be damaged."""
        self.frames += 1
        self.bytes += size
        silence_us, self.last_us = received_us - self.last_us, received_us
        if self._sequence >= 0 and silence_us > OUTAGE_US and silence_us * self.rate_hz > 2e6:
            self.outages += 1
            self.outage_s += silence_us / 1e6
        if not checked:
            self._unchecked += 1
            return
        ahead = self._advance(sequence, silence_us) if self._sequence >= 0 else 0
        if ahead != 1 and not self._behind:
            self._before_jump, self._jump_us = (self.lost, self.duplicates, self.reordered), received_us
        if self._sequence < 0 or (self._reconnected and ahead <= 0):
            self._seen, self._mark_us, self._marked, self._advanced = 1, received_us, 0, 0
        elif ahead <= 0:
            self._behind = True
            self._note_late(-ahead)
            return
        else:
            self.lost += max(0, ahead - 1 - self._unchecked)
            self._seen = (self._seen << ahead | 1) & _MASK if ahead < WINDOW else 1
            self._advanced += ahead
        self._sequence, self._unchecked, self._reconnected, self._behind = sequence, 0, False, False
        elapsed_us = received_us - self._mark_us
        if elapsed_us >= _RATE_US:
            self.rate_hz = (self._advanced - self._marked) * 1e6 / elapsed_us
            self._mark_us, self._marked = received_us, self._advanced

    def reconnect(self) -> None:
        """A new connection has no late frames: numbers that step back start a new count."""
        self._reconnected = True

    def restart(self) -> None:
        """The sender rebooted and counts from zero: undo what that counted as lost, late or duplicate."""
        if self.last_us - self._jump_us < _REBOOT_US:
            self.lost, self.duplicates, self.reordered = self._before_jump
        if self._behind:
            self._sequence, self._behind = -1, False

    def _advance(self, sequence: int, silence_us: int) -> int:
        """Frames sent since the newest one: of the numbers with these 8 bits the most likely. ≤ 0: an older frame."""
        ahead = (sequence - self._sequence) & 0xFF
        expected = silence_us * self.rate_hz / 1e6
        if expected > WINDOW / 2 and not 0 < ahead <= PAUSE_STEPS:
            return ahead + 256 * max(0, round((expected - ahead) / 256))
        return ahead if ahead < WINDOW else ahead - 256

    def _note_late(self, behind: int) -> None:
        if self._seen >> behind & 1:
            self.duplicates += 1
            return
        self._seen |= 1 << behind
        self.reordered += 1
        if behind < self._advanced:
            self.lost -= 1  # else it is older than the first one, and was not counted as lost


_MASK = (1 << WINDOW) - 1


@dataclass
class LinkStatistics:
    """Counts of a link. senders: by (system, component).

    bad_crc, unknown_ids: frames by message id. kernel_dropped: datagrams dropped by the kernel's full buffer (`lost`
    has their frames modulo 256). outages: silences of the whole link over 3 s. send_dropped: messages without room.
    """

    senders: dict[tuple[int, int], SenderStatistics] = field(default_factory=lambda: defaultdict(SenderStatistics))
    bad_crc: Counter[int] = field(default_factory=Counter)
    unknown_ids: Counter[int] = field(default_factory=Counter)
    garbage_bytes: int = 0
    kernel_dropped: int = 0
    reconnects: int = 0
    outages: int = 0
    outage_s: float = 0.0
    reboots: int = 0
    sent: int = 0
    send_dropped: int = 0

    def sender(self, system: int, component: int) -> SenderStatistics:
        """Counts of one component; new ones start at zero."""
        return self.senders[system, component]

    def rebooted(self, system: int) -> None:
        """A vehicle rebooted: all its components count from zero."""
        self.reboots += 1
        for (number, _), sender in self.senders.items():
            if number == system:
                sender.restart()

    def total(self, name: str) -> int:
        """Sum of one count over all senders."""
        return sum(int(getattr(sender, name)) for sender in self.senders.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values (copies): the sidecar of a recording, `--json`."""
        counts = {f.name: copy(getattr(self, f.name)) for f in fields(self) if f.name != "senders"}
        senders = [
            {"system": system, "component": component}
            | {f.name: getattr(sender, f.name) for f in fields(sender) if not f.name.startswith("_")}
            for (system, component), sender in sorted(self.senders.items())
        ]
        return {**counts, "senders": senders}
