"""What else could decide the same windows: the barometer's slope, boosted trees, a formula for EDR.

Each is scored beside the network (evaluation.py). docs/training.md describes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.dataset.autolabel import SLOPE_M_S
from px4_tinyml.dataset.store import Windows
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import F64, I64
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training import baselines
from px4_tinyml.training.decided import vertical_labels, with_vertical
from px4_tinyml.training.fit import targets

PHYSICS_HZ = (1.0, 3.5)
"""Bands of a_z within this are in the formula."""
Rival = Callable[[Windows], I64]
"""Label index of each window."""


def slope(windows: Windows, spec: PipelineSpec) -> I64 | None:
    """Level, climb or descend by the barometer's slope over 2.56 s, never another label; None where it cannot be."""
    if not spec.uses_baro or not {"level", "climb", "descend"} <= set(spec.labels):
        return None
    values, names = baselines.window_features(windows, spec)
    return vertical_labels(values[:, names.index(baselines.SLOPE_NAME)].astype(np.float32), SLOPE_M_S, spec)


def fit_trees(train: Windows, spec: PipelineSpec, seed: int) -> Rival:
    """Boosted trees (scikit-learn) on the features of the network, or of the thresholds for input = "samples".

    For output = "edr" they give ln EDR, and the same threshold and vertical speed decide.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    except ImportError as error:
        raise ToolchainError("scikit-learn is missing: pip install 'px4-tinyml[train]'") from error

    def values(windows: Windows) -> NDArray[np.floating]:
        return baselines.features(windows.x, spec)[0] if spec.input == "samples" else windows.x[:, 0]

    options = {"random_state": seed, "early_stopping": False}
    if spec.output == "edr":
        regression = HistGradientBoostingRegressor(**options).fit(values(train), targets(train, spec))
        threshold = math.log(spec.edr.window)
        return lambda windows: with_vertical(regression.predict(values(windows)) > threshold, windows, spec)
    trees = HistGradientBoostingClassifier(class_weight="balanced", **options).fit(values(train), train.y)
    return lambda windows: np.asarray(trees.predict(values(windows)), np.int64)


def ln_rms_a_z(windows: Windows, spec: PipelineSpec) -> F64:
    """ln of the RMS of vertical acceleration in PHYSICS_HZ, up to a constant: [W] from log energies."""
    count = len(spec.bands.edges_hz)
    low, high = PHYSICS_HZ
    chosen = [count + i for i, (a, b) in enumerate(spec.bands.edges_hz) if low <= a and b <= high]
    # Where no band lies within these, all of a_z.
    energy = np.exp2(windows.x[:, 0, chosen or slice(count, 2 * count)].astype(np.float64)).sum(axis=1)
    return np.asarray(0.5 * np.log(energy))


def fit_physics(train: Windows, spec: PipelineSpec) -> float:
    """The constant of ln EDR = constant + ln RMS(a_z in PHYSICS_HZ), by least squares.

    In the inertial range the variance of the gusts in a band is proportional to EDR², and so is that of a vehicle's
    response.
    """
    return float(np.mean(targets(train, spec) - ln_rms_a_z(train, spec)))


def physics(constant: float, windows: Windows, spec: PipelineSpec) -> I64:
    """Labels by the formula, the network's threshold and the vertical speed."""
    return with_vertical(constant + ln_rms_a_z(windows, spec) > math.log(spec.edr.window), windows, spec)
