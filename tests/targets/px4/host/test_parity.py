"""The module decides as the Python reference does: on its golden vectors, on made flights and on real logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from px4_host_feeds import hover
from px4_host_flight import changed

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import LogError
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.signal.classifier import Classifier
from px4_tinyml.signal.golden import read_golden
from px4_tinyml.signal.slots import feed
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.px4.run import Px4Host
from px4_tinyml.targets.px4.ulog_feed import play_ulog

NAMES = ("python", "px4-host")


def test_golden_vectors(host: Px4Host, bundle: ModelBundle) -> None:
    events, expected = read_golden(bundle.golden, bundle.spec)
    found = compare(("golden", "px4-host"), expected, host.run(events), bundle.spec)
    assert (found.windows, found.mismatches, found.first) == (len(expected), 0, "") and len(expected) > 5


@pytest.mark.parametrize("rate_hz", [100, 200, 400, 1000])
def test_any_rate_of_the_imu(host: Px4Host, python: Classifier, rate_hz: int) -> None:
    events = hover(30.0, (8.0, 18.0), rate_hz)
    expected = python.run(events)
    found = compare(NAMES, expected, host.run(events), host.spec)
    assert (found.windows, found.mismatches, found.first) == (43, 0, "")
    assert {0, 1, 3} <= set(expected.decisions["class_index"].tolist())


def test_both_forms_of_the_module_record_the_same(host: Px4Host, bundle: ModelBundle, python: Classifier) -> None:
    events = hover(20.0, (5.0, 15.0))
    other = Px4Host(bundle, "descriptor", options=("-O1",))
    expected = python.run(events)
    for built in (host, other):
        assert compare(NAMES, expected, built.run(events), bundle.spec).mismatches == 0


def test_real_logs(host: Px4Host, python: Classifier, shared: Path) -> None:
    """Every usable log, as samples; and every ULog as the messages in it."""
    windows, ulogs = 0, 0
    for path in find_logs([str(shared / "data")]):
        try:
            flights = read_log(path)
        except LogError:
            continue
        for flight in flights:
            events = feed(flight, host.spec)
            expected = python.run(events)
            assert compare(NAMES, expected, host.run(events), host.spec).first == "", path
            windows += len(expected)
        if path.suffix == ".ulg":
            played = play_ulog(host, path)
            again = python.run(played.events)
            assert compare(NAMES, again, played.result, host.spec).first == "", path
            assert played.record.allocations == 0
            ulogs += 1
    assert windows > 2400 and ulogs >= 11


def test_a_tampered_module_is_found(bundle: ModelBundle, python: Classifier, cxx: list[str]) -> None:
    wrong = changed(bundle, "MotionClassifier.cpp", r"\.baro_alt_meter\);", ".baro_alt_meter * 1.1f);")
    events = hover(30.0)
    found = compare(NAMES, python.run(events), wrong.run(events), bundle.spec)
    assert found.mismatches > 0 and "int8 inputs differ" in found.first and "channel alt" in found.first
