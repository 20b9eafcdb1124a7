"""What training adds to a `bands` spec beside the scaling: the limits of the familiar, and the EDR curve."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from px4_tinyml.flight_log import F32, F64, I8
from px4_tinyml.signal.spec_tables import EdrSpec, LimitsSpec

FAMILIAR_SHARE = 0.9995
"""Of the training windows that are not unfamiliar."""
SMALLEST_SPREAD = 4.0
"""int8 steps added to the spread in every direction: features that hardly differ do not make a window unfamiliar."""
LARGEST_INTEGER = 32767
CURVE_FROM_READ = 0.05
"""The curve is fitted to windows that are read higher than this, m^⅔/s."""
CURVE_POINTS = 10
UNCHANGED_EDR = 0.03
"""Below the fitted points the curve falls to here, where it changes nothing."""
LEAST_WINDOWS = 20
"""In each point of the curve."""


def fit_limits(limits: LimitsSpec, inputs: I8) -> LimitsSpec:
    """Limits with the centre and spread of the network's inputs int8[W, F] of the training part.

    whiten is lower triangular with |whiten·d|² = k·dᵀC⁻¹d (C: covariance, k: a scale that uses the integers).
    """
    centre = np.rint(inputs.mean(axis=0, dtype=np.float64)).astype(np.int64)
    away = inputs.astype(np.float64) - centre
    covariance = away.T @ away / len(away) + SMALLEST_SPREAD**2 * np.eye(inputs.shape[1])
    lower = np.linalg.inv(np.linalg.cholesky(covariance))
    whiten = np.rint(np.tril(lower * (LARGEST_INTEGER / np.abs(lower).max()))).astype(np.int64)
    distance = ((away.astype(np.int64) @ whiten.T) ** 2).sum(axis=1)
    return replace(
        limits,
        centre=tuple(centre.tolist()),
        whiten=tuple(whiten[np.tril_indices(len(whiten))].tolist()),
        distance=math.ceil(float(np.quantile(distance, FAMILIAR_SHARE))),
    )


def fit_curve(edr: EdrSpec, ln_read: F32 | F64, true_m23_s: F32) -> EdrSpec:
    """EDR spec with the curve from what the network reads to what it means.

    Windows in CURVE_POINTS groups of equal size by what is read: the medians of both, made rising. Unchanged with too
    few windows. (On simulated flights, from EDR 0.15 up, this is within ×1.4 at 68 % and ×1.8 at 90 %; without a curve
    ×1.7 and ×2.5. Fitted to windows with gusts only it is nearer there, but calm air reads 0.14.)
    """
    chosen = ln_read >= math.log(CURVE_FROM_READ)
    read, true = np.exp(ln_read[chosen].astype(np.float64)), true_m23_s[chosen].astype(np.float64)
    if len(read) < LEAST_WINDOWS * CURVE_POINTS:
        return edr
    groups = np.array_split(np.argsort(read, kind="stable"), CURVE_POINTS)
    points = [(UNCHANGED_EDR, UNCHANGED_EDR)]
    for group in groups:
        x, y = float(np.median(read[group])), float(np.median(true[group]))
        last_x, last_y = points[-1]
        if x > 1.01 * last_x:
            points.append((x, max(y, 1.001 * last_y)))
    rising = np.round(points, 6)
    return replace(edr, read=tuple(rising[:, 0].tolist()), true=tuple(rising[:, 1].tolist()))
