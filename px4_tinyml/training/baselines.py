"""Thresholds on physics: a decision tree of depth 4 over band RMS and barometer slope. The network has to beat it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Thresholds
from px4_tinyml.dataset.store import Windows
from px4_tinyml.errors import ConversionError, ToolchainError
from px4_tinyml.flight_log import F32
from px4_tinyml.signal.bands import BANDS_HZ, band_rms
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, PipelineSpec

DEPTH = 4
SLOPE_NAME = "barometer slope [m/s]"
AXES = (("a_xy", ("ax", "ay")), ("a_z", ("az",)), ("g_xy", ("gx", "gy")), ("g_z", ("gz",)))


def features(x: F32, spec: PipelineSpec) -> tuple[NDArray[np.float64], list[str]]:
    """Band RMS of each axis group and the altitude slope: [W,F] and the names with units."""
    columns, names = [], []
    rms = band_rms(x, spec.rate_hz)
    for group, channels in AXES:
        at = [spec.channels.index(c) for c in channels if c in spec.channels]
        if not at:
            continue
        both = np.sqrt((rms[:, :, at] ** 2).sum(axis=2))
        for band, (low, high) in enumerate(BANDS_HZ):
            columns.append(both[:, band])
            names.append(f"{group} {low:g}-{high:g} Hz [{'m/s²' if group[0] == 'a' else 'rad/s'}]")
    if spec.uses_baro:
        time = (np.arange(spec.window) - (spec.window - 1) / 2) / spec.rate_hz
        altitude = x[:, :, spec.channels.index(ALTITUDE_CHANNEL)]
        columns.append(altitude @ time / (time @ time))
        names.append(SLOPE_NAME)
    return np.stack(columns, axis=1).astype(np.float64), names


def window_features(windows: Windows, spec: PipelineSpec) -> tuple[NDArray[np.float64], list[str]]:
    """What the thresholds are on: band RMS or log energies, and the barometer's slope. [W,F], names with units."""
    if spec.input == "samples":
        return features(windows.x, spec)
    columns, names = windows.x[:, 0].astype(np.float64), [f"{name} [log2]" for name in spec.features]
    if spec.uses_baro:
        columns = np.column_stack([columns, np.nan_to_num(windows.baro_slope_m_s)])
        names.append(SLOPE_NAME)
    return columns, names


def fit(train: Windows, spec: PipelineSpec, seed: int) -> Thresholds:
    """Fit the tree to the training part. rules: the tree as text."""
    try:
        from sklearn.tree import DecisionTreeClassifier, export_text
    except ImportError as error:
        raise ToolchainError("scikit-learn is missing: pip install 'px4-tinyml[train]'") from error
    values, names = window_features(train, spec)
    fitted = DecisionTreeClassifier(max_depth=DEPTH, class_weight="balanced", random_state=seed, min_samples_leaf=5)
    fitted.fit(values, train.y)
    tree = fitted.tree_
    known = [spec.labels[i] for i in fitted.classes_]
    return Thresholds(
        features=names,
        feature=tree.feature.tolist(),
        threshold=tree.threshold.tolist(),
        left=tree.children_left.tolist(),
        right=tree.children_right.tolist(),
        label=fitted.classes_[tree.value[:, 0].argmax(axis=1)].tolist(),
        rules=export_text(fitted, feature_names=names, class_names=known),
    )


def predict(baseline: Thresholds, windows: Windows, spec: PipelineSpec) -> NDArray[np.int64]:
    """Label index of each window."""
    values, names = window_features(windows, spec)
    if names != baseline.features:
        raise ConversionError("the bundle's baseline was fitted on other features; train again")
    feature, threshold = np.array(baseline.feature), np.array(baseline.threshold)
    left, right = np.array(baseline.left), np.array(baseline.right)
    node = np.zeros(len(windows), np.int64)
    rows = np.arange(len(windows))
    for _ in range(DEPTH):
        inner = left[node] >= 0
        # float32, as the tree was grown
        go_left = values.astype(np.float32)[rows, np.maximum(feature[node], 0)] <= threshold[node]
        node = np.where(inner, np.where(go_left, left[node], right[node]), node)
    return np.array(baseline.label, np.int64)[node]
