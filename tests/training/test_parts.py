"""The parts of training: scaling, augmentation, bands, baseline, metrics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import signal

from px4_tinyml.dataset.store import Windows
from px4_tinyml.signal.bands import BANDS_HZ, band_rms
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.training import augment, baselines, fit, metrics

SPEC = PRESETS["default"]


def windows(count: int = 400, seed: int = 0) -> Windows:
    """Labels that physics separates: altitude slope, and shaking for turbulence."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, count)
    x = rng.normal(0, 0.1, (count, 128, 7))
    x[y == 3, :, :3] *= 10
    slope = np.choose(y, [0.0, 1.5, -1.5, 0.0])
    x[:, :, 6] = slope[:, None] * (np.arange(128) - 63.5) / 50 + rng.normal(0, 0.05, (count, 128))
    start_us = np.arange(count, dtype=np.uint64)
    log_id, baro_ok, edr = np.arange(count) % 10, np.ones(count, bool), np.where(y == 3, 0.4, 0.03)
    unknown = np.full(count, np.nan)
    return Windows(x.astype(np.float32), y, log_id, start_us, baro_ok, edr, unknown, unknown)


@pytest.mark.parametrize("hz", [0.8, 3.0, 7.0, 15.0])
def test_band_rms_of_a_sine_is_in_its_band(hz: float) -> None:
    time = np.arange(128) / 50
    x = (2.0 * np.sin(2 * np.pi * hz * time) + 9.8)[None, :, None].astype(np.float32)
    rms = band_rms(x, 50)[0, :, 0]
    inside = [low <= hz < high for low, high in BANDS_HZ].index(True)
    assert rms[inside] == pytest.approx(np.sqrt(2.0), rel=0.1)
    assert np.delete(rms, inside).max() < 0.25


def test_band_rms_agrees_with_welch() -> None:
    x = np.random.default_rng(0).normal(0, 1, (300, 128, 1)).astype(np.float32)
    frequency, power = signal.welch(x[:, :, 0], 50, "hann", 128, detrend="constant")
    step = frequency[1]
    for band, (low, high) in enumerate(BANDS_HZ):
        expected = np.sqrt(power[:, (frequency >= low) & (frequency < high)].sum(axis=1) * step)
        assert band_rms(x, 50)[:, band, 0] == pytest.approx(expected, rel=2e-3)


def test_scaling_covers_the_data_and_leaves_zero_altitude_zero() -> None:
    spec = fit.fit_scaling(windows(), SPEC)
    assert spec.offset is not None and spec.inv_scale is not None and spec.offset[6] == 0.0
    scaled = fit.network_input(windows().x, spec)
    assert scaled.shape == (400, 1, 128, 7) and 0.98 < np.mean(np.abs(scaled) <= 1.0) < 0.995
    still = dataclasses.replace(windows(), x=np.zeros((400, 128, 7), np.float32))
    assert max(fit.fit_scaling(still, SPEC).inv_scale or ()) <= 1 / fit.SMALLEST_HALF_RANGE + 1e-3


def test_augmentation_changes_only_what_it_should() -> None:
    x = windows(3000).x
    before = x.copy()
    out = augment.augment(x, np.random.default_rng(1), SPEC)
    assert np.array_equal(x, before)
    lost = (out[:, :, 6] == 0).all(axis=1)
    assert lost.mean() == pytest.approx(augment.BARO_DROPOUT, abs=0.02)
    assert np.array_equal(out[~lost, :, 6], x[~lost, :, 6])
    shaken = np.abs(out[:, :, 2] - x[:, :, 2]).max(axis=1) > 0
    assert shaken.mean() == pytest.approx(augment.VIBRATION_SHARE, abs=0.03)
    # A turn about z keeps the length of the horizontal part, and the vertical part.
    length = np.hypot(x[:, :, 0], x[:, :, 1]), np.hypot(out[:, :, 0], out[:, :, 1])
    assert np.allclose(length[0][~shaken], length[1][~shaken], atol=1e-5)
    gain = out[~shaken, :, 5] / x[~shaken, :, 5]
    assert np.allclose(gain, gain[:, :1], rtol=1e-4)
    assert np.log(gain[:, 0]).std() == pytest.approx(augment.RATE_GAIN_SIGMA, abs=0.05)
    added = (out - x)[shaken][:, :, 2:3]
    rms = band_rms(added, 50)[:, :, 0].mean(axis=0)
    assert rms[3] > 4 * rms[1]


def test_augmentation_of_specs_without_some_channels() -> None:
    for channels in (("az",), ("ax", "gx", "alt"), ("alt",)):
        spec = dataclasses.replace(SPEC, channels=channels)
        x = np.ones((50, 128, len(channels)), np.float32)
        assert augment.augment(x, np.random.default_rng(0), spec).shape == x.shape


def test_predict_equals_the_fitted_tree() -> None:
    from sklearn.tree import DecisionTreeClassifier

    train, test = windows(), windows(seed=1)
    fitted = baselines.fit(train, SPEC, 0)
    values, names = baselines.features(train.x, SPEC)
    tree = DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=0, min_samples_leaf=5)
    tree.fit(values, train.y)
    predicted = baselines.predict(fitted, test, SPEC)
    assert np.array_equal(predicted, tree.predict(baselines.features(test.x, SPEC)[0]))
    assert (predicted == test.y).mean() > 0.97 and "barometer slope" in fitted.rules
    slope = baselines.features(test.x, SPEC)[0][:, names.index("barometer slope [m/s]")]
    assert slope[test.y == 1] == pytest.approx(1.5, abs=0.1)


def test_weights_of_rare_classes_are_bounded() -> None:
    weight = fit.class_weights(np.array([0] * 990 + [1] * 9 + [2]), 4)
    assert weight[0] < 0.4 and weight[-1] == 10.0 and weight[995] == pytest.approx(10.0)


def test_metrics_equal_those_computed_by_hand() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    flight = np.array([1, 1, 1, 1, 2, 2])
    got = metrics.summarize(truth, predicted, flight, ["a", "b", "c", "d"], ["none", "seven", "nine"])
    assert got.confusion == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert got.f1 == {"a": pytest.approx(4 / 6), "b": pytest.approx(4 / 5), "c": 0.0, "d": None}
    assert got.macro_f1 == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)
    assert got.accuracy == pytest.approx(4 / 6)
    assert got.by_flight["nine"].confusion == [[0] * 4, [0, 1, 0, 0], [1, 0, 0, 0], [0] * 4]
    low, high = got.macro_f1_interval
    assert low <= got.macro_f1 <= high and low < high
