"""A real PX4 (SITL) as a target: samples in through its simulated sensors, decisions out through its log.

PX4 resamples its simulated sensors. So its decisions are compared with Python's on the samples that PX4
logged, `sensor_combined` and `vehicle_air_data`, not against the recording's.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.logs.ulog.read_ulog import flight_log
from px4_tinyml.signal.classifier import Classification, Classifier
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.compare import Comparison, compare
from px4_tinyml.targets.px4.run import published_decisions
from px4_tinyml_sitl.px4.play_log import DECISIONS, DEFAULT_SPEED, Played, Px4Session, play
from px4_tinyml_sitl.px4.player import Stream, StreamSource, playable
from px4_tinyml_sitl.px4.px4_process import Px4Build

log = logging.getLogger(__name__)

PAIR = ("python on PX4's log", "px4")
_SLOWER = 4.0
_ATTEMPTS = 3


class Px4Target:
    """A PX4 build with the bundle's module in it. Raises ToolchainError for any other build."""

    def __init__(self, bundle: ModelBundle, build: Path) -> None:
        self._bundle, self._build = bundle, Px4Build.open(build)
        self._build.require_module()
        self._reference = bundle.classifier()
        self._selftest = self._check()

    def _check(self) -> Comparison:
        """Check that the module has the bundle's model, then run its self-test (golden vectors) in PX4."""
        with Px4Session(self._build, StreamSource(Stream.rest(), 0), DEFAULT_SPEED) as session:
            found, expected = session.model(), (self._bundle.spec.hash[:16], self._bundle.sha256[:16])
            if found != expected:
                raise ToolchainError(
                    f"{self._build.folder}: its module has spec {found[0]}, model {found[1]}; the bundle has "
                    f"{expected[0]}, {expected[1]}: build PX4 with the tree of `px4-tinyml generate px4` for it"
                )
            code, output = session.selftest()
        return Comparison(1, int(code != 0), 0, 0, int(code != 0), "" if code == 0 else output)

    def golden(self) -> Comparison:
        """The module's self-test in PX4, as one window."""
        return self._selftest

    def run_feed(self, name: str, events: Feed) -> Comparison:
        """Play a feed; PX4's decisions against Python's on what PX4 logged, for the windows of the feed."""
        spec = self._bundle.spec
        if not len(self._reference.run(events)):
            return Comparison(0, 0, 0, 0, 0, "")  # no complete window, no decision
        stream, left_out = playable(events.imu_time_us, events.imu, events.baro_time_us, events.baro_altitude_m, spec)
        if left_out:
            log.warning("%s: %d samples skipped: not finite, or out of range of PX4's simulated IMU", name, left_out)
        played = self._play(name, stream)
        expected, found = within(played, self._reference, spec)
        return compare(PAIR, expected, found, spec)

    def _play(self, name: str, stream: Stream) -> Played:
        """Play; slower after PX4's logger or the module lost messages."""
        speed = DEFAULT_SPEED
        for attempt in range(_ATTEMPTS):
            what = Path(name).name if attempt == 0 else f"{Path(name).name}, {speed:g} times real time"
            played = play(stream, self._build, what, speed)
            if played.late:
                log.warning("%s: PX4 did not answer in time %d times: the computer is too busy", name, played.late)
            if not played.lost and not played.unlogged:
                return played
            what = f"the module missed samples {played.lost} times, the logger {played.unlogged} messages"
            log.warning("%s: at up to %g times real time %s", name, speed, what)
            speed /= _SLOWER
            if attempt == _ATTEMPTS - 1:
                log.warning("%s: this may cause the differences below", name)
        return played


def within(played: Played, reference: Classifier, spec: PipelineSpec) -> tuple[Classification, Classification]:
    """(Python's decisions, PX4's) for the windows in the recording. PX4 does not report inputs and outputs."""
    events = feed(flight_log(played.log, "PX4's log", ""), spec)
    python = reference.run(events).decisions
    topic = played.log.topic(DECISIONS)
    if topic is None:
        raise ToolchainError(f"PX4 has logged no {DECISIONS}")
    both = []
    for decisions in (python, published_decisions(topic, spec)):
        inside = (decisions["start_us"] >= played.first_us) & (decisions["end_us"] <= played.last_us)
        nothing = np.zeros((int(inside.sum()), 0), np.int8)
        both.append(Classification(nothing, nothing, decisions[inside], {}))
    return both[0], both[1]
