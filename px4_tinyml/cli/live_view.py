"""Output of `px4-tinyml live`: a status line and one line per class change, or JSON lines (docs/live.md)."""

from __future__ import annotations

import json
import logging
import shutil
import time
from typing import Any

import numpy as np

from px4_tinyml.cli.output import NonBlockingStream, StatusLine
from px4_tinyml.signal.decision import ONE_Q16, class_name, probabilities
from px4_tinyml.signal.decision_values import air_text, describe_decision
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.streaming import Decided

log = logging.getLogger(__name__)

BAR = 20
REDRAW_S = 0.2


class _View:
    """output: standard output. only_shown: nothing is reported or saved, so that it ends when stdout is closed."""

    def __init__(self, spec: PipelineSpec, output: NonBlockingStream | None, only_shown: bool) -> None:
        self._spec, self._output, self._only_shown = spec, output, only_shown
        self._closed = False

    def _print(self, line: str) -> None:
        """Raises BrokenPipeError when standard output is closed and nothing is left to do."""
        print(line, flush=True)
        if self._output is not None and self._output.reader_closed and not self._closed:
            self._closed = True
            if self._only_shown:
                raise BrokenPipeError
            log.warning("standard output is closed; continuing without it")

    @property
    def _dropped(self) -> int:
        return self._output.dropped if self._output is not None else 0


class JsonView(_View):
    """One JSON object a line on standard output, each with a "type"; the keys are stable."""

    def start(self, facts: dict[str, Any]) -> None:
        self._object("start", facts)

    def decided(self, decided: Decided, latency_us: int, received_us: int) -> None:
        self._object("decision", {
            **describe_decision(decided.decision, self._spec),
            "probabilities": probabilities(decided.decision, self._spec),
            "inference_us": decided.spent_us,
            "latency_us": latency_us,
            "received_us": received_us,
        })  # fmt: skip

    def status(self, facts: dict[str, Any]) -> None:
        self._object("status", {**facts, "lines_dropped": self._dropped})

    def tick(self) -> None:
        pass

    def end(self, facts: dict[str, Any]) -> None:
        self._object("end", {**facts, "lines_dropped": self._dropped})

    def _object(self, kind: str, values: dict[str, Any]) -> None:
        self._print(json.dumps({"type": kind, **values}, ensure_ascii=False))


class TextView(_View):
    """One line per class change on standard output; on a terminal also a status line."""

    def __init__(self, spec: PipelineSpec, output: NonBlockingStream | None, only_shown: bool, quiet: bool) -> None:
        super().__init__(spec, output, only_shown)
        self._line = StatusLine(quiet)
        self._newest: np.void | None = None
        self._since_us = 0
        self._status: dict[str, Any] = {}
        self._drawn = 0.0

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
        self._line.clear()
        name, air = class_name(decision, self._spec), air_text(decision, self._spec)
        note = f"  {air}" if air else ""
        self._print(f"{clock}  {self._since_us / 1e6:9.2f} s  {name:12} {percent:3.0f} %{note}{was}")

    def status(self, facts: dict[str, Any]) -> None:
        self._status = facts

    def tick(self) -> None:
        """Draw the status line every REDRAW_S."""
        now = time.monotonic()
        if self._line.shown and self._status and now - self._drawn >= REDRAW_S:
            self._drawn = now
            width = shutil.get_terminal_size().columns - 1
            self._line.draw(self._text()[:width])

    def end(self, facts: dict[str, Any]) -> None:
        self._line.clear()

    def _text(self) -> str:
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
            air = air_text(decision, self._spec)
            parts += [air] if air else []
        imu, lost, frames = status["imu"], status["lost"], status["frames"]
        parts.append(f"{imu['source'] or 'no IMU'} {imu['rate_hz']:.1f} Hz")
        parts.append(f"lost {lost} of {lost + frames}")
        if status["report"]:
            dropped = sum(status["report"]["dropped"].values())
            parts.append(f"{sum(status['report']['sent'].values())} reports{f', {dropped} dropped' if dropped else ''}")
        if status["kept"]:
            parts.append(f"{status['kept'].get('cuts', 0)} cuts saved")
        if not status["connected"]:
            parts.append("NO DATA")
        return " · ".join(parts)
