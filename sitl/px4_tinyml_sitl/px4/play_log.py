"""Play a recording into PX4 SITL with the module: PX4's log, and the module's counters."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from px4_tinyml.errors import Px4TinymlError, ToolchainError
from px4_tinyml.logs.ulog.ulog_file import Topic, UlogFile
from px4_tinyml.progress import progress_of
from px4_tinyml.units import US_PER_S
from px4_tinyml_sitl.px4.hil_link import HilLink
from px4_tinyml_sitl.px4.hil_loop import HilLoop
from px4_tinyml_sitl.px4.player import LAG, Stream, StreamSource
from px4_tinyml_sitl.px4.px4_process import MODULE, Px4, Px4Build, claim_instance
from px4_tinyml_sitl.px4.tuning import ALWAYS

DECISIONS = "motion_classification"
DEFAULT_SPEED = 8.0
"""Maximum speed, times real time."""
_TOPICS = ("sensor_combined 0 0", "vehicle_air_data 0 0", f"{DECISIONS} 0 0", "logger_status 0 0")
_GAP_US = 1_000_000
"""Gap before the recording, which resets the window in PX4 and in any reader of its log."""
_AFTER_S = 2.5
"""Time at rest after the recording: PX4's logger reports every second or two what it has missed."""
_SETTLE_S = 3.0
_SPEC = re.compile(r"spec ([0-9a-f]+), model ([0-9a-f]+)")
_LOST = re.compile(r"reset, samples lost: (\d+) events")


@dataclass(frozen=True, eq=False)
class Played:
    """log: PX4's log, which contains the recording between first_us and last_us.

    lost: resets of the module for lost uORB samples. unlogged: messages that PX4's logger missed. late: steps that PX4
    did not answer before the timeout.
    """

    log: UlogFile
    first_us: int
    last_us: int
    lost: int
    unlogged: int
    late: int


class Px4Session:
    """A running PX4 with the module started. A context manager."""

    def __init__(self, build: Px4Build, source: StreamSource, speed: float) -> None:
        build.require_module()
        self._folder = tempfile.TemporaryDirectory(prefix="px4-tinyml-px4-")
        self._instance = claim_instance()
        self._link = HilLink(self._instance.listener, LAG)
        self.source = source
        self.px4 = Px4(build, self._instance, Path(self._folder.name), {**ALWAYS, "SDLOG_PROFILE": 0}, _TOPICS)
        self.loop = HilLoop(source, self._link, self.px4.check, speed)

    def __enter__(self) -> Px4Session:
        try:
            self.px4.__enter__()
            self.loop.__enter__()
            self.px4.wait_booted()
            self.loop.raise_error()
            self.px4.require(MODULE, "start")
        except BaseException as error:
            self._end()
            raise self._explained(error) from error
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._end()
        if isinstance(error, Px4TinymlError):
            raise self._explained(error) from error

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, Px4TinymlError):
            return type(error)(f"{error}\nPX4's last lines:\n{self._last}")
        return error

    def _end(self) -> None:
        self.px4.stop()
        self.loop.stop()
        self._last = self.px4.tail()
        self._instance.close()
        self._folder.cleanup()

    def model(self) -> tuple[str, str]:
        """First 16 digits of the hashes of the module's spec and model."""
        status = self.px4.require(MODULE, "status")
        found = _SPEC.search(status)
        if found is None:
            raise ToolchainError(f"`{MODULE} status` shows no spec and model; it printed:\n{status}")
        return found[1], found[2]

    def selftest(self) -> tuple[int, str]:
        """(exit code, output) of the module's self-test."""
        code, text = self.px4.command(MODULE, "selftest")
        return code, text.strip()

    def play(self, title: str) -> Played:
        """Play the stream and read PX4's log. title: of the progress bar."""
        source, loop, px4 = self.source, self.loop, self.px4
        # Until the estimator runs, logger and lockstep are irregular, and new topics are polled once a second.
        loop.wait(lambda: False, _SETTLE_S)
        lost, late = self._lost(), self._link.late
        source.play = True
        with progress_of(source.stream.seconds, title, "s of flight") as show:
            while not source.done:
                loop.wait(lambda: source.done, 1.0)
                show((loop.time_us - source.first_us) / US_PER_S)
        loop.wait(lambda: False, _AFTER_S)
        loop.raise_error()
        lost, late = self._lost() - lost, self._link.late - late
        px4.require("logger", "stop")
        logs = px4.logs()
        if not logs:
            raise ToolchainError("PX4 wrote no log")
        ulog = UlogFile.read(logs[0].read_bytes(), str(logs[0]))
        unlogged = _unlogged(ulog.topic("logger_status"), source.first_us) + len(ulog.dropouts)
        return Played(ulog, source.first_us, source.last_us, lost, unlogged, late)

    def _lost(self) -> int:
        """Resets of the module for lost samples, since its start."""
        lost = _LOST.search(self.px4.require(MODULE, "status"))
        return int(lost[1]) if lost else 0


def _unlogged(status: Topic | None, from_us: int) -> int:
    """Messages of full-rate topics that PX4's logger has missed since a time."""
    if status is None or not len(status):
        return 0
    before = max(int(np.searchsorted(status["timestamp"], from_us)) - 1, 0)
    return int(status["message_gaps"][-1]) - int(status["message_gaps"][before])


def play(stream: Stream, build: Px4Build, title: str, speed: float = DEFAULT_SPEED) -> Played:
    """Play a stream into PX4. title: of the progress bar."""
    with Px4Session(build, StreamSource(stream, _GAP_US), speed) as session:
        return session.play(title)
