"""The report's page: manifest, data set description and charts into the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import TrainedFlight
from px4_tinyml.dataset.autolabel import AGREEMENT, CALM_EDR, EXCLUDE, MANOEUVRING, MIXED, SPARSE, TURBULENT_EDR
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.emit.write import template_environment
from px4_tinyml.errors import DatasetError, ParityError, ToolchainError
from px4_tinyml.report import charts, findings
from px4_tinyml.report.edr_chart import edr_by_truth, edr_chart
from px4_tinyml.report.limits import find_limits
from px4_tinyml.report.svg import label_colours
from px4_tinyml.report.timeline import SHOWN_HOLE_S, Timeline, build_timeline, choose_flights
from px4_tinyml.report.words import FILTERS
from px4_tinyml.signal.spec import PipelineSpec

TEMPLATES = Path(__file__).resolve().parent / "templates"
MODEL_NAMES = {
    "int8": "int8 network", "float": "float32 network", "baseline": "thresholds", "slope": "barometer slope",
    "trees": "boosted trees", "physics": "EDR formula",
}  # fmt: skip
SHORT_LIST = 12
"""Longer lists are folded."""

MEANINGS = {
    MIXED: f"the label changes within the window (less than {100 * AGREEMENT:.0f} % agree)",
    SPARSE: "too many repeated slots: samples were missing",
    "between": f"EDR between calm (≤ {CALM_EDR:.2f}) and turbulent (≥ {TURBULENT_EDR:.2f}) m^⅔/s",
    MANOEUVRING: "flown too hard for the air to be judged",
    "on_ground": "not flying",
    "no_reference": "no valid reference (vertical speed, landed state) at that time",
    "unlabelled": "the reference or the spans give no label",
    "excluded": f"excluded by a span labelled {EXCLUDE}",
    "gap": "samples missing for longer than the spec allows",
    "backwards": "the clock ran backwards",
    "non_finite": "a value that is not finite",
}
"""Why a window has no label, and why the signal path was reset."""


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


def render(bundle: ModelBundle, dataset: Dataset, parity: Mapping[str, Any] | None = None) -> str:
    """The page as text."""
    environment = template_environment(TEMPLATES, FILTERS, autoescape=True)
    manifest, spec, about = bundle.manifest, bundle.spec, dataset.about
    metrics = manifest.metrics
    title, sentences = findings.headline(metrics, dataset)
    by_flight, edr = metrics.int8.by_flight, edr_by_truth(bundle, dataset)
    return environment.get_template("report.html.j2").render(
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        colours=label_colours(spec.labels),
        title=title,
        sentences=sentences,
        bundle=bundle,
        manifest=manifest,
        model=manifest.model,
        metrics=metrics,
        spec=spec,
        about=about,
        names=MODEL_NAMES,
        bars=findings.score_bars(metrics),
        error=findings.commonest_error(metrics.int8, metrics.labels),
        course=findings.course(manifest.training),
        edr_chart=edr_chart(edr) if edr else "",
        loss_chart=charts.loss_chart(manifest.training, spec),
        timelines=timelines(bundle, dataset),
        hole_s=f"{SHOWN_HOLE_S:g}",
        short=SHORT_LIST,
        worst_first=sorted(by_flight, key=lambda source: by_flight[source].accuracy),
        vehicles={flight.source: flight.vehicle for flight in dataset.flights},
        parts=PARTS,
        left_out=findings.left_out_title(about),
        dropped=findings.dropped_windows(about),
        meanings=MEANINGS,
        parity=parity,
        replayed=[(log["log"], log) for log in parity["logs"]] if parity else [],
        limits=find_limits(bundle, dataset),
        settings=_settings(spec),
    )


FITTED = ("offset", "inv_scale", "limits.centre", "limits.whiten", "limits.distance")


def _settings(spec: PipelineSpec) -> dict[str, Any]:
    """The values of a spec by name, those of its tables too, without long fitted ones."""
    flat: dict[str, Any] = {}
    for name, value in spec.to_dict().items():
        flat |= {f"{name}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {name: value}
    return {name: _short(value) for name, value in flat.items() if name not in FITTED}


def _short(value: Any) -> Any:
    """Numbers without the digits that float32 does not have."""
    if isinstance(value, (list, tuple)):
        return [_short(each) for each in value]
    return f"{value:.6g}" if isinstance(value, float) else value


def timelines(bundle: ModelBundle, dataset: Dataset) -> Iterator[tuple[TrainedFlight, Timeline, Markup]]:
    """One or two test flights with their charts. None of flights with injected gusts: their windows are draws."""
    by_flight = bundle.manifest.metrics.int8.by_flight
    accuracy = {source: result.accuracy for source, result in by_flight.items()}
    for number, log_id in enumerate(choose_flights(dataset.flights, accuracy)):
        flight = dataset.flight(log_id)
        if (flight.response >= 0).any():
            continue
        timeline = build_timeline(bundle, flight)
        chart = charts.timeline_chart(timeline, bundle.spec, f"timeline-{number}")
        yield dataset.flights[log_id], timeline, chart
