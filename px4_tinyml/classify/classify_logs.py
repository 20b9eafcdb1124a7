"""Recorded logs through a classifier: decisions, seconds by class, and a ranking of several logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.tally import Tally
from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.signal.classifier import Classification
from px4_tinyml.signal.decimate import ADVICE, REDUCED, is_thinned
from px4_tinyml.signal.decision import UNCERTAIN_NAME, probabilities
from px4_tinyml.signal.decision_values import describe_decision, severity_text
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.windows import Reason

log = logging.getLogger(__name__)

NAME_WIDTH = 44


@dataclass(frozen=True)
class LogSummary:
    """One log in figures. seconds: by class, with "uncertain"; counts: signal.classifier.COUNTERS.

    Of a `bands` spec: uncertain_seconds by reason (a window may have several), and the largest EDR of its turbulence,
    m^⅔/s, None without.
    """

    name: str
    windows: int
    seconds: dict[str, float]
    counts: dict[str, int]
    uncertain_seconds: Mapping[str, float] = field(default_factory=dict)
    edr_m23_s: float | None = None

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {s:.1f} s" for reason, s in self.uncertain_seconds.items())
        notes = {
            TURBULENCE_LABEL: "" if self.edr_m23_s is None else f", {severity_text(self.edr_m23_s)}",
            UNCERTAIN_NAME: f" ({reasons})" if reasons else "",
        }
        times = ", ".join(f"{name} {s:.1f} s{notes.get(name, '')}" for name, s in self.seconds.items() if s)
        problems = ", ".join(f"{n} {key}" for key, n in self.counts.items() if n and key != "decisions")
        return f"{times or 'no complete window'}{f' ({problems})' if problems else ''}"

    def share(self, *names: str) -> float:
        """Share of some classes in all windows, 0…1; 0 without a window."""
        return sum(self.seconds[name] for name in names) / (sum(self.seconds.values()) or 1.0)


@dataclass(frozen=True)
class ClassifiedLog:
    """One recording. name: as in FlightLog.source."""

    name: str
    result: Classification
    spec: PipelineSpec

    @property
    def summary(self) -> LogSummary:
        """Its figures."""
        result, tally = self.result, Tally(self.spec)
        for decision in result.decisions:
            tally.add(decision)
        seconds = result.seconds(self.spec)
        return LogSummary(self.name, len(result), seconds, result.counts, tally.uncertain_seconds, tally.edr_m23_s)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Decisions as plain values; confidence and probabilities 0…1."""
        for decision in self.result.decisions:
            by_label = {f"p_{label}": p for label, p in probabilities(decision, self.spec).items()}
            yield {**describe_decision(decision, self.spec), **by_label}

    def as_json(self) -> dict[str, Any]:
        """This log's part of the JSON document."""
        summary = self.summary
        air = {"uncertain_seconds": summary.uncertain_seconds, "edr_m23_s": summary.edr_m23_s}
        return {
            "log": self.name,
            "windows": summary.windows,
            "seconds": summary.seconds,
            **(air if self.spec.input == "bands" else {}),
            "counts": summary.counts,
            "decisions": list(self.rows()),
        }


def classify_logs(
    bundle: ModelBundle,
    logs: Sequence[str],
    columns: Path | None,
    unusable: list[dict[str, str]],
    engine: str = "numpy",
) -> Iterator[ClassifiedLog]:
    """Log by log, with a line in the log about each. Logs that cannot be used are appended to `unusable`.

    engine: numpy or tflm. Raises ToolchainError where it cannot run.
    """
    classifier = bundle.classifier(engine)
    for path in find_logs(logs):
        try:
            flights = read_log(path, columns)
        except LogError as error:
            log.error("%s", error)
            unusable.append({"log": str(path), "error": str(error)})
            continue
        for flight in flights:
            classified = ClassifiedLog(flight.source, classifier.classify(flight), bundle.spec)
            _warn_if_decimated(flight, classified.result, bundle)
            log.info("%s: %s", flight.source, classified.summary)
            yield classified


def _warn_if_decimated(flight: FlightLog, result: Classification, bundle: ModelBundle) -> None:
    """One line for a log whose IMU samples were dropped without a filter."""
    if bundle.spec.input == "bands":
        reduced = result.reasons & Reason.REDUCED_SENSITIVITY != 0
        if 2 * reduced.sum() > len(reduced):
            log.warning("%s: %s", flight.source, REDUCED % flight.imu.rate_hz)
        return
    imu_source, imu_hz = str(flight.info.get("imu_source")), flight.imu.rate_hz
    if not bundle.for_thinned and is_thinned(imu_source, imu_hz, bundle.spec):
        log.warning("%s: %.0f HIGHRES_IMU a second %s", flight.source, imu_hz, ADVICE)


def ranked_table(logs: Sequence[LogSummary], spec: PipelineSpec) -> str:
    """A row per log: name, windows, seconds by class, share of uncertain windows.

    Ranked by the share of turbulence; of bundles without that class, by the share of all classes but the first.
    """
    labels = spec.labels
    by = (TURBULENCE_LABEL,) if TURBULENCE_LABEL in labels else labels[1:]
    ranked = sorted(logs, key=lambda item: (-item.share(*by), -item.share(UNCERTAIN_NAME), item.name))
    width = max(12, *(len(label) + 2 for label in labels))
    head = "".join(f"{label:>{width}}" for label in labels)
    lines = [f"{'log':{NAME_WIDTH}}{'windows':>9}{head}{UNCERTAIN_NAME:>12}"]
    for item in ranked:
        times = "".join(f"{f'{item.seconds[label]:.1f} s':>{width}}" for label in labels)
        name = item.name if len(item.name) < NAME_WIDTH else f"…{item.name[2 - NAME_WIDTH :]}"
        lines.append(f"{name:{NAME_WIDTH}}{item.windows:9}{times}{100 * item.share(UNCERTAIN_NAME):10.0f} %")
    return "\n".join(lines)
