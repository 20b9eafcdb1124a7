"""A flight of the module, action by action; its samples are kept for the reference."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.classifier import Classification, Classifier
from px4_tinyml.signal.decision import DECISION, DecisionFilter, Flag
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import DecisionSpec
from px4_tinyml.targets.px4.generate import px4_files
from px4_tinyml.targets.px4.run import Px4Host, add_feed
from px4_tinyml.targets.px4.stand_in.script import Record, Script
from px4_tinyml.targets.px4.stand_in.shim import MODULE_DIR


def cut(events: Feed, start: int, stop: int) -> Feed:
    """IMU samples start…stop of a feed, with the barometer's that are delivered with them."""
    first, last = (int(events.baro_before[i - 1]) if i else 0 for i in (start, stop))
    return Feed(
        events.imu_time_us[start:stop],
        events.imu[start:stop],
        events.baro_time_us[first:last],
        events.baro_altitude_m[first:last],
        events.baro_before[start:stop] - first,
        events.on_ground[start:stop],
    )


def pick_imu(events: Feed, rows: slice | NDArray[np.bool_]) -> Feed:
    """A feed with these of its IMU samples only."""
    imu = {name: getattr(events, name)[rows] for name in ("imu_time_us", "imu", "baro_before", "on_ground")}
    return dataclasses.replace(events, **imu)


def join(parts: Sequence[Feed]) -> Feed:
    """One feed after the other."""
    names = ("imu_time_us", "imu", "baro_time_us", "baro_altitude_m", "baro_before", "on_ground")
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    first = np.cumsum([0, *(len(part.baro_time_us) for part in parts[:-1])])
    fields["baro_before"] += np.repeat(first, [len(part.imu) for part in parts])
    return Feed(**fields)


def changed(bundle: ModelBundle, name: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Px4Host:
    """The module with one place of one of its files changed."""
    tree, path = px4_files(bundle, "compiled"), MODULE_DIR + name
    text, count = re.subn(pattern, replacement, tree[path])
    assert count == 1
    return Px4Host(bundle, options=("-O0", "-g0"), tree={**tree, path: text})


class Flight:
    """script: more actions can be put into it; now_us: of the last sample; imu_actions: indices of its IMU samples."""

    def __init__(self, host: Px4Host, start_us: int = 20_000_000) -> None:
        self.host, self.script, self.now_us = host, Script(host.harness), start_us
        self.script.command(start_us, "start")
        self._parts: list[Feed] = []
        self.imu_actions: list[int] = []

    def feed(self, events: Feed, heard: bool = True) -> None:
        """Publish samples. heard: whether the reference gets them too."""
        self.imu_actions += add_feed(self.script, events)[1].tolist()
        self.now_us = int(events.imu_time_us[-1])
        if heard:
            self._parts.append(events)

    def end(self) -> tuple[Classification, Record]:
        """What the module made of it."""
        return self.host.finish(self.script, self.now_us)

    @property
    def events(self) -> Feed:
        """What the reference is given."""
        return join(self._parts)


def decided_with(python: Classifier, events: Feed, changes: Sequence[tuple[int, DecisionSpec]]) -> Classification:
    """The reference with other decision rules for windows that end after a time (µs), for each change in turn."""
    reference = python.run(events)
    rules = DecisionFilter(python.spec)
    decisions = np.zeros(len(reference), DECISION)
    for i, old in enumerate(reference.decisions):
        while changes and old["end_us"] > changes[0][0]:
            new = DecisionFilter(dataclasses.replace(python.spec, decision=changes[0][1]))
            new.smoothed, new._class, new._age = rules.smoothed, rules._class, rules._age
            rules, changes = new, changes[1:]
        if old["flags"] & Flag.FIRST:
            rules.reset()
        stale = bool(old["flags"] & Flag.BARO_STALE)
        decisions[i] = rules.update(reference.outputs[i].tolist(), stale, int(old["start_us"]), int(old["end_us"]))
    return dataclasses.replace(reference, decisions=decisions)
