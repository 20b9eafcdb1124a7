"""Logs to a data set: cut into windows, label, split, check for leakage, write."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from px4_tinyml import __version__
from px4_tinyml.bundle.manifest import Part, WindowCounts
from px4_tinyml.dataset.autolabel import (
    BETWEEN,
    BETWEEN_NAME,
    EXCLUDE,
    MANOEUVRING,
    REASONS,
    check_labels,
    label_bands,
    label_counts,
    label_slots,
    label_windows,
    reason_code,
    reference_rows,
)
from px4_tinyml.dataset.spans import SpanRow, file_and_part, read_spans, rows_for, spans_for
from px4_tinyml.dataset.split import PARTS, check_leakage, split
from px4_tinyml.dataset.store import (
    DATASET_FILE,
    DATASET_VERSION,
    FLIGHTS_FOLDER,
    Dataset,
    Description,
    FlightEntry,
    FlightWindows,
    UnusedLog,
    write_flight,
)
from px4_tinyml.errors import DatasetError, LogError
from px4_tinyml.files import write_json
from px4_tinyml.flight_log import F32, U64, FlightLog, LabelSpan
from px4_tinyml.logs import read_log
from px4_tinyml.logs.checks import rate_warnings
from px4_tinyml.progress import progress
from px4_tinyml.signal.decimate import thinned
from px4_tinyml.signal.slots import feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.vertical import slope_m_s, speed_m_s
from px4_tinyml.signal.windows import Reason, make_windows, window_rows


@dataclass
class Prepared:
    """One flight ready to be stored. counts: its complete windows by label, or by the reason why they have no label.

    flight: key of the flight; recordings with one key stay in one part of the split.
    """

    flight: str
    log: FlightLog
    windows: FlightWindows
    counts: Mapping[str, int]
    resets: Mapping[str, int]


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
) -> Dataset:
    """Read logs, cut them into labelled windows, split by airframe or flight, and write a data set folder.

    paths: log files of any supported kind (`logs.find_logs` lists those of folders). spec: without offsets and scales.
    out: folder; a data set in it is replaced as a whole. labels: CSV file of label spans. column_map: TOML file for
    IMU CSV files. thinned_hz: add a copy of each log decimated to this rate, Hz. seed: of the split.

    A log that cannot be used is listed in `about.unusable`. Raises DatasetError when no log gives a labelled window,
    fewer than three flights do, a flight is in two parts, or `out` cannot be written; SpecError for bad labels.
    """
    check_out(out)  # before the logs are read
    rows = read_spans(labels) if labels else []
    return build(collect(paths, spec, rows, column_map, thinned_hz), spec, out, seed)


def prepare(log: FlightLog, spec: PipelineSpec, spans: tuple[LabelSpan, ...] = (), flight: str = "") -> Prepared:
    """Labelled windows of one flight."""
    stream = make_slots(feed(log, spec), spec)
    raw = make_windows(stream, spec)
    half_slot = np.uint64(500_000 // spec.rate_hz)
    middle = np.array([spec.slot_start_us(k) for k in stream.index.tolist()], np.uint64) + half_slot
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
        velocity_down_m_s=_reference_at(log, "velocity_down_m_s", middle[end]),
        edr_m23_s=_reference_at(log, "edr_m23_s", middle[end - spec.window // 2 if bands else end]),
        response=np.full(len(end), -1, np.int32),
        vertical_speed_m_s=speed_m_s(raw.vertical_mm_s[keep]),
        baro_slope_m_s=slope_m_s(stream, end, raw.baro_ok[keep], spec),
    )
    return Prepared(flight or log.source, log, windows, label_counts(y, spec), stream.resets)


def _reference_at(log: FlightLog, name: str, time_us: U64) -> F32:
    """Value of a reference field at given times; NaN where the reference is missing or too old."""
    if log.reference is None or not len(log.reference):
        return np.full(len(time_us), np.nan, np.float32)
    row, fresh = reference_rows(log.reference, time_us)
    return np.where(fresh, getattr(log.reference, name)[row], np.float32(np.nan))


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
    seen: dict[str, str] = {}
    used_rows: set[int] = set()
    for path in progress(paths, "reading logs", unit="log"):
        try:
            logs = read_log(path, column_map)
        except LogError as error:
            result.unusable.append(UnusedLog(str(path), str(error).removeprefix(f"{path}: ")))
            used_rows.update(row.line for row in rows_for(str(path), rows))
            continue
        for log in logs:
            part = log.source.removeprefix(str(path))
            key = f"{log.sha256}{part}"
            first = seen.setdefault(key, log.source)
            if first != log.source:
                result.unusable.append(UnusedLog(log.source, f"the same file as {first}"))
                continue
            named = rows_for(log.source, rows)
            used_rows.update(row.line for row in named)
            spans = spans_for(log, named)
            for recording in (log, thinned(log, thinned_hz) if thinned_hz else None):
                if recording is None:
                    continue
                flight = prepare(recording, spec, spans, key)
                if (flight.windows.y >= 0).any():
                    result.flights.append(flight)
                else:
                    result.unusable.append(UnusedLog(recording.source, _why_unlabelled(flight, spec)))
    unused = [row for row in rows if row.line not in used_rows]
    if unused:
        raise DatasetError(
            f"labels: line {unused[0].line} names {unused[0].pattern!r}, which matches no log that is used; "
            f"logs given: {', '.join(p.name for p in paths[:5])}{' …' if len(paths) > 5 else ''}"
        )
    return result


def _why_unlabelled(flight: Prepared, spec: PipelineSpec) -> str:
    """Why a flight has no labelled window."""
    found = {name: n for name, n in flight.counts.items() if n}
    if not found:
        imu = flight.log.imu
        resets = "".join(f", {n} resets: {cause}" for cause, n in flight.resets.items() if n)
        warnings = "".join(f"; {warning}" for warning in _warnings(flight, spec)[:1])
        return f"no complete window (IMU {imu.rate_hz:.1f} Hz, {imu.span_s:.1f} s{resets}){warnings}"
    why = ", ".join(f"{n} {name}" for name, n in sorted(found.items(), key=lambda item: -item[1]))
    unknown = sorted({span.label for span in flight.log.labels} - {*spec.labels, EXCLUDE})
    if unknown:
        why += f"; the file's own label {unknown[0]!r} is not one of the spec's ({', '.join(spec.labels)})"
    return f"{sum(found.values())} windows, none with a label: {why}"


def unique_names(sources: Sequence[str]) -> list[str]:
    """A short name for each log: its file name, with as many parent folders as make it unique."""
    split_up = [file_and_part(source) for source in sources]
    deepest = max((len(PurePath(file).parts) for file, _ in split_up), default=0)
    tails = [
        [str(PurePath(*PurePath(file).parts[-depth:])) + part for file, part in split_up]
        for depth in range(1, deepest + 1)
    ]
    counts = [Counter(names) for names in tails]
    return [
        next((names[i] for names, count in zip(tails, counts, strict=True) if count[names[i]] == 1), source)
        for i, source in enumerate(sources)
    ]


def build(collected: Collected, spec: PipelineSpec, out: Path, seed: int) -> Dataset:
    """Split, check for leakage and write the data set."""
    flights = collected.flights
    if not flights:
        why = "; ".join(f"{log.source}: {log.why}" for log in collected.unusable[:3])
        raise DatasetError(f"no labelled window in any log ({why})")
    counts = np.array([[(f.windows.y == c).sum() for c in range(len(spec.labels))] for f in flights])
    parts, split_by = split([f.log.vehicle for f in flights], [f.flight for f in flights], counts, seed)
    names = unique_names([f.log.source for f in flights])
    check_leakage(parts, names, [f.windows.x for f in flights])

    with _replacing(out) as folder:
        entries = []
        for i, (flight, name, part) in enumerate(zip(flights, names, parts, strict=True)):
            stem = re.sub(r"[^A-Za-z0-9_.#-]", "_", PurePath(name).name)[-100:]
            file = f"{FLIGHTS_FOLDER}/{i:04d}_{stem}.parquet"
            sha256 = write_flight(folder / file, flight.windows, spec)
            entries.append(_entry(flight, spec, file, sha256, name, part))
        about = Description(
            dataset_version=DATASET_VERSION,
            px4_tinyml=__version__,
            spec=spec.to_dict(),
            spec_hash=spec.hash,
            labels=spec.labels,
            seed=seed,
            split_by=split_by,
            thinned_hz=collected.thinned_hz,
            counts=_totals(entries, spec),
            flights=tuple(entries),
            unusable=tuple(collected.unusable),
        )
        write_json(folder / DATASET_FILE, about, indent=1)
    return Dataset(out, spec, about)


def check_out(out: Path) -> None:
    """DatasetError when a data set cannot be written there, or something else would be overwritten."""
    try:
        if out.exists() and not (out / DATASET_FILE).exists() and any(out.iterdir()):
            raise DatasetError(f"{out}: exists and is not a data set; give another folder")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written ({error.strerror}); give another folder") from error


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder whose content replaces the data set in `out` once it is complete."""
    check_out(out)
    with tempfile.TemporaryDirectory(dir=out, prefix="new-") as new:
        folder = Path(new)
        (folder / FLIGHTS_FOLDER).mkdir()
        yield folder
        (out / DATASET_FILE).unlink(missing_ok=True)  # first: what an interrupt leaves must not load
        shutil.rmtree(out / FLIGHTS_FOLDER, ignore_errors=True)
        for name in (FLIGHTS_FOLDER, DATASET_FILE):
            (folder / name).rename(out / name)


def _entry(flight: Prepared, spec: PipelineSpec, file: str, file_sha256: str, source: str, part: Part) -> FlightEntry:
    counts = flight.counts
    return FlightEntry(
        file=file,
        file_sha256=file_sha256,
        source=source,
        part=part,
        sha256=flight.log.sha256,
        kind=flight.log.kind,
        vehicle=flight.log.vehicle,
        labels={name: counts[name] for name in spec.labels},
        between=counts[BETWEEN_NAME],
        without_baro=int((~flight.windows.baro_ok).sum()),
        dropped={reason: counts[reason] for reason in REASONS if counts[reason] and reason != BETWEEN_NAME},
        resets=dict(flight.resets),
        warnings=_warnings(flight, spec),
    )


def _warnings(flight: Prepared, spec: PipelineSpec) -> tuple[str, ...]:
    return (*flight.log.warnings, *rate_warnings(flight.log.imu, spec))


def _totals(entries: Sequence[FlightEntry], spec: PipelineSpec) -> WindowCounts:
    dropped: Counter[str] = Counter()
    resets: Counter[str] = Counter()
    windows: dict[Part, dict[str, int]] = {part: dict.fromkeys(spec.labels, 0) for part in PARTS}
    for entry in entries:
        dropped.update(entry.dropped)
        resets.update(entry.resets)
        for name, n in entry.labels.items():
            windows[entry.part][name] += n
    return WindowCounts(windows, sum(entry.between for entry in entries), dict(dropped), dict(resets))
