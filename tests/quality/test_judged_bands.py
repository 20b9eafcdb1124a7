"""Decisions of spec version 2 in the judge's form."""

from __future__ import annotations

import dataclasses

import numpy as np
from bands_bundle import CENTRE, CLIMB_M_S, PER_LOG2, air_flight, bands_bundle, bands_spec

from px4_tinyml.quality.judged import VERTICAL, judged, turbulence_index
from px4_tinyml.signal.air_decision import EDR_UNIT, window_threshold_e4
from px4_tinyml.signal.classifier import Classifier, Model
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.windows import Reason

SPEC = bands_spec()


def test_windows_alone_and_after_the_filter() -> None:
    result = bands_bundle().classifier().classify(air_flight())
    windows = judged(result, SPEC)
    end_s = windows.end_us / 1e6 - 5.0
    ground, calm, climb, rough = end_s < 15.0, (end_s > 25) & (end_s < 40), (end_s > 46) & (end_s < 51), end_s > 75
    turbulence = turbulence_index(SPEC)
    for stage in (windows.alone, windows.filtered):
        assert (stage.index[ground] == UNCERTAIN).all() and np.isnan(stage.score[ground]).all()
        assert (stage.index[calm] == SPEC.labels.index("level")).all()
        assert (stage.index[climb] == SPEC.labels.index("climb")).all()
        assert (stage.index[rough] == turbulence).all()
        assert np.array_equal(stage.reasons["on_ground"], stage.index == UNCERTAIN) and stage.reasons["on_ground"].any()
        assert set(stage.reasons) == {"on_ground", "manoeuvring", "unfamiliar", "low_confidence", "not_multirotor"}
    assert np.array_equal(np.isnan(windows.edr_m23_s), windows.alone.index == UNCERTAIN)
    assert np.allclose(windows.alone.score, np.log(windows.edr_m23_s), equal_nan=True)
    assert np.array_equal(windows.vertical[climb], np.full(climb.sum(), VERTICAL.index("climb")))
    assert np.abs(windows.vertical_speed_m_s[climb] - CLIMB_M_S).max() < 0.4


def test_a_window_alone_is_compared_before_the_curve() -> None:
    """The curve doubles the EDR read, so a window that reads 0.13 is reported, and compared, as 0.26."""
    assert abs(window_threshold_e4(SPEC) * EDR_UNIT - 2 * SPEC.edr.window) < 0.003
    windows = judged(bands_bundle().classifier().classify(air_flight()), SPEC)
    called = windows.alone.index == turbulence_index(SPEC)
    between = (windows.edr_m23_s > SPEC.edr.window) & (windows.edr_m23_s < 2 * SPEC.edr.window)
    assert called.any() and between.any() and not called[between].any()


def test_notes_are_no_reasons_and_an_unknown_speed_is_wrong() -> None:
    flight = dataclasses.replace(air_flight(50.0), baro=None)
    result = bands_bundle().classifier().classify(flight)
    notes = Reason.REDUCED_SENSITIVITY | Reason.BARO_STALE
    assert (result.reasons & notes == notes).all()
    windows = judged(result, SPEC)
    assert not {"baro_stale", "reduced_sensitivity"} & set(windows.filtered.reasons)
    assert (windows.vertical == UNCERTAIN).all() and (windows.filtered.index != UNCERTAIN).mean() > 0.7


def test_a_vehicle_that_is_not_judged_has_a_reason() -> None:
    windows = judged(
        bands_bundle().classifier().classify(dataclasses.replace(air_flight(), vehicle_class="fixed_wing")), SPEC
    )
    assert windows.filtered.reasons["not_multirotor"].all() and (windows.alone.index == UNCERTAIN).all()
    assert (windows.vertical != UNCERTAIN).any()


class SoftmaxDouble:
    """The louder the first band, the likelier is turbulence."""

    def invoke(self, x: np.ndarray) -> np.ndarray:
        rough = x[:, :1].astype(np.int64) > 0
        return np.where(rough, [[-120, -120, -120, 104]], [[104, -120, -120, -120]]).astype(np.int8)


def test_a_softmax_over_labels_has_reasons_and_a_vertical_speed() -> None:
    plain = dataclasses.replace(SPEC, output="classes", offset=None, inv_scale=None)
    n = plain.input_shape[1]
    spec = dataclasses.replace(plain, offset=(CENTRE,) * n, inv_scale=(PER_LOG2,) * n)
    result = Classifier(spec, Model(SoftmaxDouble(), 0.045, 0, 1 / 256, -128)).classify(air_flight())
    windows = judged(result, spec)
    end_s = windows.end_us / 1e6 - 5.0
    assert np.isnan(windows.alone.score[end_s < 15.0]).all() and (windows.alone.index[end_s < 15.0] == UNCERTAIN).all()
    assert (windows.filtered.index[end_s > 75.0] == turbulence_index(spec)).all()
    assert (windows.filtered.score[end_s > 75.0] > 0.8).all() and windows.filtered.reasons["on_ground"].any()
    assert np.isnan(windows.edr_m23_s).all() and np.isfinite(windows.vertical_speed_m_s).any()
