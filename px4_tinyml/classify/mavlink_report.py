"""Reports decisions by MAVLink: DEBUG_VECT, DEBUG_FLOAT_ARRAY, STATUSTEXT, HEARTBEAT (docs/live.md).

core/Report.hpp sends the same from the flight controller and from a sensor node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.decision_array import ARRAY_ID, report_array
from px4_tinyml.signal.decision import ONE_Q16, UNCERTAIN
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.streaming import Decided
from px4_tinyml.units import US_PER_S

NAME = b"MOTION"
VECTOR_RATE_HZ = 2
QUIET_US = 10 * US_PER_S
"""At most one text in this time of the samples' clock."""
HEARTBEAT_S = 1.0


def report_vector(decision: np.void, spec: PipelineSpec) -> tuple[float, float, float]:
    """x, y, z of DEBUG_VECT: class index (−1 uncertain), confidence, probability of turbulence (0 without it)."""
    labels = spec.labels
    turbulence = int(decision["probability"][labels.index(TURBULENCE_LABEL)]) / 256 if TURBULENCE_LABEL in labels else 0
    return float(decision["class_index"]), int(decision["confidence_q16"]) / ONE_Q16, float(turbulence)


class VectorClock:
    """When to repeat the last decision: at a steady rate of sample time, and no longer than a window after it."""

    def __init__(self, spec: PipelineSpec, rate_hz: int = VECTOR_RATE_HZ) -> None:
        self._window_us = spec.window * US_PER_S // spec.rate_hz
        self._period_us = US_PER_S // rate_hz if rate_hz else 0
        self._last_us: int | None = None

    def due(self, end_us: int, now_us: int) -> bool:
        """True when it is time. end_us: of the decision; now_us: the newest sample's time."""
        if not self._period_us or not 0 <= now_us - end_us <= self._window_us:  # negative: the clock ran backwards
            return False
        if self._last_us is not None and 0 <= now_us - self._last_us < self._period_us:
            return False
        self._last_us = now_us
        return True


class Text(Enum):
    """A change that is reported as STATUSTEXT."""

    BEGAN = "began"
    ENDED = "ended"


class TurbulenceNotice:
    """Reports when turbulence begins or ends: once each, and at most one text in ten seconds."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._turbulence = spec.labels.index(TURBULENCE_LABEL) if TURBULENCE_LABEL in spec.labels else None
        self._reported = False
        self._last_us: int | None = None

    def update(self, decision: np.void) -> Text | None:
        """Take every decision. Uncertain changes nothing; an early change is reported later, if it still holds."""
        index, end_us = int(decision["class_index"]), int(decision["end_us"])
        if self._turbulence is None or index == UNCERTAIN:
            return None
        turbulent = index == self._turbulence
        too_soon = self._last_us is not None and 0 <= end_us - self._last_us < QUIET_US
        if turbulent == self._reported or too_soon:
            return None
        self._reported, self._last_us = turbulent, end_us
        return Text.BEGAN if turbulent else Text.ENDED


class MavlinkReport:
    """Sends the report. send: takes a pymavlink message, returns False without room for it (Link.send).

    sent, dropped: messages by name. A slow link never blocks; only a text is sent again.
    """

    def __init__(self, spec: PipelineSpec, send: Callable[[Any], bool]) -> None:
        self._spec, self._send_message = spec, send
        self._vector_clock, self._notice = VectorClock(spec), TurbulenceNotice(spec)
        self._newest: np.void | None = None
        self._text: Any = None
        self._heartbeat_at = float("-inf")
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def decided(self, decisions: list[Decided]) -> None:
        """Report decisions of one step: texts for any of them, numbers for the last only (no bursts)."""
        for decided in decisions:
            text = self._notice.update(decided.decision)
            if text is not None:
                self._text = self._text_message(text, decided.decision)
        if self._text is not None and self._send(self._text):
            self._text = None
        if decisions:
            newest = decisions[-1]
            self._newest = newest.decision
            end_us = int(self._newest["end_us"])
            data = report_array(newest, self._spec)
            self._send(dialect.MAVLink_debug_float_array_message(end_us, NAME, ARRAY_ID, data))

    def repeat(self, sample_us: int) -> None:
        """Repeat the last decision as DEBUG_VECT when it is time. sample_us: the newest sample's time."""
        if self._newest is None:
            return
        end_us = int(self._newest["end_us"])
        if self._vector_clock.due(end_us, sample_us):
            vector = report_vector(self._newest, self._spec)
            self._send(dialect.MAVLink_debug_vect_message(NAME, end_us, *vector))

    def heartbeat(self, now_s: float) -> None:
        """Send one a second, also without samples. now_s: a monotonic clock."""
        if now_s - self._heartbeat_at < HEARTBEAT_S:
            return
        late_s = now_s - self._heartbeat_at - HEARTBEAT_S
        self._heartbeat_at = now_s - (late_s if late_s < HEARTBEAT_S else 0.0)
        kind, autopilot = dialect.MAV_TYPE_ONBOARD_CONTROLLER, dialect.MAV_AUTOPILOT_INVALID
        self._send(dialect.MAVLink_heartbeat_message(kind, autopilot, 0, 0, dialect.MAV_STATE_ACTIVE, 3))

    def _text_message(self, change: Text, decision: np.void) -> Any:
        if change is Text.ENDED:
            return dialect.MAVLink_statustext_message(dialect.MAV_SEVERITY_INFO, b"Turbulence ended")
        percent = (int(decision["confidence_q16"]) * 100 + ONE_Q16 // 2) // ONE_Q16
        words = f"Turbulence ({percent} %)".encode()
        return dialect.MAVLink_statustext_message(dialect.MAV_SEVERITY_WARNING, words)

    def _send(self, message: Any) -> bool:
        sent = self._send_message(message)
        (self.sent if sent else self.dropped)[message.get_type()] += 1
        return sent
