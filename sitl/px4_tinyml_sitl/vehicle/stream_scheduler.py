"""Which messages are due on one link, at PX4's rates (mavlink_stream.cpp, Mavlink::update_rate_mult)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml_sitl.vehicle.state import VehicleState
from px4_tinyml_sitl.vehicle.vehicle_streams import ECHO_HZ, ECHOED, HEARTBEAT, STREAMS, LinkMode, Memory

TICK_US = 2_500
"""A stream sends at most one message a tick. A tick is shorter than the IMU's interval: every sample can be sent."""
Echoes = dict[int, tuple[int, Any]]
"""By message id: how many were received, and the newest."""
_FRAME_OVERHEAD = 12


@dataclass
class _Running:
    """A stream being sent. interval_us < 0: whenever there is something new."""

    interval_us: int
    last_us: int
    memory: Memory = field(default_factory=dict)


class StreamScheduler:
    """Streams of one link. baud: of a serial link, of which PX4 uses half, else None."""

    def __init__(self, state: VehicleState, echoes: Echoes, mode: LinkMode, baud: int | None) -> None:
        self._state, self._echoes, self._mode, self._baud = state, echoes, mode, baud
        self._running: dict[int, _Running] = {}
        for number in (*STREAMS, *ECHOED):
            self.set_rate(number, self.default_hz(number))

    @staticmethod
    def has(number: int) -> bool:
        """Whether a message of this id can be streamed."""
        return number in STREAMS or number in ECHOED

    def default_hz(self, number: int) -> float:
        """Default rate of a stream on this link."""
        if number not in STREAMS:
            return ECHO_HZ[self._mode]
        return STREAMS[number].onboard_hz if self._mode == "onboard" else STREAMS[number].gcs_hz

    def set_rate(self, number: int, rate_hz: float) -> None:
        """Set a stream's rate: 0 stops it, UNLIMITED sends every new message."""
        if rate_hz == 0.0:
            self._running.pop(number, None)
            return
        interval = -1 if rate_hz < 0.0 else max(round(1e6 / rate_hz), 1)
        running = self._running.get(number)
        if running is None:
            self._running[number] = _Running(interval, self._state.now_us - max(interval, 0))
        else:
            running.interval_us = interval

    def interval_us(self, number: int) -> int:
        """Interval of a stream, -1 when it is stopped (or unlimited)."""
        return self._running[number].interval_us if number in self._running else -1

    def build(self, number: int, memory: Memory) -> Any:
        """A message, or None when there is nothing new since the last one with this memory."""
        if number in STREAMS:
            return STREAMS[number].build(self._state, memory)
        count, message = self._echoes.get(number, (0, None))
        if memory.get("stamp", 0) == count:
            return None
        memory["stamp"] = count
        return message

    def due(self) -> Iterator[Any]:
        """The messages of this tick; each counts as sent."""
        now_us = self._state.now_us
        multiplier = self._rate_multiplier()
        for number, running in self._running.items():
            interval = running.interval_us if number == HEARTBEAT else running.interval_us / multiplier
            elapsed = now_us - running.last_us
            # As in PX4: up to 0.3 ticks early rather than late, and without drift.
            if interval < 0 or elapsed > interval - 0.3 * TICK_US:
                message = self.build(number, running.memory)
                if message is not None:
                    yield message
                    steady = 0 < elapsed < 1.5 * interval
                    running.last_us = running.last_us + int(interval) if steady else now_us

    def _rate_multiplier(self) -> float:
        """Share of the rates that fits into half of a UART, baud/20 bytes a second. HEARTBEAT is not slowed down."""
        if self._baud is None:
            return 1.0
        fixed = other = 0.0
        for number, running in self._running.items():
            if running.interval_us > 0:
                size = mavlink.mavlink_map[number].unpacker.size + _FRAME_OVERHEAD
                bytes_s = size * 1e6 / running.interval_us
                fixed, other = (fixed + bytes_s, other) if number == HEARTBEAT else (fixed, other + bytes_s)
        return min(1.0, max((self._baud / 20 - fixed) / max(other, 1.0), 0.01))
