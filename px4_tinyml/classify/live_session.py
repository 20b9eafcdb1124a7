"""One run of `live`: a vehicle's frames through the classifier, to the report, the recording, the keeper and a view."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.classify_logs import LogSummary
from px4_tinyml.classify.companion import Companion
from px4_tinyml.classify.keep import DEFAULT_LIMIT_MB, UncertainKeeper
from px4_tinyml.classify.mavlink_report import MavlinkReport
from px4_tinyml.classify.tally import Tally
from px4_tinyml.errors import LogError
from px4_tinyml.link.connection import Frame, Link
from px4_tinyml.link.recorder import Recorder, new_recording
from px4_tinyml.link.streams import Streams, imu_rate_hz
from px4_tinyml.link.vehicle import Vehicle
from px4_tinyml.signal.classifier import is_judged
from px4_tinyml.signal.decimate import ADVICE, REDUCED, is_thinned
from px4_tinyml.signal.streaming import Decided, StreamPipeline
from px4_tinyml.targets.names import LIVE_JSON

log = logging.getLogger(__name__)

STEP_S = 0.1
STATUS_S = 1.0
SLOW_S = 10.0
"""Time that an IMU must stay too slow before a warning is logged."""


@dataclass(frozen=True)
class LiveOptions:
    """report: send the MAVLink report. record, keep_uncertain: folders, None for neither. rate_hz: IMU messages per
    second, None for all that fit. seconds: length, None without an end.
    """

    report: bool = False
    record: Path | None = None
    keep_uncertain: Path | None = None
    keep_mb: float = DEFAULT_LIMIT_MB
    rate_hz: float | None = None
    seconds: float | None = None


class LiveView(Protocol):
    """What shows a session. The dictionaries are those of docs/live.md."""

    def start(self, facts: dict[str, Any]) -> None: ...

    def decided(self, decided: Decided, latency_us: int, received_us: int) -> None: ...

    def status(self, facts: dict[str, Any]) -> None: ...

    def tick(self) -> None: ...

    def end(self, facts: dict[str, Any]) -> None: ...


class LiveSession:
    """Call step() until `over`, then close(). failed: recording or keeping failed, classification continued."""

    def __init__(
        self,
        link: Link,
        vehicle: Vehicle,
        bundle: ModelBundle,
        pipeline: StreamPipeline,
        engine: str,
        options: LiveOptions,
        view: LiveView,
    ) -> None:
        spec = bundle.spec
        sender = (vehicle.system, vehicle.component)
        self._options, self._link, self._vehicle, self._spec, self._view = options, link, vehicle, spec, view
        self.failed = False
        pipeline.set_judged(is_judged(vehicle.vehicle_class))
        self._companion = Companion(pipeline, *sender)
        self._report = MavlinkReport(spec, link.send) if options.report else None
        if self._report is not None:
            link.system = vehicle.system  # a companion is a part of its vehicle
        self._keeper: UncertainKeeper | None = None
        if options.keep_uncertain is not None:
            self._keeper = UncertainKeeper(
                options.keep_uncertain, spec, bundle.sha256, sender, limit_mb=options.keep_mb
            )
        self._recorder: Recorder | None = None
        self._record_to = options.record
        rate_hz = options.rate_hz or max(imu_rate_hz(link.address, vehicle), spec.rate_hz)
        self._for_thinned = bundle.for_thinned
        self._streams = Streams(link, vehicle, rate_hz, heartbeat=not options.report)
        self._tally = Tally(spec)
        self._first_us = 0
        self._status_at = time.monotonic()
        self._samples = (0, 0)
        self._slow_since: float | None = None
        self._slow_warned = False
        view.start({
            "url": str(link.address), "system": vehicle.system, "component": vehicle.component, "vehicle": str(vehicle),
            "engine": LIVE_JSON.get(engine, engine), "spec_hash": spec.hash, "model_sha256": bundle.sha256,
            "labels": list(spec.labels),
        })  # fmt: skip

    @property
    def over(self) -> bool:
        """Whether it has the length asked for, from the first frame."""
        seconds = self._options.seconds
        return bool(seconds and self._first_us and self._link.now_us() - self._first_us >= seconds * 1e6)

    def step(self) -> None:
        """Receive for at most STEP_S, classify, report, record and show."""
        link, companion, report = self._link, self._companion, self._report
        frames = link.receive(STEP_S)
        decisions = companion.take(frames)
        if report is not None:
            report.decided(decisions)
            report.repeat(companion.newest_us)
            report.heartbeat(time.monotonic())
        latency_us = link.now_us() - companion.received_us
        for decided in decisions:
            self._tally.add(decided.decision)
            self._view.decided(decided, latency_us, companion.received_us)
        if frames:
            self._first_us = self._first_us or frames[0].received_us
            self._record(frames)
        self._streams.watch(frames)
        if self._keeper is not None:
            self._keeper.take(frames, [decided.decision for decided in decisions])
        self._show_status()

    def _record(self, frames: list[Frame]) -> None:
        """Write to disk; a failure stops the recording only."""
        if self._record_to is None:
            return
        try:
            if self._recorder is None:
                self._recorder = Recorder(new_recording(self._record_to, frames[0].received_us), self._session)
                log.info("recording to %s", self._recorder.path)
            self._recorder.write(frames)
        except LogError as error:
            log.error("%s: recording stopped", error)
            self._record_to, self.failed = None, True

    def _show_status(self) -> None:
        now = time.monotonic()
        elapsed_s = now - self._status_at
        if elapsed_s >= STATUS_S:
            counts = self._companion.stream
            samples = counts.imu.total(), counts.baro.total()
            imu_hz, baro_hz = ((new - old) / elapsed_s for new, old in zip(samples, self._samples, strict=True))
            self._status_at, self._samples = now, samples
            self._view.status(self._status(imu_hz, baro_hz))
            self._warn_if_slow(now, imu_hz)
        self._view.tick()

    def _warn_if_slow(self, now: float, imu_hz: float) -> None:
        """Warn once that windows cannot be classified, or that decisions may be wrong."""
        counts = self._companion.stream
        aliases = not self._for_thinned and is_thinned(_newest_source(counts.imu) or "", imu_hz, self._spec)
        needed_hz = self._spec.min_imu_rate_hz
        if not (aliases or imu_hz < needed_hz) or not self._link.connected:
            self._slow_since = None
            return
        if self._slow_since is None:
            self._slow_since = now
        elif now - self._slow_since >= SLOW_S and not self._slow_warned:
            self._slow_warned = True
            if imu_hz < needed_hz:
                why = ". It sends RAW_IMU, whose units are known for ArduPilot only" if counts.raw_counts else ""
                log.warning(
                    "%s: %.1f IMU samples a second, the bundle needs %.0f: windows with many gaps are not classified%s",
                    self._vehicle, imu_hz, needed_hz, why,
                )  # fmt: skip
            elif self._spec.input == "bands":
                log.warning("%s: %s", self._vehicle, REDUCED % imu_hz)
            else:
                log.warning("%s: %.0f HIGHRES_IMU a second %s", self._vehicle, imu_hz, ADVICE)

    def _status(self, imu_hz: float, baro_hz: float) -> dict[str, Any]:
        counts, statistics = self._companion.stream, self._link.statistics
        sender = statistics.sender(self._vehicle.system, self._vehicle.component)
        report, keeper, recorder = self._report, self._keeper, self._recorder
        return {
            "time_us": self._link.now_us(),
            "connected": self._link.connected,
            "imu": {"source": _newest_source(counts.imu), "rate_hz": round(imu_hz, 2), "samples": counts.imu.total()},
            "baro": {"source": _newest_source(counts.baro), "rate_hz": round(baro_hz, 2)},
            "frames": sender.frames,
            "lost": sender.lost,
            "duplicates": counts.duplicates,
            "late": counts.late,
            "implausible": counts.implausible,
            "clock_restarts": counts.clock_restarts,
            "reconnects": statistics.reconnects,
            "counts": self._companion.counts,
            "report": {"sent": dict(report.sent), "dropped": dict(report.dropped)} if report else None,
            "recorded_bytes": recorder.bytes if recorder else None,
            "kept": dict(keeper.counts) if keeper else None,
        }

    def _session(self) -> dict[str, Any]:
        """This session's part of the recording's sidecar."""
        return {
            "link": str(self._link.address),
            "classified": {"system": self._vehicle.system, "component": self._vehicle.component},
            "spec_hash": self._spec.hash,
            "statistics": self._link.statistics.as_json(),
        }

    def close(self) -> None:
        """Reset the vehicle's message rates, close the files, show and log the result."""
        self._streams.release()
        if self._keeper is not None:
            self._keeper.close()
            self.failed |= self._keeper.counts["failed"] > 0
        if self._recorder is not None:
            try:
                self._recorder.close()
            except LogError as error:
                log.error("%s", error)
                self.failed = True
        tally, seconds = self._tally, self._tally.seconds
        recording = str(self._recorder.path) if self._recorder else None
        self._view.end({**self._status(0.0, 0.0), "seconds": seconds, "recording": recording})
        summary = LogSummary(
            str(self._vehicle), tally.windows.total(), seconds, self._companion.counts, tally.uncertain_seconds,
            tally.edr_m23_s,
        )  # fmt: skip
        log.info("%s: %s", summary.name, summary)


def _newest_source(counts: Counter[str]) -> str | None:
    return counts.most_common(1)[0][0] if counts else None
