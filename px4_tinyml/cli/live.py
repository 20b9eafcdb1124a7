"""px4-tinyml live: classify a vehicle's IMU as it comes, and tell the vehicle."""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from px4_tinyml.cli import BUNDLE_HELP
from px4_tinyml.cli.unhurried import unhurried
from px4_tinyml.emit.shipped import bundle_argument
from px4_tinyml.errors import LogError, SpecError
from px4_tinyml.signal.decimate import ADVICE, is_thinned
from px4_tinyml.targets.names import ENGINES, LIVE_JSON, engine_name

if TYPE_CHECKING:
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.link.connection import Frame, Link
    from px4_tinyml.link.recorder import Recorder
    from px4_tinyml.link.vehicle import Vehicle
    from px4_tinyml.signal.streaming import Decided, StreamPipeline

log = logging.getLogger(__name__)

BATCH_S = 0.006
"""On a busy link frames are taken together for so long: fewer wake-ups, and still told within 10 ms."""
STEP_S = 0.1
STATUS_S = 1.0
SLOW_S = 10.0
"""An IMU that stays too slow for this long is warned about."""


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "live",
        help="classify a live MAVLink link",
        description="Classify a vehicle window by window while it flies: the same decisions, bit for bit, as "
        "`classify` gives for the recording. One line a change of class; Ctrl-C ends it.",
        epilog="URL: udpin:0.0.0.0:14540, udpout:HOST:PORT, tcp:HOST:PORT, tcpin:HOST:PORT, serial:/dev/ttyACM0:57600. "
        "engines: compiled is C++, built once by this computer's compiler; tflm is TensorFlow Lite Micro (its wheel, "
        "x86-64 only); numpy needs neither and takes ten times the CPU. All give the same bits; auto is compiled, else "
        "tflm.",
    )
    parser.add_argument("bundle", type=bundle_argument, metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument("url", metavar="URL", help="where the vehicle is")
    parser.add_argument("--report", action="store_true", help="tell the vehicle by MAVLink (docs/live.md)")
    parser.add_argument("--json", action="store_true", help="print JSON lines (docs/live.md)")
    parser.add_argument("--record", type=Path, metavar="DIR", help="record everything received, as `record` does")
    parser.add_argument("--keep", choices=("uncertain",), help="keep the windows the classifier is unsure about")
    parser.add_argument("--keep-dir", type=Path, metavar="DIR", help="where to keep them")
    parser.add_argument("--keep-mb", type=float, default=100.0, metavar="MB", help="no more than this (%(default)g)")
    parser.add_argument("--engine", type=engine_name, choices=("auto", *ENGINES), default="auto", help="see below")
    parser.add_argument("--system", type=int, metavar="N", help="the vehicle with this system id")
    parser.add_argument("--rate", type=float, metavar="HZ", help="IMU messages a second (default: all that fit)")
    parser.add_argument("--wait", type=float, default=30.0, metavar="S", help="give up without a vehicle (%(default)g)")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop by itself after this long")
    parser.add_argument("--signing-key", type=Path, metavar="FILE", help="MAVLink 2 signing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Classify until the time is up or somebody says stop; 1 when something that was asked for could not be done."""
    from px4_tinyml.bundle import ModelBundle
    from px4_tinyml.classify.companion import open_pipeline
    from px4_tinyml.cli.record import stop_requests
    from px4_tinyml.link.connection import Link
    from px4_tinyml.link.vehicle import choose
    from px4_tinyml.mavlink.signing import SigningKey

    _check(args)
    key = SigningKey.read(args.signing_key) if args.signing_key else None
    bundle = ModelBundle.load(args.bundle)
    pipeline, engine = open_pipeline(bundle, args.engine)
    with Link(args.url, signing=key, batch_s=BATCH_S) as link:
        vehicle = choose(link, args.system, args.wait)
        log.info("%s: %s; engine %s, spec %s", link.address, vehicle, engine, bundle.spec.short_hash)
        # Not before: there is nothing to close well while it waits for a vehicle.
        with unhurried(), stop_requests() as stopped:
            live = Live(args, link, vehicle, bundle, pipeline, engine)
            try:
                while not stopped() and not live.over:
                    live.step()
            finally:
                live.close()
    return 1 if live.failed else 0


def _check(args: argparse.Namespace) -> None:
    for name, value, low, high in (
        ("--rate", args.rate, 1, 1000), ("--system", args.system, 1, 255), ("--seconds", args.seconds, 0.1, 1e9),
        ("--wait", args.wait, 0.1, 1e9), ("--keep-mb", args.keep_mb, 0.1, 1e6),
    ):  # fmt: skip
        if value is not None and not low <= value <= high:
            raise SpecError(f"{name} {value:g}: {low:g} to {high:g} expected")
    if (args.keep is None) != (args.keep_dir is None):
        raise SpecError("--keep uncertain and --keep-dir DIR: both or neither expected")


class Live:
    """One run: a vehicle's frames through the classifier, to the report, the recording, the keeper and the view."""

    def __init__(
        self, args: argparse.Namespace, link: Link, vehicle: Vehicle, bundle: ModelBundle, pipeline: StreamPipeline,
        engine: str,
    ) -> None:  # fmt: skip
        from px4_tinyml.classify.companion import Companion
        from px4_tinyml.classify.keep import UncertainKeeper
        from px4_tinyml.classify.mavlink_report import MavlinkReport
        from px4_tinyml.cli.live_view import JsonView, TextView
        from px4_tinyml.link.streams import Streams, imu_rate_hz

        spec = bundle.spec
        sender = (vehicle.system, vehicle.component)
        self._args, self._link, self._vehicle, self._spec = args, link, vehicle, spec
        self.failed = False
        self._companion = Companion(pipeline, *sender)
        self._report = MavlinkReport(spec, link.send) if args.report else None
        if self._report is not None:
            link.system = vehicle.system  # a companion is a part of its vehicle
        self._keeper = (
            UncertainKeeper(args.keep_dir, spec, bundle.sha256, sender, limit_mb=args.keep_mb) if args.keep else None
        )
        self._recorder: Recorder | None = None
        rate_hz = args.rate or max(imu_rate_hz(link.address, vehicle), spec.rate_hz)
        self._for_thinned = bundle.for_thinned
        self._needed_hz = spec.min_imu_rate_hz
        self._streams = Streams(link, vehicle, rate_hz, heartbeat=not args.report)
        self._view: JsonView | TextView = (JsonView if args.json else TextView)(
            spec, alone=not (args.report or args.record or args.keep)
        )
        self._seconds: Counter[str] = Counter()
        self._first_us = 0
        self._status_at = time.monotonic()
        self._counted = (0, 0)
        self._slow_since: float | None = None
        self._slow_told = False
        self._view.start({
            "url": str(link.address), "system": vehicle.system, "component": vehicle.component, "vehicle": str(vehicle),
            "engine": LIVE_JSON.get(engine, engine), "spec_hash": spec.hash, "model_sha256": bundle.sha256,
            "labels": list(spec.labels),
        })  # fmt: skip

    @property
    def over(self) -> bool:
        """Whether --seconds have passed since the first frame."""
        seconds = self._args.seconds
        return bool(seconds and self._first_us and self._link.now_us() - self._first_us >= seconds * 1e6)

    def step(self) -> None:
        """Wait for frames, at most STEP_S, and do with them all that is to be done."""
        link, companion, report = self._link, self._companion, self._report
        frames = link.receive(STEP_S)
        made = companion.take(frames)
        if report is not None:
            report.decided(made)
            report.repeat(companion.newest_us)
            report.heartbeat(time.monotonic())
        latency_us = link.now_us() - companion.received_us
        for decided in made:
            self._decided(decided, latency_us)
        if frames:
            self._first_us = self._first_us or frames[0].received_us
            self._record(frames)
        self._streams.watch(frames)
        if self._keeper is not None:
            self._keeper.take(frames, [decided.decision for decided in made])
        self._tell_status()

    def _decided(self, decided: Decided, latency_us: int) -> None:
        from px4_tinyml.signal.decision import class_name

        self._seconds[class_name(decided.decision, self._spec)] += 1
        self._view.decided(decided, latency_us, self._companion.received_us)

    def _record(self, frames: list[Frame]) -> None:
        """To the disk; when that fails the classifier goes on."""
        from px4_tinyml.link.recorder import Recorder, new_recording

        if self._args.record is None:
            return
        try:
            if self._recorder is None:
                self._recorder = Recorder(new_recording(self._args.record, frames[0].received_us), self._facts)
                log.info("recording to %s", self._recorder.path)
            self._recorder.write(frames)
        except LogError as error:
            log.error("%s: nothing more is recorded", error)
            self._args.record, self.failed = None, True

    def _tell_status(self) -> None:
        now = time.monotonic()
        elapsed_s = now - self._status_at
        if elapsed_s >= STATUS_S:
            counts = self._companion.stream
            counted = counts.imu.total(), counts.baro.total()
            imu_hz, baro_hz = ((new - old) / elapsed_s for new, old in zip(counted, self._counted, strict=True))
            self._status_at, self._counted = now, counted
            self._view.status(self._status(imu_hz, baro_hz))
            self._warn_if_slow(now, imu_hz)
        self._view.tick()

    def _warn_if_slow(self, now: float, imu_hz: float) -> None:
        """Say once why no window is classified, or why decisions may be wrong."""
        counts = self._companion.stream
        aliases = not self._for_thinned and is_thinned(_newest_source(counts.imu) or "", imu_hz, self._spec)
        if not (aliases or imu_hz < self._needed_hz) or not self._link.connected:
            self._slow_since = None
            return
        if self._slow_since is None:
            self._slow_since = now
        elif now - self._slow_since >= SLOW_S and not self._slow_told:
            self._slow_told = True
            if imu_hz < self._needed_hz:
                why = ". It sends RAW_IMU, which only ArduPilot gives in known units" if counts.raw_counts else ""
                log.warning(
                    "%s: %.1f IMU samples a second, the bundle needs %.0f: windows with many gaps are not classified%s",
                    self._vehicle, imu_hz, self._needed_hz, why,
                )  # fmt: skip
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

    def _facts(self) -> dict[str, Any]:
        """What the recording's sidecar says of this run."""
        return {
            "link": str(self._link.address),
            "classified": {"system": self._vehicle.system, "component": self._vehicle.component},
            "spec_hash": self._spec.hash,
            "statistics": self._link.statistics.as_json(),
        }

    def close(self) -> None:
        """Close what is open and say what came out."""
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
        hop_s = self._spec.hop / self._spec.rate_hz
        seconds = {name: round(windows * hop_s, 3) for name, windows in self._seconds.items()}
        self._view.end({
            **self._status(0.0, 0.0),
            "seconds": seconds,
            "recording": str(self._recorder.path) if self._recorder else None,
        })  # fmt: skip
        told = ", ".join(f"{name} {s:.1f} s" for name, s in seconds.items()) or "no complete window"
        spoilt = ", ".join(f"{n} {key}" for key, n in self._companion.counts.items() if n and key != "decisions")
        log.info("%s: %s%s", self._vehicle, told, f" ({spoilt})" if spoilt else "")


def _newest_source(counts: Counter[str]) -> str | None:
    return counts.most_common(1)[0][0] if counts else None
