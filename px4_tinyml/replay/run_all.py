"""A bundle's golden vectors and any number of logs through several targets."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import SpecError, ToolchainError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.replay.runners import BY_NAME_ONLY, PX4, TARGETS, Runner
from px4_tinyml.signal.golden import read_golden
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.targets.compare import Comparison, compare
from px4_tinyml.targets.names import target_name
from px4_tinyml.targets.px4.run import Px4Host
from px4_tinyml.targets.px4.run_sitl import PAIR, Px4Target
from px4_tinyml.targets.px4.ulog_feed import play_ulog, write_ulog

log = logging.getLogger(__name__)

Pair = tuple[str, str]


@dataclass(frozen=True)
class Replayed:
    """One feed: windows classified, sparse windows and resets as the first target counted them, every pair."""

    name: str
    windows: int
    counts: dict[str, int]
    pairs: dict[Pair, Comparison]

    @property
    def mismatches(self) -> int:
        """Over all pairs."""
        return sum(pair.mismatches for pair in self.pairs.values())


class Replay:
    """Targets built once for a bundle; use golden() and run()."""

    def __init__(self, bundle: ModelBundle, targets: Sequence[str] | None = None, px4: Path | None = None) -> None:
        """targets: names of TARGETS. None: all that can run here, at least two; others are skipped with a warning.

        px4: a PX4 SITL build folder, for the target "px4", which is one of the targets then.

        Raises ToolchainError when a named target cannot run here, SpecError for a name that is not known.
        """
        self.bundle = bundle
        self._px4_host: Px4Host | None = None
        self._px4 = None if px4 is None else Px4Target(bundle, px4)
        self.runners: dict[str, Runner] = {}
        wanted = targets or [name for name in TARGETS if name not in BY_NAME_ONLY]
        for name in dict.fromkeys(map(target_name, wanted)):
            if name == PX4 and self._px4 is not None:
                continue
            if name == PX4:
                raise SpecError("target px4: expected --px4 BUILD_DIR with it, a PX4 SITL build folder")
            if name not in TARGETS:
                raise SpecError(f"target {name!r} is not known; expected some of {', '.join((*TARGETS, PX4))}")
            try:
                self.runners[name] = TARGETS[name](bundle)
            except ToolchainError as error:
                if targets is not None:
                    raise
                log.warning("target %s is left out: %s", name, error)
        if targets is None and len(self.runners) < 2:
            raise ToolchainError("fewer than two targets can run here: there is nothing to compare")

    def golden(self) -> Replayed:
        """Every target against the golden vectors in the bundle."""
        events, expected = read_golden(self.bundle.golden, self.bundle.spec)
        pairs = {
            ("golden", name): compare(("golden", name), expected, runner(events), self.bundle.spec)
            for name, runner in self.runners.items()
        }
        if self._px4 is not None:
            pairs["golden", PX4] = self._px4.golden()
        return Replayed("golden vectors", len(expected), expected.counts, pairs)

    def run(self, flight: FlightLog) -> Replayed:
        """One log through every target, each compared with each."""
        return self.run_feed(flight.source, feed(flight, self.bundle.spec))

    def write_ulog(self, path: Path, out: Path) -> Replayed:
        """A ULog's messages, as they were published, through the PX4 module; it writes the ULog with its topics.

        Compared with Python on the same samples. Raises LogError when the log has none or cannot be written.
        """
        if self._px4_host is None:
            self._px4_host = Px4Host(self.bundle)
        played = play_ulog(self._px4_host, path)
        write_ulog(self._px4_host, played, out)
        reference = self.bundle.classifier().run(played.events)
        names = ("numpy", "px4-host")
        pairs = {names: compare(names, reference, played.result, self.bundle.spec)}
        return Replayed(str(out), len(reference), reference.counts, pairs)

    def run_feed(self, name: str, events: Feed) -> Replayed:
        """One feed through every target."""
        done = {target: runner(events) for target, runner in self.runners.items()}
        pairs = {
            (a, b): compare((a, b), done[a], done[b], self.bundle.spec) for a, b in itertools.combinations(done, 2)
        }
        if self._px4 is not None:
            pairs[PAIR] = self._px4.run_feed(name, events)
        reference = next(iter(done.values()), None)
        windows = pairs[PAIR].windows if reference is None else len(reference)
        return Replayed(name, windows, {} if reference is None else reference.counts, pairs)

    @property
    def targets(self) -> list[str]:
        """Names of all that is compared."""
        return [*self.runners, *([PX4] if self._px4 is not None else [])]
