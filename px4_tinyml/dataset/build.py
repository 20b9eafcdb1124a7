"""Logs to a data set: preprocess, label, count what is left out, split, check, write."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml import __version__
from px4_tinyml.collect import read_log
from px4_tinyml.dataset import preprocess
from px4_tinyml.dataset.autolabel import label_slots, label_windows
from px4_tinyml.dataset.spans import SpanRow, spans_for
from px4_tinyml.dataset.split import PARTS, check_leakage, split
from px4_tinyml.dataset.store import DATASET_FILE, DATASET_VERSION, FlightWindows, write_flight
from px4_tinyml.errors import DatasetError, LogError
from px4_tinyml.progress import progress
from px4_tinyml.spec import PipelineSpec
from px4_tinyml.types import F32, U64, FlightLog, LabelSpan


@dataclass
class Prepared:
    """One flight ready to be stored, and what was left out of it."""

    log: FlightLog
    windows: FlightWindows
    resets: dict[str, int]
    dropped: Counter[str]
    total: int


@dataclass
class Collected:
    """Every flight that gave labelled windows, and every log that did not, with the reason."""

    flights: list[Prepared] = field(default_factory=list)
    unusable: list[dict[str, str]] = field(default_factory=list)


def prepare(log: FlightLog, spec: PipelineSpec, spans: tuple[LabelSpan, ...] = ()) -> Prepared:
    """Windows of one flight with their labels."""
    stream = preprocess.slots(preprocess.feed(log, spec), spec)
    raw = preprocess.windows(stream, spec)
    half_slot = np.uint64(500_000 // spec.rate_hz)
    middle = np.array([spec.slot_start_us(k) for k in stream.index.tolist()], np.uint64) + half_slot
    slot_labels = label_slots(log, middle, spec, spans)
    window_rows = raw.end_row[:, None] + np.arange(1 - spec.window, 1)
    labels = label_windows(slot_labels[window_rows], raw.sparse)
    keep = labels.y >= -1
    end = raw.end_row[keep]
    altitude = np.where(stream.stale, np.float32(np.nan), stream.altitude_m)
    flight = FlightWindows(
        x=raw.x[keep],
        y=labels.y[keep],
        start_us=raw.start_us[keep],
        baro_ok=raw.baro_ok[keep],
        altitude_m=altitude[end],
        velocity_down_m_s=_reference_at(log, "velocity_down_m_s", middle[end]),
        edr_m23_s=_reference_at(log, "edr_m23_s", middle[end]),
    )
    return Prepared(log, flight, stream.resets, labels.dropped, len(raw))


def _reference_at(log: FlightLog, name: str, time_us: U64) -> F32:
    """Value of a reference field held at some times; NaN where there is none."""
    values = np.full(len(time_us), np.nan, np.float32)
    if log.reference is not None and len(log.reference):
        at = np.searchsorted(log.reference.timestamp_us, time_us, side="right") - 1
        values[at >= 0] = getattr(log.reference, name)[at[at >= 0]]
    return values


def collect(paths: list[Path], spec: PipelineSpec, rows: list[SpanRow], column_map: Path | None = None) -> Collected:
    """Read and prepare every log; a log that cannot be used is noted, not fatal."""
    result = Collected()
    seen: dict[str, str] = {}
    used_rows: set[int] = set()
    for path in progress(paths, "reading logs", unit="log"):
        try:
            logs = read_log(path, column_map)
        except LogError as error:
            result.unusable.append({"source": str(path), "why": str(error)})
            continue
        for log in logs:
            part = log.source.partition("#")[2]
            twin = seen.setdefault(f"{log.sha256}#{part}", log.source)
            if twin != log.source:
                result.unusable.append({"source": log.source, "why": f"the same file as {twin}"})
                continue
            spans, used = spans_for(log, rows)
            used_rows.update(row.line for row in used)
            flight = prepare(log, spec, spans)
            if (flight.windows.y >= 0).any():
                result.flights.append(flight)
            else:
                result.unusable.append({"source": log.source, "why": _why_nothing(flight)})
    unused = [row for row in rows if row.line not in used_rows]
    if unused:
        raise DatasetError(
            f"labels: no log is named {unused[0].pattern!r} (line {unused[0].line}); "
            f"logs read: {', '.join(p.name for p in paths[:5])}{' …' if len(paths) > 5 else ''}"
        )
    return result


def _why_nothing(flight: Prepared) -> str:
    if flight.total == 0:
        imu = flight.log.imu
        return f"no complete window (IMU {imu.rate_hz:.1f} Hz, {imu.span_s:.1f} s, resets {flight.resets})"
    reasons = ", ".join(f"{n} {why}" for why, n in flight.dropped.most_common()) or "only EDR in between"
    return f"{flight.total} windows, none with a label: {reasons}"


def build(collected: Collected, spec: PipelineSpec, out: Path, seed: int) -> dict[str, Any]:
    """Split, check and write; returns what `dataset.json` says."""
    flights = collected.flights
    if not flights:
        why = "; ".join(f"{u['source']}: {u['why']}" for u in collected.unusable[:3])
        raise DatasetError(f"no labelled window in any log ({why})")
    counts = np.array([[(f.windows.y == c).sum() for c in range(len(spec.labels))] for f in flights])
    parts, split_by = split([f.log.vehicle for f in flights], counts, seed)
    check_leakage(parts, [f.log.source for f in flights], [f.windows.x for f in flights])

    files = out / "flights"
    if (out / DATASET_FILE).exists():
        shutil.rmtree(files, ignore_errors=True)  # of the data set that is replaced, and of that only
    elif out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out}: exists and is not a data set; give another folder")
    files.mkdir(parents=True, exist_ok=True)
    entries = []
    for i, (flight, part) in enumerate(zip(flights, parts, strict=True)):
        name = re.sub(r"[^A-Za-z0-9_.#-]", "_", Path(flight.log.source).name)
        file = f"flights/{i:04d}_{name}.parquet"
        write_flight(out / file, flight.windows, spec)
        entries.append(_describe(flight, file, part, spec))
    about = {
        "dataset_version": DATASET_VERSION,
        "px4_tinyml": __version__,
        "spec": spec.to_dict(),
        "spec_hash": spec.hash,
        "labels": list(spec.labels),
        "seed": seed,
        "split_by": split_by,
        "counts": _totals(entries, spec),
        "flights": entries,
        "unusable": collected.unusable,
    }
    (out / DATASET_FILE).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return about


def _describe(flight: Prepared, file: str, part: str, spec: PipelineSpec) -> dict[str, Any]:
    y = flight.windows.y
    return {
        "file": file,
        "source": Path(flight.log.source).name,
        "sha256": flight.log.sha256,
        "kind": flight.log.kind,
        "vehicle": flight.log.vehicle,
        "part": part,
        "labels": {name: int((y == i).sum()) for i, name in enumerate(spec.labels)},
        "between": int((y == -1).sum()),
        "without_baro": int((~flight.windows.baro_ok).sum()),
        "dropped": dict(flight.dropped),
        "resets": flight.resets,
        "warnings": list(flight.log.warnings),
    }


def _totals(entries: list[dict[str, Any]], spec: PipelineSpec) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    resets: Counter[str] = Counter()
    for entry in entries:
        dropped.update(entry["dropped"])
        resets.update(entry["resets"])
    by_part = {
        part: {name: sum(e["labels"][name] for e in entries if e["part"] == part) for name in spec.labels}
        for part in PARTS
    }
    between = sum(e["between"] for e in entries)
    return {"windows": by_part, "between": between, "dropped": dict(dropped), "resets": dict(resets)}
