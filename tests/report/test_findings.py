"""Verdict, limits and colours on small made-up results."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from msgspec.structs import replace

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Metrics, Score
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report.findings import commonest_error, gain_over, headline, score_bars, strongest_rival
from px4_tinyml.report.limits import find_limits
from px4_tinyml.report.page import render
from px4_tinyml.report.svg import label_colours
from px4_tinyml.report.words import NOTHING
from px4_tinyml.signal.spec import DecisionSpec
from px4_tinyml.training.metrics import summarize

LABELS = ("level", "climb")


def metrics(network: list[float], physics: list[float]) -> Metrics:
    """Both models on flights of 200 windows (half of each label), right in these shares of them."""
    truth = np.tile(np.arange(2), 100 * len(network))
    flight = np.repeat(np.arange(len(network)), 200)
    scores = []
    for shares in (network, physics):
        wrong = np.concatenate([np.arange(200) >= round(200 * share) for share in shares])
        sources = [f"{i}.ulg" for i in range(len(network))]
        scores.append(summarize(truth, np.where(wrong, 1 - truth, truth), flight, LABELS, sources))
    return Metrics(LABELS, "", scores[0], *scores, agreement=1.0)


def test_the_gain_is_paired_by_flight() -> None:
    """Flights differ by 40 points, the models by 5 on each: the gain is sure, the scores are not."""
    hard_and_easy = [0.5, 0.6, 0.65, 0.7, 0.8, 0.9]
    result = metrics([share + 0.05 for share in hard_and_easy], hard_and_easy)
    gain = gain_over(result, "baseline")
    assert gain.value == pytest.approx(0.05) and gain.low == pytest.approx(0.05) and gain.high == pytest.approx(0.05)
    assert result.int8.macro_f1_interval[0] < result.baseline.macro_f1
    assert gain.proven


@pytest.mark.parametrize(
    ("network", "physics", "verdict"),
    [
        ([0.9, 0.95, 0.9] * 2, [0.8] * 6, "beats thresholds: macro-F1 0.917 against 0.800"),
        ([0.9, 0.95, 0.9, 0.95, 0.9], [0.8] * 5, "is ahead of thresholds, not beyond doubt"),
        ([0.9, 0.95, 0.7] * 2, [0.8] * 6, "is ahead of thresholds, not beyond doubt"),
        ([0.9], [0.5], "is ahead of thresholds, not beyond doubt"),
        ([0.8, 0.8, 0.8], [0.8, 0.8, 0.8], "does not beat thresholds"),
        ([0.7, 0.9, 0.7], [0.8, 0.8, 0.8], "does not beat thresholds"),
    ],
)
def test_verdict(network: list[float], physics: list[float], verdict: str, dataset: Dataset) -> None:
    assert verdict in headline(metrics(network, physics), dataset)[0]


def test_the_verdict_is_about_the_strongest_rival(dataset: Dataset) -> None:
    known = metrics([0.9] * 6, [0.7] * 6)
    trees = metrics([0.95] * 6, [0.5] * 6).int8
    both = replace(known, trees=trees, slope=metrics([0.6] * 6, [0.5] * 6).int8)
    assert strongest_rival(known) == "baseline" and strongest_rival(both) == "trees"
    assert "The network does not beat boosted trees: macro-F1 0.900 against 0.950" in headline(both, dataset)[0]


def test_one_test_flight_has_no_interval(bundle: ModelBundle, dataset: Dataset) -> None:
    assert "one test flight allows no interval" in " ".join(headline(metrics([0.9], [0.5]), dataset)[1])
    known = bundle.manifest.metrics
    scores = [replace(score, by_flight=dict([*score.by_flight.items()][:1])) for score in known.scores.values()]
    one = bundle.with_manifest(metrics=Metrics(known.labels, known.spec_hash, *scores, agreement=1.0))
    assert render(one, dataset).count("<span>no interval</span>") == 3


def test_dots_are_inside_their_axis() -> None:
    for network, floor in (([1.0, 0.95], 0.8), ([0.9, 0.2], 0.2), ([0.02, 0.04], 0.0)):
        for bar in score_bars(metrics(network, network)).values():
            assert bar["floor"] == pytest.approx(floor)
            assert 0 <= bar["left"] <= bar["dot"] <= bar["left"] + bar["width"] + 1e-9 <= 100 + 2e-9


def confused(confusion: list[list[int]]) -> Score:
    return Score(0, 0.0, 0.0, confusion, (0.0, 0.0), {})


def test_commonest_error_is_by_share_of_the_label() -> None:
    error = commonest_error(confused([[900, 100, 0], [4, 6, 0], [0, 0, 5]]), ["level", "climb", "descend"])
    assert error == ("climb", "level", 0.4)
    assert commonest_error(confused([[9, 0], [0, 9]]), LABELS) is None


def test_limits_of_an_imu_alone_have_its_confusions(bundle: ModelBundle, dataset: Dataset) -> None:
    text = find_limits(bundle, dataset)["No barometer among the inputs"]
    matrix = np.array(bundle.manifest.metrics.int8.confusion)
    assert f"{100 * matrix[1:3, 0].sum() / matrix[1:3].sum():.1f}\u202f% of the climb and descend" in text
    assert f"{100 * matrix[0, 1:3].sum() / matrix[0].sum():.1f}\u202f% of the level" in text


def without_truth(metrics: Metrics, *labels: int) -> Metrics:
    """The same metrics had no window been labelled one of these."""
    changed = []
    for score in metrics.scores.values():
        matrix = np.array(score.confusion)
        matrix[list(labels)] = 0
        f1 = {name: None if i in labels else value for i, (name, value) in enumerate(score.f1.items())}
        changed.append(replace(score, confusion=matrix.tolist(), f1=f1))
    return Metrics(metrics.labels, metrics.spec_hash, *changed, agreement=metrics.agreement, between=metrics.between)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ((1, 2), "no test windows of climb and descend, "),
        ((0,), " windows are called level, none of level."),
        ((0, 1, 2), ": there are no test windows of climb and descend, none of level."),
    ],
)
def test_an_imu_alone_without_test_windows(missing, words: str, bundle: ModelBundle, dataset: Dataset) -> None:
    changed = bundle.with_manifest(metrics=without_truth(bundle.manifest.metrics, *missing))
    text = find_limits(changed, dataset)["No barometer among the inputs"]
    assert words in text and NOTHING not in text


def test_a_label_without_test_windows_has_text_for_a_score(bundle: ModelBundle, dataset: Dataset) -> None:
    """As in every data set of real logs: none of them has the truth of turbulence."""
    page = render(bundle.with_manifest(metrics=without_truth(bundle.manifest.metrics, 3)), dataset)
    section = page[page.index('id="confusion"') : page.index('id="timeline-1"')]
    matrices, by_label = section.split("F1 by label")
    assert matrices.count('<td colspan="4" class="none">no test windows</td>') == 3
    rows = [row for row in by_label.split("<tr>") if 'class="chip"' in row]
    assert [row.count("no test windows") for row in rows] == [0, 0, 0, 3]


def test_limits_follow_the_data(bundle: ModelBundle, dataset: Dataset) -> None:
    found = find_limits(bundle, dataset)
    assert "All 10 flights are simulated" in found["Simulated flights"]
    assert "2 test flights" in found["Few test flights"]
    assert "No airframe held out" not in found
    assert "covers 2.56 s and a new one is complete every 0.64 s" in found["Decisions are late"]
    assert "2 windows (1.28 s)" in found["Decisions are late"]

    counts = dataset.about.counts
    windows = {**counts.windows, "test": {**counts.windows["test"], "climb": 0, "descend": 0}}
    about = replace(dataset.about, split_by="flight", counts=replace(counts, windows=windows))
    changed = find_limits(
        dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, decision=DecisionSpec(smoothing_q8=256))),
        Dataset(dataset.folder, dataset.spec, about),
    )
    assert "10 airframes in all" in changed["No airframe held out"]
    assert "No test window is labelled climb and descend" in changed["Climb and descend without test windows"]
    assert "1 window (0.64 s)" in changed["Decisions are late"]


def test_known_labels_keep_their_colour() -> None:
    assert label_colours(("vert", "hori")) == {"vert": "label-4", "hori": "label-5"}
    mixed = label_colours(("turbulence", "a", "b", "c", "d", "e", "level", "f"))
    assert mixed["turbulence"] == "label-3" and mixed["level"] == "label-0"
    assert len(set(mixed.values())) == 8
