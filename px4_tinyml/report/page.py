"""The report's page: facts and charts into the template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import TrainedFlight
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import DatasetError, ParityError, ToolchainError
from px4_tinyml.report import charts, view
from px4_tinyml.report.limits import find_limits
from px4_tinyml.report.svg import label_colours
from px4_tinyml.report.timeline import SHOWN_HOLE_S, build_timeline, choose_flights
from px4_tinyml.report.words import count, percent

TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_report(path: Path, bundle: ModelBundle, dataset: Dataset, parity: Mapping[str, Any] | None = None) -> None:
    """Write the HTML report of a bundle that was trained on this data set.

    parity: the document of `replay --json` (docs/replay.md). Raises DatasetError for another data set than the
    bundle's, ParityError for a replay of another model, ToolchainError when it cannot be drawn or written.
    """
    check_trained_on(bundle, dataset)
    if parity and parity["model_sha256"] != bundle.sha256:
        raise ParityError(
            f"the replay was of model {parity['model_sha256'][:16]}, the bundle holds {bundle.sha256[:16]}: "
            "replay this bundle again"
        )
    page = render(bundle, dataset, parity)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page.encode("utf-8", "replace"))
    except OSError as error:
        raise ToolchainError(f"{path}: cannot be written ({error.strerror})") from error


def check_trained_on(bundle: ModelBundle, dataset: Dataset) -> None:
    """DatasetError unless the bundle was trained on this very data set."""
    trained_on = bundle.manifest.training.dataset.flights
    found = tuple(TrainedFlight(f.source, f.vehicle, f.part, f.labels) for f in dataset.flights)
    if found != trained_on:
        raise DatasetError(
            f"{dataset.folder}: not the data set the bundle was trained on ({len(found)} flights found, "
            f"{len(trained_on)} in the manifest, or other parts or labels); give that one, or train again"
        )


def render(bundle: ModelBundle, dataset: Dataset, parity: Mapping[str, Any] | None) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        colours=label_colours(bundle.spec.labels),
        arch=bundle.manifest.model.arch,
        headline=view.headline(bundle, dataset),
        facts=view.facts(bundle, dataset),
        confusion=view.confusion(bundle),
        training=view.training(bundle),
        loss_chart=charts.loss_chart(bundle.manifest.training),
        timelines=timelines(bundle, dataset),
        hole_s=f"{SHOWN_HOLE_S:g}",
        short=view.SHORT_LIST,
        flights=view.flights(bundle, dataset),
        left_out=view.left_out(dataset, bundle.spec),
        split=view.split(bundle, dataset),
        sizes=view.sizes(bundle),
        rules=bundle.manifest.baseline.rules,
        parity=view.parity(parity),
        limits=find_limits(bundle, dataset),
        spec=view.spec_tables(bundle),
    )


def timelines(bundle: ModelBundle, dataset: Dataset) -> list[dict[str, Any]]:
    """Charts of one or two test flights with what they show in words."""
    by_flight = bundle.manifest.metrics.int8.by_flight
    accuracy = {source: result.accuracy for source, result in by_flight.items()}
    shown = []
    for number, log_id in enumerate(choose_flights(dataset.flights, accuracy)):
        timeline = build_timeline(bundle, dataset.flight(log_id))
        right, uncertain, labelled = timeline.agreement
        flight = dataset.flights[log_id]
        shown.append(
            {
                "source": flight.source,
                "vehicle": flight.vehicle,
                "why": "the test flight with the most labels" if number == 0 else "the test flight read worst",
                "right": f"{percent(right, labelled)} of {count(labelled)} labelled windows",
                "uncertain": percent(uncertain, labelled),
                "between": charts.has_between(timeline),
                "cut": timeline.cut,
                "chart": charts.timeline_chart(timeline, bundle.spec, f"timeline-{number}"),
            }
        )
    return shown
