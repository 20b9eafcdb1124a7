"""Keeps uncertain windows of a live link as small .tlog cuts: samples to label for the next training.

A cut is real frames with their reception times, from some seconds before the first such window to some after the
last. Beside it NAME.json lists the windows, their decisions, spec and model; labels.csv gets one row a cut with the
label "exclude", until a person labels it: `px4-tinyml dataset CUTS --labels CUTS/labels.csv`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.errors import LogError
from px4_tinyml.link.appender import write_whole
from px4_tinyml.logs.tlog.tlog_file import tlog_records
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.samples import MavlinkStream
from px4_tinyml.signal.decision import ONE_Q16, Flag, class_name, probabilities
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import Reason
from px4_tinyml.units import US_PER_S

log = logging.getLogger(__name__)

AROUND_S = 5.0
LONGEST_S = 60.0
DEFAULT_LIMIT_MB = 100.0
LABELS_FILE = "labels.csv"
LABELS_HEADER = "file,start_s,end_s,label\n"


def unsure(decision: np.void, spec: PipelineSpec) -> bool:
    """Whether no class reaches the threshold to enter it. A vehicle that is not judged has nothing to label."""
    if spec.input == "bands" and int(decision["reasons"]) & (Reason.ON_GROUND | Reason.NOT_MULTIROTOR):
        return False
    best_q16 = max(decision["probability"].tolist()) * 256
    return bool(int(decision["flags"]) & Flag.UNCERTAIN) or best_q16 < spec.decision.threshold_q16(spec.decision.enter)


@dataclass
class _Episode:
    """Unsure windows near each other. start_us, end_us: of the cut, by reception time."""

    start_us: int
    end_us: int
    windows: list[np.void] = field(default_factory=list)


class UncertainKeeper:
    """Writes cuts around uncertain windows of a live link.

    limit_mb: most the folder may hold. Windows of vehicles that report disarmed or on the ground are skipped. No
    window is in two cuts; an existing cut is not written again.
    """

    def __init__(
        self,
        folder: Path,
        spec: PipelineSpec,
        model_sha256: str,
        vehicle: tuple[int, int],
        *,
        around_s: float = AROUND_S,
        limit_mb: float = DEFAULT_LIMIT_MB,
    ) -> None:
        self._folder, self._spec, self._model_sha256 = folder, spec, model_sha256
        self._vehicle = vehicle
        self._around_us = round(around_s * US_PER_S)
        self._window_us = spec.window * US_PER_S // spec.rate_hz + 2 * US_PER_S // spec.rate_hz
        self._limit = round(limit_mb * 1e6)
        self._frames: deque[Frame] = deque()
        self._before: dict[int, Frame] = {}  # the vehicle's state before the frames held
        self._newest: dict[int, Frame] = {}
        self._episode: _Episode | None = None
        self._not_before_us = 0
        self._state_ids = dialect.MAVLINK_MSG_ID_HEARTBEAT, dialect.MAVLINK_MSG_ID_EXTENDED_SYS_STATE
        self.counts: Counter[str] = Counter()
        """cuts, windows, bytes written; windows skipped: on_ground; cuts skipped: known, full, failed."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._used = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        except OSError as error:
            raise LogError(f"--keep-uncertain {folder}: cannot be used ({error.strerror})") from error

    def take(self, frames: Iterable[Frame], decisions: Iterable[np.void]) -> None:
        """Frames as received, and the decisions made of them."""
        ours = [frame for frame in frames if (frame.system, frame.component) == self._vehicle]
        if not ours:
            return
        self._frames += ours
        self._newest |= self._states(ours)
        now_us = ours[-1].received_us
        for decision in decisions:
            if unsure(decision, self._spec):
                self._add(decision, now_us)
        self._write_if_over(now_us)
        self._forget(now_us)

    def _states(self, frames: Iterable[Frame]) -> dict[int, Frame]:
        """The last frame of each message of the vehicle's state."""
        return {frame.message_id: frame for frame in frames if frame.message_id in self._state_ids}

    def close(self) -> None:
        """Write the current cut."""
        if self._episode is not None:
            self._write(self._episode)
            self._episode = None

    def _add(self, decision: np.void, now_us: int) -> None:
        if self._on_ground():
            self.counts["on_ground"] += 1
            return
        if self._episode is None:
            start_us = max(now_us - self._window_us - self._around_us, self._not_before_us)
            self._episode = _Episode(start_us, now_us)
        self._episode.windows.append(decision)
        self._episode.end_us = now_us + self._around_us

    def _write_if_over(self, now_us: int) -> None:
        """Write the episode when the next one can no longer overlap it, or when it is long enough."""
        episode = self._episode
        if episode is None:
            return
        apart = now_us > episode.end_us + self._window_us + self._around_us
        if apart or now_us - episode.start_us > LONGEST_S * US_PER_S:
            episode.end_us = min(episode.end_us, now_us)
            self._write(episode)
            # A long episode continues in a cut that starts a window earlier: no window is in both.
            self._not_before_us = episode.end_us - (0 if apart else self._window_us)
            self._episode = None

    def _forget(self, now_us: int) -> None:
        """Drop frames that no cut can contain any more, but keep the vehicle's state."""
        oldest_us = self._episode.start_us if self._episode else now_us - 2 * (self._window_us + self._around_us)
        while self._frames and self._frames[0].received_us < oldest_us:
            self._before |= self._states([self._frames.popleft()])

    def _on_ground(self) -> bool:
        """Whether the vehicle reports that it is disarmed, or on the ground."""
        states = {number: frame.fields for number, frame in self._newest.items()}
        heartbeat, landed = map(states.get, self._state_ids)
        if landed and landed.landed_state == dialect.MAV_LANDED_STATE_ON_GROUND:
            return True
        return heartbeat is not None and not heartbeat.base_mode & dialect.MAV_MODE_FLAG_SAFETY_ARMED

    def _cut(self, episode: _Episode) -> list[Frame]:
        """The vehicle's state before, then all frames between start and end."""
        inside = [frame for frame in self._frames if episode.start_us <= frame.received_us <= episode.end_us]
        before = self._states(frame for frame in self._frames if frame.received_us < episode.start_us)
        return [*sorted((self._before | before).values(), key=lambda frame: frame.received_us), *inside]

    def _write(self, episode: _Episode) -> None:
        frames = self._cut(episode)
        name = "uncertain-" + hashlib.sha256(b"".join(frame.data for frame in frames)).hexdigest()[:16]
        if (self._folder / f"{name}.tlog").exists():
            self.counts["known"] += 1
            return
        data = tlog_records(frames)
        document = self._sidecar(name, episode.windows, _first_sample_us(frames))
        sidecar = (json.dumps(document, indent=2) + "\n").encode()
        labels = f"{name}.tlog,,,exclude\n"
        size = len(data) + len(sidecar) + len(labels)
        if self._used + size > self._limit:
            if not self.counts["full"]:
                limit_mb = self._limit / 1e6
                log.warning(
                    "%s: limit of %.0f MB reached: no more windows are kept (--keep-mb)", self._folder, limit_mb
                )
            self.counts["full"] += 1
            return
        try:
            write_whole(self._folder / f"{name}.json", sidecar)
            _append(self._folder / LABELS_FILE, LABELS_HEADER, labels)
            write_whole(self._folder / f"{name}.tlog", data)
        except OSError as error:
            self.counts["failed"] += 1
            log.error("%s: cannot write this cut (%s)", self._folder / name, error.strerror)
            return
        self._used += size
        self.counts.update(cuts=1, windows=len(episode.windows), bytes=size)

    def _sidecar(self, name: str, windows: Iterable[np.void], first_us: int) -> dict[str, Any]:
        return {
            "file": f"{name}.tlog",
            "spec_hash": self._spec.hash,
            "model_sha256": self._model_sha256,
            "system": self._vehicle[0],
            "component": self._vehicle[1],
            "windows": [
                {
                    "start_us": int(w["start_us"]),
                    "end_us": int(w["end_us"]),
                    "start_s": round((int(w["start_us"]) - first_us) / US_PER_S, 2),
                    "end_s": round((int(w["end_us"]) - first_us) / US_PER_S, 2),
                    "class": class_name(w, self._spec),
                    "confidence": int(w["confidence_q16"]) / ONE_Q16,
                    "probabilities": probabilities(w, self._spec),
                }
                for w in windows
            ],
        }


class _EarliestTime:
    """Sink for the time of the earliest sample (µs)."""

    time_us: float = inf

    def push_imu(self, time_us: int, values: Sequence[float]) -> None:
        self.time_us = min(self.time_us, time_us)

    def push_baro(self, time_us: int, altitude_m: float) -> None:
        pass

    def push_ground(self, on_ground: bool) -> None:
        pass


def _first_sample_us(frames: Iterable[Frame]) -> int:
    """Time from which `dataset --labels` counts seconds."""
    sink = _EarliestTime()
    stream = MavlinkStream(sink)
    for frame in frames:
        stream.frame(frame)
    return int(sink.time_us) if sink.time_us < inf else 0


def _append(path: Path, header: str, rows: str) -> None:
    with path.open("a+b") as file:
        if not file.tell():
            rows = header + rows
        else:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":  # an editor removed the last newline
                rows = "\n" + rows
        file.write(rows.encode())
