"""Runs a bundle's golden vectors and logs through several targets and compares them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import SpecError, ToolchainError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.signal.golden import read_golden
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.targets.base import Runner
from px4_tinyml.targets.compare import Comparison, compare
from px4_tinyml.targets.names import NOT_BY_DEFAULT, REPLAY_JSON, target_name
from px4_tinyml.targets.px4.run import Px4Host
from px4_tinyml.targets.px4.run_sitl import PAIR, Px4Target
from px4_tinyml.targets.px4.ulog_feed import play_ulog, write_ulog
from px4_tinyml.targets.registry import RUNNERS

log = logging.getLogger(__name__)

Pair = tuple[str, str]

PX4 = "px4"


@dataclass(frozen=True)
class Replayed:
    """One feed: classified windows, counts of the first target, and the comparison of every pair."""

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
        """targets: names of RUNNERS or px4. None: all that can run here, at least two; a warning for each other.

        px4: a PX4 SITL build folder; it adds the target px4. Raises ToolchainError when a named target cannot run
        here, SpecError for an unknown name.
        """
        self.bundle = bundle
        self._px4_host: Px4Host | None = None
        self._px4 = None if px4 is None else Px4Target(bundle, px4)
        self.runners: dict[str, Runner] = {}
        wanted = targets or [name for name in RUNNERS if name not in NOT_BY_DEFAULT]
        for name in dict.fromkeys(map(target_name, wanted)):
            if name == PX4 and self._px4 is not None:
                continue
            if name == PX4:
                raise SpecError("target px4: expected --px4 BUILD_DIR with it, a PX4 SITL build folder")
            if name not in RUNNERS:
                raise SpecError(f"target {name!r} is not known; expected some of {', '.join((*RUNNERS, PX4))}")
            try:
                self.runners[name] = RUNNERS[name](bundle)
            except ToolchainError as error:
                if targets is not None:
                    raise
                log.warning("target %s is skipped: %s", name, error)
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
        """One log through every target; every pair is compared."""
        return self.run_feed(flight.source, feed(flight, self.bundle.spec))

    def write_ulog(self, path: Path, out: Path) -> Replayed:
        """Play a ULog's messages through the PX4 module, write the ULog with the module's topics, compare with numpy.

        Raises LogError when the log has no samples or the copy cannot be written.
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
        results = {target: runner(events) for target, runner in self.runners.items()}
        pairs = {
            (a, b): compare((a, b), results[a], results[b], self.bundle.spec)
            for a, b in itertools.combinations(results, 2)
        }
        if self._px4 is not None:
            pairs[PAIR] = self._px4.run_feed(name, events)
        reference = next(iter(results.values()), None)
        windows = pairs[PAIR].windows if reference is None else len(reference)
        return Replayed(name, windows, {} if reference is None else reference.counts, pairs)

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        return [*self.runners, *([PX4] if self._px4 is not None else [])]

    def as_json(self, results: Sequence[Replayed], unusable: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """The JSON document (docs/replay.md). unusable: log and error of logs that could not be read."""
        totals: dict[str, dict[str, int]] = {}
        for item in results:
            for names, pair in item.pairs.items():
                total = totals.setdefault(_json_key(names), {"windows": 0, "mismatches": 0})
                total["windows"] += pair.windows
                total["mismatches"] += pair.mismatches
        return {
            "spec_hash": self.bundle.spec.hash,
            "model_sha256": self.bundle.sha256,
            "targets": [REPLAY_JSON.get(name, name) for name in self.targets],
            "windows": sum(item.windows for item in results),
            "mismatches": sum(item.mismatches for item in results),
            "pairs": totals,
            "logs": [
                {
                    "log": item.name,
                    "windows": item.windows,
                    "mismatches": item.mismatches,
                    "counts": item.counts,
                    "pairs": {_json_key(names): vars(pair) for names, pair in item.pairs.items()},
                }
                for item in results
            ],
            "unusable": list(unusable),
        }


def copy_name(log: Path, folder: Path, names: set[Path]) -> Path:
    """Path for a log's copy: its own name, or one with a number if that is in `names`, which it is added to."""
    candidates = itertools.chain([log.name], (f"{log.stem}-{number}{log.suffix}" for number in itertools.count(2)))
    name = next(folder / n for n in candidates if (folder / n).resolve() not in names)
    names.add(name.resolve())
    return name


def _json_key(names: Pair) -> str:
    return ":".join(REPLAY_JSON.get(name, name) for name in names)
