"""Link statistics from MAVLink's 8-bit sequence numbers, for each (system, component)."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any

WINDOW = 128
"""Frames back from the newest within which late frames and duplicates are distinguished."""
OUTAGE_US = 3_000_000
"""A silence this long (and of more than two frames) is an outage."""
PAUSE_STEPS = 3
"""A number at most this far ahead after a silence: the sender paused (or the link buffered), 256 were not lost."""
NEAR = 16
"""A frame without a checksum is counted when the next one is at most this far ahead of it."""
_RATE_US = 1_000_000
_BURST_US = 100_000
"""A pause shorter than this may lie between two bursts: the number of missing frames is not estimated from it."""
_REBOOT_US = 2_000_000
"""A reboot is detected this soon after its first frame."""


@dataclass
class SenderStatistics:
    """One component's frames. `lost` is corrected when a frame turns out to be late (`reordered`).

    Eight bits cannot count a long gap: there the sender's rate gives the multiple of 256 that was lost, too.
    Messages that another component forwards only in part (PX4 does so) look lost, too.
    bytes are whole frames. unsigned, bad_signature and replayed frames were rejected: they are in no other count.
    unknown: frames of unknown messages. On a line without checksums of its own such a frame may be damaged: it is in
    the other counts once its number lies between those before and after it.
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
    _seen: int = field(default=0, repr=False)  # bit n: the frame n before the newest one was received
    _advanced: int = field(default=0, repr=False)  # frames sent since the first
    _marked: int = field(default=0, repr=False)  # _advanced when rate_hz was last measured
    _mark_us: int = field(default=0, repr=False)
    _doubt_us: int = field(default=_RATE_US, repr=False)  # after such a silence 256 frames may be missing unseen
    _reconnected: bool = field(default=False, repr=False)
    _gap: int = field(default=0, repr=False)  # the largest number lost together lately
    _gap_us: int = field(default=0, repr=False)
    _late: tuple[int, int, int] | None = field(default=None, repr=False)  # counts before the late ones in a row
    _unchecked: tuple[int, int, int] | None = field(default=None, repr=False)  # number, time and size

    def note(self, sequence: int, received_us: int, size: int, checked: bool = True) -> None:
        """Count an accepted frame; an unchecked one, whose number may be damaged, when the next one fits."""
        if self._unchecked:
            self._settle(sequence)
        if checked:
            self._count(sequence, received_us, size)
        else:
            self._unchecked = sequence, received_us, size

    def _settle(self, following: int) -> None:
        """Count the unchecked frame when its number fits between the newest and the one that follows."""
        assert self._unchecked
        unchecked, self._unchecked = self._unchecked, None
        left = (following - unchecked[0]) & 0xFF
        ahead = (unchecked[0] - self._sequence) & 0xFF
        begins = self._sequence < 0 or self._reconnected
        if 0 < left <= NEAR and (0 < ahead < WINDOW or begins):
            self._count(*unchecked)

    def _count(self, sequence: int, received_us: int, size: int) -> None:
        self.frames += 1
        self.bytes += size
        ahead = (sequence - self._sequence) & 0xFF
        silence_us = received_us - self.last_us
        self.last_us = received_us
        if ahead != 1 or silence_us > self._doubt_us:
            if self._sequence < 0:
                self._start(sequence, received_us)
                return
            ahead = self._true_advance(ahead, silence_us, received_us)
            if silence_us > OUTAGE_US and silence_us * self.rate_hz > 2e6:
                self.outages += 1
                self.outage_s += silence_us / 1e6
            if ahead <= 0:
                if self._reconnected:
                    self._start(sequence, received_us)
                else:
                    self._note_late(-ahead)
                return
            self._note_lost(ahead - 1, received_us)
        self._late, self._reconnected = None, False
        self._sequence = sequence
        self._seen = (self._seen << ahead | 1) & _MASK if ahead < WINDOW else 1
        self._advanced += ahead
        elapsed_us = received_us - self._mark_us
        if elapsed_us >= _RATE_US:
            self.rate_hz = (self._advanced - self._marked) * 1e6 / elapsed_us
            self._mark_us, self._marked = received_us, self._advanced
            self._doubt_us = max(_BURST_US, int(1e6 * WINDOW / 2 / max(1.0, self.rate_hz)))

    def reconnect(self) -> None:
        """A new connection has no late frames: numbers that step back start a new count."""
        self._reconnected = True

    def restart(self) -> None:
        """The sender rebooted and counts from zero: undo what that counted as lost, late or duplicate."""
        if self._late:
            self.lost, self.duplicates, self.reordered = self._late
            self._sequence = -1
        elif self.last_us - self._gap_us < _REBOOT_US:
            self.lost -= self._gap
        self._gap = 0

    def _start(self, sequence: int, received_us: int) -> None:
        self._sequence, self._seen, self._reconnected = sequence, 1, False
        self._mark_us, self._marked, self._advanced, self._late = received_us, 0, 0, None

    def _true_advance(self, ahead: int, silence_us: int, received_us: int) -> int:
        """Frames sent since the newest one: of the numbers with these 8 bits the most likely.

        ahead: 0…255. Zero and below: an older frame.
        """
        elapsed_us = received_us - silence_us - self._mark_us
        rate_hz = self.rate_hz
        if not rate_hz and elapsed_us > _BURST_US:
            rate_hz = (self._advanced - self._marked) * 1e6 / elapsed_us
        if 0 < ahead <= PAUSE_STEPS:
            return ahead
        expected = silence_us * rate_hz / 1e6 if silence_us >= _BURST_US else 0.0
        if expected <= WINDOW / 2:
            return ahead if ahead < WINDOW else ahead - 256
        return ahead + 256 * max(0, round((expected - ahead) / 256))

    def _note_lost(self, number: int, received_us: int) -> None:
        self.lost += number
        if number >= self._gap or received_us - self._gap_us > _REBOOT_US:
            self._gap, self._gap_us = number, received_us

    def _note_late(self, behind: int) -> None:
        self._late = self._late or (self.lost, self.duplicates, self.reordered)
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

    senders: dict[tuple[int, int], SenderStatistics] = field(default_factory=dict)
    bad_crc: dict[int, int] = field(default_factory=dict)
    unknown_ids: dict[int, int] = field(default_factory=dict)
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
        sender = self.senders.get((system, component))
        if sender is None:
            sender = self.senders[system, component] = SenderStatistics()
        return sender

    def note_unknown(self, sender: SenderStatistics, message_id: int) -> None:
        """Count a frame of an unknown message."""
        sender.unknown += 1
        self.unknown_ids[message_id] = self.unknown_ids.get(message_id, 0) + 1

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
