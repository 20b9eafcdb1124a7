"""Decisions as plain values and words: for CSV, JSON and people."""

from __future__ import annotations

from typing import Any

import numpy as np

from px4_tinyml.signal.air_decision import EDR_UNIT, EDR_UNKNOWN
from px4_tinyml.signal.decision import ONE_Q16, class_name
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.vertical import UNKNOWN_MM_S
from px4_tinyml.signal.windows import Reason

DECISION_KEYS = ("start_us", "end_us", "class", "confidence", "flags")
AIR_KEYS = ("edr_m23_s", "vertical_speed_m_s", "reason", "severity")
"""Further keys of a decision of a `bands` spec."""
SEVERITIES = (("severe", 0.45), ("moderate", 0.20), ("light", 0.10))
"""EDR in m^⅔/s from which turbulence has this word; light is above its value, not at it. ICAO Annex 3, appendix 4."""
CALM = "none"


def severity(edr_m23_s: float) -> str:
    """The word for an EDR: none, light, moderate or severe."""
    for word, least in SEVERITIES[:-1]:
        if edr_m23_s >= least:
            return word
    word, above = SEVERITIES[-1]
    return word if edr_m23_s > above else CALM


def reason_words(reasons: int) -> list[str]:
    """Words for bits of windows.Reason: on_ground, manoeuvring, …"""
    return [str(reason.name).lower() for reason in Reason if reasons & reason]


def describe_decision(decision: np.void, spec: PipelineSpec) -> dict[str, Any]:
    """A decision as plain values: DECISION_KEYS (times in µs, confidence 0…1), AIR_KEYS for a `bands` spec.

    edr_m23_s in m^⅔/s and its severity, vertical_speed_m_s up positive: None where not judged or unknown. reason:
    words joined by "+".
    """
    values = {
        "start_us": int(decision["start_us"]),
        "end_us": int(decision["end_us"]),
        "class": class_name(decision, spec),
        "confidence": round(int(decision["confidence_q16"]) / ONE_Q16, 6),
        "flags": int(decision["flags"]),
    }
    if spec.input == "samples":
        return values
    edr = edr_of(decision)
    return {
        **values,
        "edr_m23_s": edr,
        "vertical_speed_m_s": vertical_speed_of(decision),
        "reason": "+".join(reason_words(int(decision["reasons"]))),
        "severity": None if edr is None else severity(edr),
    }


def edr_of(decision: np.void) -> float | None:
    """Smoothed, calibrated EDR of a decision of a `bands` spec, m^⅔/s; None where it is not judged."""
    steps = int(decision["edr_e4"])
    return None if steps == EDR_UNKNOWN else round(steps * EDR_UNIT, 4)


def vertical_speed_of(decision: np.void) -> float | None:
    """Vertical speed of a decision of a `bands` spec, m/s, up positive; None where it is unknown."""
    speed = int(decision["vertical_mm_s"])
    return None if speed == UNKNOWN_MM_S else speed / 1000


def severity_text(edr_m23_s: float) -> str:
    """ "moderate, EDR est. 0.31", or "EDR est. 0.05" of calm air."""
    word = severity(edr_m23_s)
    return f"{f'{word}, ' if word != CALM else ''}EDR est. {edr_m23_s:.2f}"


def air_text(decision: np.void, spec: PipelineSpec) -> str:
    """ "moderate, EDR est. 0.31, +0.2 m/s, reduced_sensitivity"; empty for a `samples` spec."""
    if spec.input == "samples":
        return ""
    edr, speed = edr_of(decision), vertical_speed_of(decision)
    return ", ".join([
        *([] if edr is None else [severity_text(edr)]),
        *([] if speed is None else [f"{speed:+.1f} m/s"]),
        *reason_words(int(decision["reasons"])),
    ])  # fmt: skip
