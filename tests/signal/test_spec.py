"""PipelineSpec: one hash for one signal path, exact slot times, and errors that say what is wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PRESETS, DecisionSpec, PipelineSpec, as_float32, load_spec
from px4_tinyml.signal.spec_tables import BandsSpec, EdrSpec, LimitsSpec, VerticalSpec


def test_presets_survive_json_and_differ_in_hash() -> None:
    for spec in PRESETS.values():
        assert PipelineSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert len({spec.hash for spec in PRESETS.values()}) == len(PRESETS)


def test_every_field_changes_the_hash() -> None:
    spec = dataclasses.replace(PRESETS["default"], offset=(0.0,) * 7, inv_scale=(1.0,) * 7)
    changes = [
        {"rate_hz": 51}, {"window": 120}, {"hop": 16}, {"labels": ("a", "b")}, {"max_gap_slots": 2},
        {"max_repeated_slots": 20}, {"baro_stale_slots": 29}, {"baro_lag_slots": 4}, {"imu_about_mean": False},
        {"clip": 2.5}, {"offset": (0.1,) + (0.0,) * 6}, {"inv_scale": (2.0,) + (1.0,) * 6},
        {"decision": DecisionSpec(enter=0.7)},
        {"channels": PRESETS["imu6"].channels, "offset": None, "inv_scale": None},
    ]  # fmt: skip
    bands = PRESETS["bands"]
    since_2 = [
        {"output": "classes"}, {"edr": EdrSpec(enter=0.16)}, {"vertical": VerticalSpec(tau_s=5.0)},
        {"bands": BandsSpec(floor_m_s2=0.02)}, {"limits": LimitsSpec(a_z_m_s2=3.0)},
    ]  # fmt: skip
    changed = {key for change in (*changes, *since_2) for key in change} | {"input"}
    assert changed == {f.name for f in dataclasses.fields(PipelineSpec)}
    assert len({bands.hash, *(dataclasses.replace(bands, **change).hash for change in since_2)}) == len(since_2) + 1
    assert len({spec.hash, *(dataclasses.replace(spec, **change).hash for change in changes)}) == len(changes) + 1


def test_hash_is_of_what_cpp_holds() -> None:
    spec = dataclasses.replace(PRESETS["default"], clip=0.1)
    assert spec.clip == as_float32(0.1) != 0.1
    assert spec.hash24 == int(spec.hash[:6], 16) < 2**24 and float(spec.hash24) == spec.hash24


@pytest.mark.parametrize("rate_hz", [1, 7, 50, 119, 333, 1000])
def test_slot_times_are_exact(rate_hz: int) -> None:
    spec = PipelineSpec(rate_hz=rate_hz)
    for slot in [0, 1, 2, 118, 119, 10**6 + 7, 10**12 + 1]:
        start = spec.slot_start_us(slot)
        assert spec.slot_of(start) == slot and (slot == 0 or spec.slot_of(start - 1) == slot - 1)
    assert spec.slot_of(2**64 - 1) == (2**64 - 1) * rate_hz // 10**6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate = 50", "unknown key 'rate'; known keys are rate_hz"),
        ('preset = "fast"', "preset 'fast' is not known"),
        ('preset = ["default"]', r"preset \['default'\] is not known"),
        ("window = 12.5", "window = 12.5: expected a whole number 8…1024"),
        ("rate_hz = true", "rate_hz = True: expected a whole number"),
        ('labels = "ab"', "labels = 'ab': expected a list of names"),
        ("labels = [1, 2]", "expected a list of names"),
        ('labels = ["a", "a"]', "different names"),
        ('labels = ["a b", "c"]', "label 'a b': expected an ASCII identifier"),
        ('channels = ["az", "ax"]', "expected some of"),
        ("decision = 5", "decision = 5: expected a table"),
        ("[decision]\nsmoothing_q8 = 1.5", "smoothing_q8 = 1.5: expected a whole number 1…256"),
        ("[decision]\nenter = 0.2", "expected 0 < leave <= enter < 1"),
        ("offset = [0.0]", "offset and inv_scale: expected both or neither"),
        ("this is not toml", "not valid TOML"),
    ],
)
def test_bad_specs_say_file_and_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message) as raised:
        load_spec(path)
    assert str(path) in str(raised.value) and raised.value.exit_code == 2


def test_a_spec_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text('preset = "imu6"\nhop = 16\n[decision]\nenter = 0.7\n')
    expected = dataclasses.replace(PRESETS["imu6"], hop=16, decision=DecisionSpec(enter=0.7))
    assert load_spec(path) == expected
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path / "missing.toml")
