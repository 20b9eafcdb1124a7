"""What `px4-tinyml live` shows: a line that stays up to date, one line a change, or JSON lines (docs/live.md)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import shutil
import sys
import threading
import time
from typing import Any

import numpy as np

from px4_tinyml.classify.decision import ONE_Q16, UNCERTAIN
from px4_tinyml.classify.streaming import Decided
from px4_tinyml.spec import PipelineSpec

BAR = 20
REDRAW_S = 0.2
WAITING_LINES = 1000
"""JSON lines kept for a reader that is slow: some minutes."""
END_S = 1.0
"""How long a reader may take over the last of them."""


def class_name(decision: np.void, spec: PipelineSpec) -> str:
    """Name of a decision's class, or "uncertain"."""
    index = int(decision["class_index"])
    return "uncertain" if index == UNCERTAIN else spec.labels[index]


class _Lines:
    """Lines to standard output by a thread of its own: a reader that is slow, or stuck, keeps nothing waiting."""

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING_LINES)
        self._ending = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="json", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """BrokenPipeError when the reader has gone."""
        if self._error is not None:
            raise self._error
        try:
            self._waiting.put_nowait(line.encode() + b"\n")
        except queue.Full:
            self.dropped += 1

    def end(self) -> None:
        """Wait a little until all is read."""
        self._ending = True
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(b"")  # the thread may be waiting for a line
        self._thread.join(END_S)

    def _work(self) -> None:
        try:
            while not (self._ending and self._waiting.empty()):
                rest = memoryview(self._waiting.get())
                while rest:
                    rest = rest[os.write(sys.stdout.fileno(), rest) :]
        except OSError as error:
            self._error = error


class JsonView:
    """One JSON object a line on standard output, each with a "type"; the keys are stable."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec = spec
        self._lines = _Lines()

    def start(self, facts: dict[str, Any]) -> None:
        self._print("start", facts)

    def decided(self, decided: Decided, latency_us: int, received_us: int) -> None:
        decision, labels = decided.decision, self._spec.labels
        self._print("decision", {
            "start_us": int(decision["start_us"]),
            "end_us": int(decision["end_us"]),
            "class": class_name(decision, self._spec),
            "confidence": round(int(decision["confidence_q16"]) / ONE_Q16, 6),
            "flags": int(decision["flags"]),
            "probabilities": {label: int(p) / 256 for label, p in zip(labels, decision["probability"], strict=False)},
            "inference_us": decided.spent_us,
            "latency_us": latency_us,
            "received_us": received_us,
        })  # fmt: skip

    def status(self, facts: dict[str, Any]) -> None:
        self._print("status", {**facts, "lines_dropped": self._lines.dropped})

    def tick(self) -> None:
        pass

    def end(self, facts: dict[str, Any]) -> None:
        self._print("end", {**facts, "lines_dropped": self._lines.dropped})
        self._lines.end()

    def _print(self, kind: str, values: dict[str, Any]) -> None:
        self._lines.put(json.dumps({"type": kind, **values}, ensure_ascii=False))


class TextView:
    """One line a change of class on standard output; on a terminal also a line that shows how it is now."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec = spec
        self._terminal = sys.stderr.isatty()
        self._newest: np.void | None = None
        self._since_us = 0
        self._status: dict[str, Any] = {}
        self._drawn = 0.0
        if self._terminal:
            for handler in logging.getLogger().handlers:
                handler.addFilter(self._make_room)

    def start(self, facts: dict[str, Any]) -> None:
        pass

    def decided(self, decided: Decided, latency_us: int, received_us: int) -> None:
        decision, before = decided.decision, self._newest
        self._newest = decision
        if before is not None and before["class_index"] == decision["class_index"]:
            return
        self._since_us = int(decision["end_us"])
        clock = time.strftime("%H:%M:%S", time.localtime(received_us / 1e6))
        was = f"  (was {class_name(before, self._spec)})" if before is not None else ""
        percent = 100 * int(decision["confidence_q16"]) / ONE_Q16
        self._clear()
        print(
            f"{clock}  {self._since_us / 1e6:9.2f} s  {class_name(decision, self._spec):12} {percent:3.0f} %{was}",
            flush=True,
        )

    def status(self, facts: dict[str, Any]) -> None:
        self._status = facts

    def tick(self) -> None:
        """Draw the line again when that is due."""
        now = time.monotonic()
        if self._terminal and self._status and now - self._drawn >= REDRAW_S:
            self._drawn = now
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{self._line()[:width]}", end="", file=sys.stderr, flush=True)

    def end(self, facts: dict[str, Any]) -> None:
        self._clear()

    def _line(self) -> str:
        status, decision = self._status, self._newest
        parts = []
        if decision is None:
            parts.append("no window yet")
        else:
            confidence = int(decision["confidence_q16"]) / ONE_Q16
            filled = round(confidence * BAR)
            held_s = (int(decision["end_us"]) - self._since_us) / 1e6
            name = class_name(decision, self._spec)
            parts.append(
                f"{name:12} {'█' * filled}{'░' * (BAR - filled)} {100 * confidence:3.0f} %  for {held_s:.0f} s"
            )
        imu, lost, frames = status["imu"], status["lost"], status["frames"]
        parts.append(f"{imu['source'] or 'no IMU'} {imu['rate_hz']:.1f} Hz")
        parts.append(f"lost {lost} of {lost + frames}")
        if status["report"]:
            dropped = sum(status["report"]["dropped"].values())
            parts.append(f"{sum(status['report']['sent'].values())} reports{f', {dropped} dropped' if dropped else ''}")
        if status["kept"]:
            parts.append(f"{status['kept'].get('cuts', 0)} cuts kept")
        if not status["connected"]:
            parts.append("NOTHING HEARD")
        return " · ".join(parts)

    def _make_room(self, record: logging.LogRecord) -> bool:
        self._clear()
        return True

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
