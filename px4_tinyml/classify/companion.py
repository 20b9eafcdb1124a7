"""The classifier on a companion computer: frames of a vehicle in, decisions out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.samples import MavlinkStream, StreamCounts
from px4_tinyml.signal.streaming import Decided, StreamPipeline
from px4_tinyml.targets.host.library import HostPipeline
from px4_tinyml.targets.names import CLASSIFY_ENGINES, engine_name

log = logging.getLogger(__name__)


def open_pipeline(bundle: ModelBundle, engine: str = "auto") -> tuple[StreamPipeline, str]:
    """A pipeline and the name of its engine, one of targets.names.ENGINES.

    compiled: all in C++, built once. tflm (the wheel) and numpy run behind the signal path in Python. All three give
    the same bits; auto is the first of compiled and tflm that can run here. A bundle with input = "bands" has no
    compiled engine yet: auto is numpy. Raises ToolchainError where an engine cannot run.
    """
    engine = engine_name(engine)
    if bundle.spec.input == "bands":
        if engine == "compiled":
            raise ToolchainError(
                f'engine compiled: not available for input = "bands"; use --engine {" or ".join(CLASSIFY_ENGINES)}'
            )
        engine = "numpy" if engine == "auto" else engine
    if engine == "compiled":
        return HostPipeline.build(bundle), engine
    if engine != "auto":
        return bundle.pipeline(engine), engine
    try:
        return HostPipeline.build(bundle), "compiled"
    except ToolchainError as host_error:
        try:
            pipeline = bundle.pipeline("tflm")
        except ToolchainError as tflm_error:
            raise ToolchainError(
                f"no engine can run here. C++: {host_error}. TensorFlow Lite Micro: {tflm_error}. "
                "`--engine numpy` gives the same bits and needs neither, at some ten times the work"
            ) from host_error
        log.warning("no C++ here (%s): TensorFlow Lite Micro and the Python signal path instead", host_error)
        return pipeline, "tflm"


class Companion:
    """Classifies what one component of one vehicle sends, as `classify` does with the recording of it."""

    def __init__(self, pipeline: StreamPipeline, system: int, component: int) -> None:
        self._pipeline = pipeline
        self.system, self.component = system, component
        self.newest_us = 0
        """Time of the newest sample, autopilot's clock."""
        self.received_us = 0
        """When its frame was received."""
        self.on_ground = False
        """Landed state by the newest frame (False: airborne or unknown)."""
        self._stream = MavlinkStream(self)
        self._made: list[Decided] = []

    @property
    def counts(self) -> dict[str, int]:
        """Decisions, sparse windows, resets (pipeline.COUNTERS)."""
        return self._pipeline.counts

    @property
    def stream(self) -> StreamCounts:
        """Counts of its messages and samples."""
        return self._stream.counts

    def take(self, frames: Iterable[Frame]) -> list[Decided]:
        """Frames in the order they were received (those of others are skipped); decisions in order."""
        self._made = []
        system, component, stream = self.system, self.component, self._stream
        for frame in frames:
            if frame.system == system and frame.component == component:
                before_us = self.newest_us
                stream.frame(frame)
                if self.newest_us != before_us:
                    self.received_us = frame.received_us
        return self._made

    def push_imu(self, time_us: int, values: Sequence[float]) -> None:
        """A sample from the stream."""
        self.newest_us = time_us
        self._made += self._pipeline.push_imu(time_us, values)

    def push_baro(self, time_us: int, altitude_m: float) -> None:
        """A barometric altitude from the stream."""
        self._pipeline.push_baro(time_us, altitude_m)

    def push_ground(self, on_ground: bool) -> None:
        """A landed state from the stream."""
        self.on_ground = on_ground
        self._pipeline.push_ground(on_ground)
