"""One vocabulary of engines and targets, with the old spellings."""

from __future__ import annotations

from px4_tinyml.bench import measure
from px4_tinyml.targets import registry
from px4_tinyml.targets.names import (
    BENCHED,
    ENGINE_ALIASES,
    ENGINES,
    REPLAY_JSON,
    REPLAYED,
    TARGET_ALIASES,
    TARGETS,
    engine_name,
    target_name,
    target_names,
)


def test_every_alias_stands_for_a_name() -> None:
    assert set(ENGINE_ALIASES.values()) <= set(ENGINES)
    assert set(TARGET_ALIASES.values()) <= {*TARGETS, *ENGINES}
    assert all(target_name(old) == name for name, old in REPLAY_JSON.items())


def test_replay_and_bench_offer_the_targets_that_they_have() -> None:
    assert tuple(registry.RUNNERS) == REPLAYED and set(REPLAYED) <= {*TARGETS, *ENGINES}
    assert measure.TARGETS == BENCHED


def test_old_spellings_are_accepted() -> None:
    assert (engine_name("host"), engine_name("auto"), target_name("host")) == ("compiled", "auto", "host")
    assert target_names("python, node,arduino,px4") == ["numpy", "arduino", "px4"]
