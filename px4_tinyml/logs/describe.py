"""The output of `inspect` for a file: plain data, and text made from it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.errors import LogError, UnusableLogError
from px4_tinyml.flight_log import FlightLog, ReferenceSeries
from px4_tinyml.logs import read_log, sniff
from px4_tinyml.logs.checks import count, mean_rate_hz, rate_warnings, recorded_s
from px4_tinyml.logs.formats import FORMATS
from px4_tinyml.signal.slots import feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import count_windows
from px4_tinyml.units import US_PER_S

VERTICAL_SPEED_M_S = 0.5
"""Climbing or descending faster than this is not level (the autolabels' threshold, without hysteresis)."""
MAX_HOLD_S = 1.0
"""A reference sample counts for the time to the next one, but not across gaps."""
STREAM_PRESET, CAPTURE_PRESET = "default", "arduino119"
"""The specs that count windows and judge the IMU's rate: of a continuous recording, and of a complete capture."""


def describe_file(path: Path, presets: Mapping[str, PipelineSpec], column_map: Path | None = None) -> dict[str, Any]:
    """The `inspect --json` object of one file (keys: docs/logs.md), for a log that cannot be used too.

    presets: specs by name, STREAM_PRESET and CAPTURE_PRESET among them, which count the windows.
    """
    try:
        logs = read_log(path, column_map)
    except LogError as error:
        why, kind, facts, warnings = str(error).removeprefix(f"{path}: "), None, {}, tuple[str, ...]()
        if isinstance(error, UnusableLogError):
            why, kind, facts, warnings = error.why, error.kind, error.facts, error.warnings
        else:
            with suppress(LogError):
                kind = sniff(path).kind
        return {
            "file": str(path), "kind": kind, "usable": False, "why": why, "firmware": facts.get("firmware"),
            "topics": facts.get("topics"), "warnings": list(warnings), "recordings": [],
        }  # fmt: skip
    recordings = [describe_log(log, presets) for log in logs]
    best = max(recordings, key=lambda r: r["windows"]["count"])
    why = best["why"]
    if len(recordings) > 1 and best["usable"]:
        total = sum(r["windows"]["count"] for r in recordings)
        why = f"{count(total, 'window')} in {len(recordings)} recordings with preset {best['windows']['preset']}"
    return {
        "file": str(path),
        "kind": logs[0].kind,
        "usable": any(r["usable"] for r in recordings),
        "why": why,
        "firmware": logs[0].info.get("firmware"),
        "topics": logs[0].info.get("topics"),
        "warnings": list(dict.fromkeys(w for r in recordings for w in r["warnings"])),
        "recordings": recordings,
    }


def describe_log(log: FlightLog, presets: Mapping[str, PipelineSpec]) -> dict[str, Any]:
    """One recording as plain JSON data. presets: as of describe_file."""
    preset = CAPTURE_PRESET if log.complete else STREAM_PRESET
    spec = presets[preset]
    windows = count_windows(make_slots(feed(log, spec), spec), spec)
    usable, why = _usable(log, windows, preset, spec)
    baro = log.baro
    return {
        "source": log.source,
        "vehicle": log.vehicle,
        "vehicle_class": log.vehicle_class,
        "hardware": log.info.get("hardware"),
        "simulated": bool(log.info.get("simulated")),
        "recorded_s": round(recorded_s(log.imu), 3),
        "imu": {
            "source": log.info.get("imu_source"), "samples": len(log.imu),
            "rate_hz": round(mean_rate_hz(log.imu), 2), "span_s": round(log.imu.span_s, 3),
        },
        "baro": None if baro is None else {
            "source": log.info.get("baro_source"), "samples": len(baro), "rate_hz": round(baro.rate_hz, 2),
        },
        "reference": None if log.reference is None else _reference(log, log.reference),
        "labels": sorted({span.label for span in log.labels}),
        "gaps": {"count": len(log.gaps), "total_s": round(sum(g.end_us - g.start_us for g in log.gaps) / US_PER_S, 3)},
        "warnings": [*log.warnings, *rate_warnings(log.imu, spec, f"the {preset} spec")],
        "windows": {"preset": preset, "count": windows},
        "usable": usable,
        "why": why,
    }  # fmt: skip


def _reference(log: FlightLog, reference: ReferenceSeries) -> dict[str, Any]:
    step = np.diff(reference.timestamp_us.astype(np.int64), append=reference.timestamp_us[-1:].astype(np.int64))
    hold = np.clip(step / US_PER_S, 0.0, MAX_HOLD_S)
    up, speed = reference.airborne == 1, reference.velocity_down_m_s
    known = np.isfinite(speed)
    with np.errstate(invalid="ignore"):
        parts = {
            "climb": speed < -VERTICAL_SPEED_M_S, "descend": speed > VERTICAL_SPEED_M_S,
            "level": np.abs(speed) <= VERTICAL_SPEED_M_S, "unknown": ~known,
        }  # fmt: skip
    return {
        "vertical_speed": log.info.get("velocity_source"),
        "trusted_share": round(float(known.mean()), 3),
        "landed_known": bool((reference.airborne >= 0).any()),
        "armed_known": bool((reference.armed >= 0).any()),
        "edr_known": bool(np.isfinite(reference.edr_m23_s).any()),
        "wind_known": bool(np.isfinite(reference.wind_speed_m_s).any()),
        "airborne_s": round(float(hold[up].sum()), 1),
        **{f"{name}_s": round(float(hold[up & mask].sum()), 1) for name, mask in parts.items()},
    }


def _usable(log: FlightLog, windows: int, preset: str, spec: PipelineSpec) -> tuple[bool, str]:
    if not windows:
        rate = mean_rate_hz(log.imu)
        if rate < spec.min_imu_rate_hz:
            return False, (
                f"its IMU, at {rate:.1f} Hz, is too slow: {spec.min_imu_rate_hz:.0f} Hz or more "
                f"needed for {spec.rate_hz} Hz slots"
            )
        return False, f"no stretch of {spec.window / spec.rate_hz:.2f} s without a gap"
    text = f"{count(windows, 'window')} with preset {preset}"
    if log.labels:
        return True, text
    reference = log.reference
    if reference is None or not np.isfinite(reference.velocity_down_m_s).any():
        return True, f"{text}, to classify; to train, give labels: no vertical speed"
    if not (reference.airborne == 1).any():
        why = "never airborne" if (reference.airborne == 0).any() else "landed or not is unknown"
        return True, f"{text}, to classify; nothing to train on: {why}"
    return True, text


def render(file: dict[str, Any]) -> str:
    """Text for people, about ten lines per recording."""
    recordings, firmware = file["recordings"], file["firmware"]
    kind = next((f.name for f in FORMATS if f.kind == file["kind"]), "unknown")
    rows = [("kind", f"{kind}, {firmware}" if firmware else kind)]
    if not recordings and file["topics"]:
        topics = sorted(file["topics"].items(), key=lambda item: -item[1])
        rows.append(("holds", ", ".join(f"{name} {number}" for name, number in topics[:6])))
    if len(recordings) > 2:
        complete = sum(r["windows"]["preset"] == CAPTURE_PRESET for r in recordings)
        rows.append(("recordings", f"{len(recordings)}, {complete} of them complete; the first:"))
    for recording in recordings[: 1 if len(recordings) > 2 else 2]:
        rows += _recording_rows(recording, len(recordings) > 1)
    rows += [("warning", w) for w in file["warnings"]]
    rows.append(("usable", f"yes: {file['why']}" if file["usable"] else f"no, because {file['why']}"))
    return "\n".join([file["file"], *(f"  {name:<11}{text}" for name, text in rows)])


def _recording_rows(r: dict[str, Any], named: bool) -> list[tuple[str, str]]:
    imu, baro, reference, gaps = r["imu"], r["baro"], r["reference"], r["gaps"]
    recorded = f"{r['recorded_s']:.1f} s recorded"
    rows = [
        *([("recording", r["source"])] if named else []),
        ("vehicle", r["vehicle"] + (" (simulated)" if r["simulated"] else "")),
        ("IMU", f"{imu['source']}, {imu['samples']} samples at {imu['rate_hz']:.1f} Hz, {recorded}"),
        ("barometer", f"{baro['source']}, {baro['samples']} samples at {baro['rate_hz']:.1f} Hz" if baro else "none"),
        ("references", _reference_text(r, reference)),
    ]
    if reference is not None and reference["landed_known"]:
        shares = ", ".join(f"{name} {reference[f'{name}_s']:.0f}" for name in ("climb", "descend", "level", "unknown"))
        rows.append(("airborne", f"{reference['airborne_s']:.0f} s: {shares}"))
    rows.append(("gaps", f"{gaps['count']}, {gaps['total_s']:.2f} s in all" if gaps["count"] else "none"))
    return rows


def _reference_text(r: dict[str, Any], reference: dict[str, Any] | None) -> str:
    parts = []
    if reference is not None:
        if reference["vertical_speed"]:
            parts.append(f"vertical speed ({reference['vertical_speed']}, {reference['trusted_share']:.0%} trusted)")
        known = {"landed_known": "landed", "armed_known": "armed", "edr_known": "true EDR", "wind_known": "wind"}
        parts += [text for key, text in known.items() if reference[key]]
    if r["labels"]:
        parts.append(f"labels {', '.join(r['labels'])}")
    return ", ".join(parts) or "none"
