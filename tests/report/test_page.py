"""The page: self-contained, deterministic, escaped, and its numbers are the manifest's."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import DatasetError, ParityError, ToolchainError
from px4_tinyml.report import write_report

from .conftest import model_card, replayed

VOID = {"meta", "br", "path", "use"}


class Page(HTMLParser):
    """Text by section, attributes, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self._section = "header"
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "section":
            self._section = dict(attrs)["id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open and self.open[-1] != "style":
            text = self.sections.get(self._section, "") + " " + data
            self.sections[self._section] = re.sub(r"\s+", " ", text.replace("\u202f", " "))


@pytest.fixture(scope="module")
def html(bundle: ModelBundle, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "new folder" / "report.html"
    write_report(path, bundle, dataset, replayed(bundle))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_is_complete_and_in_order(page: Page) -> None:
    assert page.open == []
    assert list(page.sections) == [
        "header", "confusion", "timeline-1", "timeline-2", "flights", "training", "split", "left-out", "sizes",
        "parity", "limits", "details",
    ]  # fmt: skip
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 20


def test_no_external_resource_is_loaded(html: str, page: Page) -> None:
    assert not re.search(r"https?:|@import|<script|<link|<img|<iframe", html)
    assert not [a for a in page.attributes if a[1] in ("src", "srcset", "data", "action") or a[1].startswith("on")]
    references = [value for _, name, value in page.attributes if name in ("href", "xlink:href")]
    references += re.findall(r"url\(([^)]*)\)", html)
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert references and {r.strip("\"'")[1:] for r in references} <= ids
    assert len(html.encode()) < 3_000_000


def test_the_same_inputs_give_the_same_bytes(bundle: ModelBundle, dataset: Dataset, html: str, tmp_path: Path) -> None:
    write_report(tmp_path / "again.html", bundle, dataset, replayed(bundle))
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_names_from_logs_are_text(html: str, page: Page) -> None:
    assert not re.search("<(img|u>|i>|b>bad|jitter)", html)
    for section in ("timeline-1", "flights"):
        assert re.search(r'flight_\d<img src=x onerror=alert\(1\)>"&\$x\^\$\.ulg', page.sections[section])
        assert re.search(r"quad \d <u>", page.sections[section])
    assert "<i>not</i> a ULog file: found a Git LFS pointer" in page.sections["left-out"]
    assert "clock: 2 µs of <jitter>" in page.sections["left-out"]
    assert "a&b.ulg" in page.sections["parity"]


def test_scores_equal_the_manifest(page: Page, bundle: ModelBundle) -> None:
    metrics = bundle.manifest.metrics
    for score in metrics.scores.values():
        assert f"{score.macro_f1:.3f}" in page.sections["header"]
        assert f"{score.accuracy:.3f}" in page.sections["confusion"]
        low, high = score.macro_f1_interval
        assert f"{low:.3f}…{high:.3f}" in page.sections["header"]
        for row in score.confusion:
            for count in filter(None, row):
                assert f" {100 * count / sum(row):.1f} {count} " in page.sections["confusion"]
        for f1 in score.f1.values():
            assert f" {f1:.3f} " in page.sections["confusion"]
    assert "98.7 %" in page.sections["header"]


def test_flights_are_sorted_worst_first(page: Page, bundle: ModelBundle) -> None:
    by_flight = bundle.manifest.metrics.int8.by_flight
    text = page.sections["flights"]
    worst_first = sorted(by_flight, key=lambda source: by_flight[source].accuracy)
    assert len(worst_first) == 2
    at = [text.index(source) for source in worst_first]
    assert at == sorted(at)
    for result in by_flight.values():
        assert f" {result.windows} {100 * result.accuracy:.1f} % {result.macro_f1:.3f} " in text


def test_model_training_and_data_equal_the_manifest(page: Page, bundle: ModelBundle, dataset: Dataset) -> None:
    assert "33 504 MACs" in page.sections["header"] and bundle.spec.short_hash in page.sections["header"]
    assert "1 504 bytes" in page.sections["sizes"] and "not measured" in page.sections["sizes"]
    assert "EXPAND_DIMS CONV_2D RESHAPE" in page.sections["sizes"]
    assert "1 × 128 × 6, scale 0.00784298778, zero point 0" in page.sections["sizes"]
    assert (
        "lowest in epoch 3" in page.sections["training"] and "stopped after 5 of at most 9" in page.sections["training"]
    )
    counts = dataset.about.counts
    for part in counts.windows.values():
        assert " ".join(map(str, part.values())) in re.sub(r"\s+", " ", page.sections["split"])
    assert f"mixed {counts.dropped['mixed']} " in page.sections["left-out"]
    assert "seed of training 7" in page.sections["details"] and bundle.sha256 in page.sections["details"]
    for rule in bundle.manifest.baseline.rules.split("\n"):
        assert re.sub(r"\s+", " ", rule).strip() in page.sections["details"]


def test_parity_is_shown_only_when_given(page: Page, bundle: ModelBundle, dataset: Dataset, tmp_path: Path) -> None:
    assert "python, tflm and host compute the same: 0 mismatches in 12 345 windows" in page.sections["parity"]
    write_report(tmp_path / "none.html", bundle, dataset)
    assert "parity" not in Page((tmp_path / "none.html").read_text(encoding="utf-8")).sections
    write_report(tmp_path / "bad.html", bundle, dataset, replayed(bundle, differing=7))
    bad = Page((tmp_path / "bad.html").read_text(encoding="utf-8")).sections["parity"]
    assert "differ: 7 mismatches" in bad and "python:host 12 345 7" in bad
    assert "the outputs are <not> the same" in bad
    with pytest.raises(ParityError, match="replay this bundle again"):
        write_report(tmp_path / "other.html", bundle, dataset, {**replayed(bundle), "model_sha256": "0" * 64})


def test_another_data_set_is_rejected(bundle: ModelBundle, dataset: Dataset, tmp_path: Path) -> None:
    flights = tuple(replace(flight, part="test") for flight in dataset.flights)
    other = Dataset(dataset.folder, dataset.spec, replace(dataset.about, flights=flights))
    with pytest.raises(DatasetError, match="not the data set the bundle was trained on"):
        write_report(tmp_path / "report.html", bundle, other)
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_cannot_be_written_is_an_error(bundle: ModelBundle, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolchainError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", bundle, dataset)


def test_the_card_of_a_bundle_that_has_one_is_shown(bundle: ModelBundle, dataset: Dataset, tmp_path: Path) -> None:
    write_report(tmp_path / "card.html", bundle.with_manifest(card=model_card()), dataset)
    html = (tmp_path / "card.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.open == [] and not re.search(r"<(u>|i>logs|b>\.ulg)", html)
    assert list(page.sections)[1:3] == ["confusion", "real-air"] and list(page.sections)[-2:] == ["card", "details"]
    assert "known <u> in the training 12.5 % of 8 75.0 % of 4 – 16.7 % of 12" in page.sections["real-air"]
    card = page.sections["card"]
    assert "a<b>.ulg quad & <u> MIT (README <u>) some/<i>logs</i> commit 0123456789" in card
    assert "1 has no licence file: the licence is stated where the brackets name it." in card
    for sentence in ("Advisory <u>.", "Fixed wings.", "All but the recordings."):
        assert sentence in card
