"""Logs to a data set: cut into windows, label, split, check for leakage, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from px4_tinyml.bundle.manifest import Part
from px4_tinyml.dataset.autolabel import (
    BETWEEN,
    EXCLUDE,
    MANOEUVRING,
    check_labels,
    label_bands,
    label_counts,
    label_slots,
    label_windows,
    reason_code,
    reference_at,
    slot_middles,
)
from px4_tinyml.dataset.backgrounds import Background, Piece, read_background
from px4_tinyml.dataset.examples import InjectOptions, check_inject, make_examples
from px4_tinyml.dataset.spans import SpanRow, read_spans, rows_for, spans_for
from px4_tinyml.dataset.split import check_leakage, split
from px4_tinyml.dataset.store import (
    Dataset,
    FlightWindows,
    UnusedLog,
)
from px4_tinyml.dataset.write_dataset import Prepared, check_out, log_warnings, unique_names, write_dataset
from px4_tinyml.errors import DatasetError, LogError
from px4_tinyml.flight_log import FlightLog, LabelSpan
from px4_tinyml.logs import read_log
from px4_tinyml.logs.checks import rate_warnings
from px4_tinyml.progress import progress
from px4_tinyml.signal.classifier import is_judged
from px4_tinyml.signal.decimate import thinned
from px4_tinyml.signal.slots import feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.vertical import slope_m_s, speed_m_s
from px4_tinyml.signal.windows import Reason, make_windows, window_rows
from px4_tinyml.units import US_PER_S


@dataclass
class Collected:
    """Every flight that gave labelled windows, and every log that did not, with the reason."""

    flights: list[Prepared] = field(default_factory=list)
    unusable: list[UnusedLog] = field(default_factory=list)
    thinned_hz: float | None = None


def build_dataset(
    paths: Sequence[Path],
    spec: PipelineSpec,
    out: Path,
    *,
    labels: Path | None = None,
    column_map: Path | None = None,
    thinned_hz: float | None = None,
    seed: int = 0,
    inject: InjectOptions | None = None,
) -> Dataset:
    """Read logs, cut them into labelled windows, split by airframe or flight, and write a data set folder.

    paths: log files of any supported kind (`logs.find_logs` lists those of folders). spec: without offsets and scales.
    out: folder; a data set in it is replaced as a whole. labels: CSV file of label spans. column_map: TOML file for
    IMU CSV files. thinned_hz: add a copy of each log decimated to this rate, Hz. seed: of the split, and of what is
    drawn with inject: the data set is then calm flights with gusts injected, of a `bands` spec (docs/training.md).

    A log that cannot be used is listed in `about.unusable`. Raises DatasetError when no log gives a labelled window,
    fewer than three flights do, a flight is in two parts, or `out` cannot be written; SpecError for bad labels.
    """
    check_out(out)  # before the logs are read
    rows = read_spans(labels) if labels else []
    if inject is not None:
        return build_injected(paths, spec, out, rows, column_map, inject, seed)
    return build(collect(paths, spec, rows, column_map, thinned_hz), spec, out, seed)


def prepare(log: FlightLog, spec: PipelineSpec, spans: tuple[LabelSpan, ...] = (), flight: str = "") -> Prepared:
    """Labelled windows of one flight."""
    stream = make_slots(feed(log, spec), spec)
    raw = make_windows(stream, spec)
    middle = slot_middles(stream, spec)
    slot_labels = label_slots(log, middle, spec, spans)
    bands = spec.input == "bands"
    by_window = slot_labels[window_rows(raw.end_row, spec)]
    y = label_bands(by_window, raw.sparse, spec) if bands else label_windows(by_window, raw.sparse)
    y[(y >= BETWEEN) & (raw.reasons & Reason.MANOEUVRING > 0)] = reason_code(MANOEUVRING)
    keep = y >= BETWEEN
    end = raw.end_row[keep]
    altitude = np.where(stream.stale, np.float32(np.nan), stream.altitude_m)
    windows = FlightWindows(
        x=raw.x[keep],
        y=y[keep],
        start_us=raw.start_us[keep],
        baro_ok=raw.baro_ok[keep],
        altitude_m=altitude[end],
        velocity_down_m_s=reference_at(log, "velocity_down_m_s", middle[end]),
        edr_m23_s=reference_at(log, "edr_m23_s", middle[end - spec.window // 2 if bands else end]),
        response=np.full(len(end), -1, np.int32),
        vertical_speed_m_s=speed_m_s(raw.vertical_mm_s[keep]),
        baro_slope_m_s=slope_m_s(stream, end, raw.baro_ok[keep], spec),
    )
    return Prepared(flight or log.source, log, windows, label_counts(y, spec), stream.resets)


def collect(
    paths: Sequence[Path],
    spec: PipelineSpec,
    rows: list[SpanRow],
    column_map: Path | None = None,
    thinned_hz: float | None = None,
) -> Collected:
    """Read and prepare every log; thinned_hz adds a copy decimated to that rate.

    A log that cannot be used is listed in `unusable`.
    """
    check_labels(spec)
    result = Collected(thinned_hz=thinned_hz)
    for log, spans, key in recordings(paths, rows, column_map, result.unusable):
        for recording in (log, thinned(log, thinned_hz) if thinned_hz else None):
            if recording is None:
                continue
            flight = prepare(recording, spec, spans, key)
            if (flight.windows.y >= 0).any():
                result.flights.append(flight)
            else:
                result.unusable.append(UnusedLog(recording.source, _why_unlabelled(flight, spec)))
    return result


def recordings(
    paths: Sequence[Path], rows: list[SpanRow], column_map: Path | None, unusable: list[UnusedLog]
) -> Iterator[tuple[FlightLog, tuple[LabelSpan, ...], str]]:
    """Every recording of the files once, its spans, and the key of its flight. Damaged files and copies: `unusable`.

    Raises DatasetError at the end when a row of spans names none of them.
    """
    seen: dict[str, str] = {}
    used_rows: set[int] = set()
    for path in progress(paths, "reading logs", unit="log"):
        try:
            logs = read_log(path, column_map)
        except LogError as error:
            unusable.append(UnusedLog(str(path), str(error).removeprefix(f"{path}: ")))
            used_rows.update(row.line for row in rows_for(str(path), rows))
            continue
        for log in logs:
            part = log.source.removeprefix(str(path))
            key = f"{log.sha256}{part}"
            first = seen.setdefault(key, log.source)
            if first != log.source:
                unusable.append(UnusedLog(log.source, f"the same file as {first}"))
                continue
            named = rows_for(log.source, rows)
            used_rows.update(row.line for row in named)
            yield log, spans_for(log, named), key
    unused = [row for row in rows if row.line not in used_rows]
    if unused:
        raise DatasetError(
            f"labels: line {unused[0].line} names {unused[0].pattern!r}, which matches no log that is used; "
            f"logs given: {', '.join(p.name for p in paths[:5])}{' …' if len(paths) > 5 else ''}"
        )


def _why_unlabelled(flight: Prepared, spec: PipelineSpec) -> str:
    """Why a flight has no labelled window."""
    found = {name: n for name, n in flight.counts.items() if n}
    if not found:
        imu = flight.log.imu
        resets = "".join(f", {n} resets: {cause}" for cause, n in flight.resets.items() if n)
        warnings = "".join(f"; {warning}" for warning in log_warnings(flight, spec)[:1])
        return f"no complete window (IMU {imu.rate_hz:.1f} Hz, {imu.span_s:.1f} s{resets}){warnings}"
    why = ", ".join(f"{n} {name}" for name, n in sorted(found.items(), key=lambda item: -item[1]))
    unknown = sorted({span.label for span in flight.log.labels} - {*spec.labels, EXCLUDE})
    if unknown:
        why += f"; the file's own label {unknown[0]!r} is not one of the spec's ({', '.join(spec.labels)})"
    why += "".join(f"; {warning}" for warning in rate_warnings(flight.log.imu, spec))
    return f"{sum(found.values())} windows, none with a label: {why}"


def build(collected: Collected, spec: PipelineSpec, out: Path, seed: int) -> Dataset:
    """Split, check for leakage and write the data set."""
    flights = collected.flights
    if not flights:
        raise DatasetError(f"no labelled window in any log ({_first(collected.unusable)})")
    counts = np.array([[(f.windows.y == c).sum() for c in range(len(spec.labels))] for f in flights])
    parts, split_by = split([f.log.vehicle for f in flights], [f.flight for f in flights], counts, seed)
    names = unique_names([f.log.source for f in flights])
    check_leakage(parts, names, [f.windows.x for f in flights])

    return write_dataset(out, spec, flights, parts, names, split_by, seed, collected.unusable, collected.thinned_hz)


def build_injected(
    paths: Sequence[Path],
    spec: PipelineSpec,
    out: Path,
    rows: list[SpanRow],
    column_map: Path | None,
    options: InjectOptions,
    seed: int,
) -> Dataset:
    """Inject gusts into the calm stretches of logs, and write the data set of these examples."""
    check_labels(spec)
    check_inject(spec)
    backgrounds: list[Background] = []
    unusable: list[UnusedLog] = []
    for log, spans, key in recordings(paths, rows, column_map, unusable):
        if not is_judged(log.vehicle_class):
            unusable.append(UnusedLog(log.source, f"a {log.vehicle_class} vehicle; gust responses are of multirotors"))
            continue
        background = read_background(log, spans, key, spec)
        if background.seconds:
            backgrounds.append(background)
        else:
            left_out = "".join(f", {seconds:.1f} s {why}" for why, seconds in background.left_out.items())
            why = left_out.removeprefix(", ") or f"IMU {log.imu.rate_hz:.1f} Hz, {log.imu.span_s:.1f} s"
            unusable.append(UnusedLog(log.source, f"no background ({why})"))
    if not backgrounds:
        raise DatasetError(f"no background in any log ({_first(unusable)})")
    made, split_by, summary = make_examples(backgrounds, spec, options, seed)
    pieces = [examples.piece for examples in made]
    parts, names = [piece.part for piece in pieces], _piece_names(pieces, spec)
    check_leakage(parts, names, (p.background.full.windows(p.low, p.high, spec) for p in pieces))
    flights: list[tuple[Prepared, Part, str]] = []
    for examples, part, name in zip(made, parts, names, strict=True):
        b = examples.piece.background
        if (examples.windows.y >= 0).any():
            flights.append((Prepared(b.flight, b.log, examples.windows, examples.counts, b.resets), part, name))
        else:
            counts = ", ".join(f"{n} {why}" for why, n in examples.counts.items() if n) or "none drawn"
            unusable.append(UnusedLog(name, f"no example with a label: {counts}"))
    if not flights:
        raise DatasetError(f"no example with a label ({_first(unusable[-len(made) :])})")
    prepared, parts, names = (list(column) for column in zip(*flights, strict=True))
    return write_dataset(out, spec, prepared, parts, names, split_by, seed, unusable, inject=summary)


def _piece_names(pieces: Sequence[Piece], spec: PipelineSpec) -> list[str]:
    """Names of flights, with the time from the first IMU sample where a flight is in several parts."""
    logs = {piece.background.log.source: piece.background.log for piece in pieces}
    short = dict(zip(logs, unique_names(list(logs)), strict=True))
    several = {source for source, n in Counter(p.background.log.source for p in pieces).items() if n > 1}

    def seconds(slot: int, log: FlightLog) -> float:
        return max(spec.slot_start_us(slot) - int(log.imu.timestamp_us.min()), 0) / US_PER_S

    names = []
    for piece in pieces:
        log = piece.background.log
        span = f" {seconds(piece.low, log):.1f}-{seconds(piece.high, log):.1f} s" if log.source in several else ""
        names.append(short[log.source] + span)
    return names


def _first(unusable: Sequence[UnusedLog]) -> str:
    return "; ".join(f"{log.source}: {log.why}" for log in unusable[:3])
