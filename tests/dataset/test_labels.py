"""Labels: hysteresis, precedence, reasons; spans files; the split and its leakage check; the store."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from px4_tinyml.dataset import autolabel, spans
from px4_tinyml.dataset.build import Collected, build, build_dataset, prepare
from px4_tinyml.dataset.split import PARTS, check_leakage, split
from px4_tinyml.dataset.store import Dataset, FlightWindows, UnusedLog, read_flight, write_flight
from px4_tinyml.dataset.write_dataset import unique_names
from px4_tinyml.errors import DatasetError
from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries, LabelSpan, ReferenceSeries
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.units import STANDARD_GRAVITY_M_S2

SPEC = PRESETS["default"]
LEVEL, CLIMB, DESCEND, TURBULENCE = range(4)
ON_GROUND = autolabel.reason_code("on_ground")


def reference(vz, edr=np.nan, airborne=1, armed=1, step_us=100_000) -> ReferenceSeries:
    n = len(vz)
    held = (np.broadcast_to(value, n) for value in (airborne, armed, edr, np.nan))
    return ReferenceSeries(np.arange(n) * step_us, vz, *held)


def flight(source="a.ulg", vehicle="quad", seconds=60, vz=0.0, edr=np.nan, seed=0) -> FlightLog:
    rng = np.random.default_rng(seed)
    time = np.arange(seconds * 200) * 5000 + 1_000_000
    accel = rng.normal(0, 1, (len(time), 3)) - [0.0, 0.0, STANDARD_GRAVITY_M_S2]
    imu = ImuSeries(time, accel, rng.normal(0, 1, (len(time), 3)))
    ref = reference(np.full(seconds * 10 + 20, vz), edr=edr)
    baro_time = np.arange(seconds * 10 + 20) * 100_000
    baro = BaroSeries(baro_time, -vz * baro_time / 1e6)
    return FlightLog(source, f"{seed:064d}", "ulog", vehicle, imu, baro, ref)


def slot_labels(ref: ReferenceSeries | None, times, extra=()) -> list[int]:
    log = FlightLog("a.ulg", "0" * 64, "ulog", "quad", flight(seconds=1).imu, None, ref)
    return autolabel.label_slots(log, np.asarray(times, np.uint64), SPEC, tuple(extra)).tolist()


def test_vertical_motion_has_hysteresis() -> None:
    vz = [0, -0.45, -0.55, -0.4, -0.31, -0.29, -0.45, 0.45, 0.55, 0.31, 0.2]
    expected = [LEVEL, LEVEL, CLIMB, CLIMB, CLIMB, LEVEL, LEVEL, LEVEL, DESCEND, DESCEND, LEVEL]
    assert slot_labels(reference(vz), np.arange(len(vz)) * 100_000 + 10) == expected


def test_a_jump_from_climb_to_descend_leaves_climb() -> None:
    assert slot_labels(reference([-2.0, 2.0, -2.0]), [10, 100_010, 200_010]) == [CLIMB, DESCEND, CLIMB]


def test_turbulence_overrides_motion_and_between_is_left_out() -> None:
    ref = reference([-2.0] * 4, edr=np.array([0.05, 0.10, 0.15, 0.20]))
    times = np.arange(4) * 100_000 + 10
    assert slot_labels(ref, times) == [CLIMB, CLIMB, autolabel.BETWEEN, TURBULENCE]


@pytest.mark.parametrize(
    ("airborne", "armed", "code"),
    [(0, 1, ON_GROUND), (-1, 0, ON_GROUND), (-1, -1, autolabel.reason_code("no_reference")), (-1, 1, LEVEL)],
)
def test_armed_counts_as_airborne_only_where_airborne_is_unknown(airborne: int, armed: int, code: int) -> None:
    assert slot_labels(reference([0.0], airborne=airborne, armed=armed), [10]) == [code]


def test_stale_or_invalid_reference_gives_no_label() -> None:
    missing = autolabel.reason_code("no_reference")
    assert slot_labels(reference([0.0]), [autolabel.REFERENCE_MAX_AGE_US + 1]) == [missing]
    assert slot_labels(reference([np.nan]), [10]) == [missing]
    assert slot_labels(None, [10]) == [missing]


def test_a_span_overrides_the_reference() -> None:
    ref = reference([-2.0] * 10)
    times = ((200_000, 400_000, "turbulence"), (400_000, 500_000, "exclude"))
    marked = [LabelSpan(*span, "person") for span in times]
    labels = slot_labels(ref, np.arange(10) * 100_000 + 10, marked)
    excluded = autolabel.reason_code("excluded")
    assert labels == [CLIMB, CLIMB, TURBULENCE, TURBULENCE, excluded] + [CLIMB] * 5
    with pytest.raises(DatasetError, match="'gust' is not one of the spec's"):
        slot_labels(ref, [0], [LabelSpan(0, 1, "gust", "person")])


def test_window_labels_need_80_percent() -> None:
    rows = np.zeros((6, 128), np.int32)
    rows[0, :25] = CLIMB  # 80.5 % level
    rows[1, :26] = CLIMB  # 79.7 %
    rows[2, :60] = -2  # on the ground
    rows[3, :] = autolabel.BETWEEN
    rows[5, :60] = autolabel.BETWEEN
    y = autolabel.label_windows(rows, np.arange(6) == 4)
    mixed, sparse = autolabel.reason_code("mixed"), autolabel.reason_code("sparse")
    assert y.tolist() == [LEVEL, mixed, ON_GROUND, autolabel.BETWEEN, sparse, mixed]
    counts = autolabel.label_counts(y, SPEC)
    assert {name: n for name, n in counts.items() if n} == {
        "level": 1, "between": 1, "mixed": 2, "on_ground": 1, "sparse": 1
    }  # fmt: skip


def test_spans_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.csv"
    path.write_text("file,start_s,end_s,label\na.ulg,1.5,3,turbulence\n*.csv,,,level\n")
    named = spans.rows_for("a.ulg", spans.read_spans(path))
    assert [row.line for row in named] == [2]
    found = spans.spans_for(flight(), named)
    assert [(s.start_us, s.end_us, s.label) for s in found] == [(2_500_000, 4_000_000, "turbulence")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "file,start_s,end_s,label expected"),
        ("file,start_s,end_s,label\nx,1,zwei,level\n", ":2: end_s = 'zwei'"),
        ("file,start_s,end_s,label\nx,3,2,level\n", "not after"),
        ("file,start_s,end_s,label\nx,3,,\n", "label '' found"),
        ("file,start_s,end_s,label\nx,3\n", "label '' found"),
        ("file,start_s,end_s,label\nx,nan,,level\n", "start_s = 'nan'"),
        ("file,start_s,end_s,label\nx,,inf,level\n", "end_s = 'inf'"),
        ("file,start_s,end_s,label\nx,-1,,level\n", "start_s = '-1'"),
        ("", "header nothing found"),
        ("file,start_s,end_s,label\nx,2_0,,level\n", "start_s = '2_0'"),
        ("file,start_s,end_s,label\nx,1,2,level,5\n", ":2: more than 4 columns"),
    ],
)
def test_an_error_in_a_spans_file_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "spans.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        spans.read_spans(path)


def test_split_keeps_airframes_together_and_covers_classes() -> None:
    rng = np.random.default_rng(0)
    vehicles, flights = [f"frame{i % 8}" for i in range(40)], [str(i) for i in range(40)]
    counts = rng.integers(1, 50, (40, 4))
    for seed in range(5):
        parts, by = split(vehicles, flights, counts, seed)
        assert by == "airframe" and set(parts) == set(PARTS)
        assert len({(v, p) for v, p in zip(vehicles, parts, strict=True)}) == 8
        assert split(vehicles, flights, counts, seed)[0] == parts


def test_split_by_flight_puts_a_rare_class_in_every_part_if_possible() -> None:
    counts = np.full((9, 2), 20)
    counts[:, 1] = 0
    counts[[0, 4, 8], 1] = 5
    parts, by = split(["one"] * 9, list("abcdefghi"), counts, 3)
    assert by == "flight" and {parts[0], parts[4], parts[8]} == set(PARTS)


def test_too_few_flights_is_an_error() -> None:
    with pytest.raises(DatasetError, match="at least 3 needed"):
        split(["a", "b"], ["1", "2"], np.ones((2, 4), np.int64), 0)


def test_leakage_is_detected() -> None:
    x = np.random.default_rng(0).normal(size=(4, 128, 7)).astype(np.float32)
    check_leakage(["train", "train"], ["a", "b"], [x, x])
    with pytest.raises(DatasetError, match=r"a \(train\) and b \(test\) hold the same window"):
        check_leakage(["train", "test"], ["a", "b"], [x[:2], x[1:]])
    still = np.full_like(x, 3.0)
    check_leakage(["train", "test"], ["a", "b"], [still, still])


def test_names_are_short_and_unique() -> None:
    names = {
        "/d/mon/a.ulg": "mon/a.ulg", "/d/tue/a.ulg": "tue/a.ulg", "/d/b.tlog#1.1": "b.tlog#1.1",
        "/d/b.tlog#2.1": "b.tlog#2.1", "b.tlog": "b.tlog", "run#3/c.csv#0": "c.csv#0", "run#3/d.csv": "d.csv",
    }  # fmt: skip
    assert unique_names(list(names)) == list(names.values())
    assert unique_names(["a.ulg", "x/a.ulg", "y/x/a.ulg"]) == ["a.ulg", "x/a.ulg", "y/x/a.ulg"]
    assert unique_names([]) == []


def test_unknown_labels_of_a_log_are_ignored_those_of_a_spans_file_are_errors() -> None:
    unlabelled = autolabel.reason_code("unlabelled")
    assert slot_labels(None, [10], [LabelSpan(0, 100, "circle", "file")]) == [unlabelled]
    assert slot_labels(None, [10], [LabelSpan(0, 100, "climb", "file")]) == [CLIMB]
    with pytest.raises(DatasetError, match="'circle' is not one of"):
        slot_labels(None, [10], [LabelSpan(0, 100, "circle", "person")])


def test_a_span_after_the_end_of_its_log_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    row = spans.SpanRow(4, "a.ulg", 900.0, None, "level")
    spans.spans_for(flight(seconds=60), [row])
    assert "line 4 starts at 900 s, but a.ulg ends at 60.0 s" in caplog.text


def test_a_stored_data_set_is_read_back_unchanged(tmp_path: Path) -> None:
    logs = [flight(f"{i}.ulg", vz=vz, edr=edr, seed=i) for i, (vz, edr) in enumerate([
        (0, np.nan), (-1, np.nan), (1, np.nan), (0, 0.3), (0, 0.15), (0, np.nan), (-1, np.nan), (1, 0.05), (0, 0.4)
    ])]  # fmt: skip
    flights = [prepare(log, SPEC) for log in logs]
    about = build(Collected(flights, [UnusedLog("x", "y")]), SPEC, tmp_path / "set", seed=1).about
    data = Dataset.load(tmp_path / "set")
    assert about == data.about and data.spec == SPEC
    columns = parquet.read_schema(data.folder / data.flights[0].file).names
    of_0_1_0 = "start_us label baro_ok altitude_m velocity_down_m_s edr_m23_s x"
    assert columns == of_0_1_0.split() and "inject" not in json.loads((data.folder / "dataset.json").read_text())
    for i, made in enumerate(flights):
        stored = data.flight(i)
        assert np.array_equal(stored.x, made.windows.x) and np.array_equal(stored.y, made.windows.y)
        assert np.array_equal(stored.edr_m23_s, made.windows.edr_m23_s, equal_nan=True)
    everything = data.windows(PARTS)
    assert set(everything.y.tolist()) == {LEVEL, CLIMB, DESCEND, TURBULENCE}
    assert len(data.windows(PARTS, between=True)) == about.counts.between > 50
    climb = everything.x[everything.y == CLIMB][:, :, 6]
    assert np.allclose(climb[:, -1] - climb[:, 0], 2.54, atol=0.15)
    assert everything.baro_ok.all()


def test_a_log_with_too_few_samples_is_reported_with_its_rate(tmp_path: Path) -> None:
    rows = "\n".join(f"{1.0 + i / 30.0:.6f},0,0,-9.8,0,0,0" for i in range(600))
    (tmp_path / "slow.csv").write_text(f"t,ax,ay,az,gx,gy,gz\n{rows}\n")
    axes = "\n".join(f"{axis} = {{ column = '{{0}}{axis}' }}" for axis in "xyz")
    columns = f"[time]\ncolumn = 't'\nunit = 's'\n[accel]\nunit = 'm/s2'\n{axes.replace('{0}', 'a')}\n"
    (tmp_path / "map.toml").write_text(f"{columns}[gyro]\nunit = 'rad/s'\n{axes.replace('{0}', 'g')}\n")
    with pytest.raises(DatasetError, match=r"sparse; IMU at 30\.0 Hz: the spec \(50 Hz slots\) needs 40 Hz or more"):
        build_dataset([tmp_path / "slow.csv"], SPEC, tmp_path / "set", column_map=tmp_path / "map.toml")


def stored(folder: Path) -> Path:
    """A data set of three flights."""
    flights = [prepare(flight(f"{i}.ulg", seed=i), SPEC) for i in range(3)]
    return build(Collected(flights, []), SPEC, folder, seed=0).folder


def test_a_folder_that_is_not_a_data_set_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DatasetError, match="is not a data set"):
        stored(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("flights",), 5, "flights: Expected `array`, got `int` (5 found)"),
        (("flights",), [1], "flights[0]: Expected `object`, got `int` (1 found)"),
        (("flights", 0, "file"), 3, "flights[0].file: Expected `str`, got `int` (3 found)"),
        (("flights", 0, "file"), "../../x", "flights[0].file: Expected `str` matching regex"),
        (("flights", 0, "part"), "tset", "flights[0].part: Invalid enum value 'tset'"),
        (("flights", 0, "labels"), {"level": 1}, "counts of other labels than the spec's"),
        (("counts", "windows"), {}, "counts: expected windows of train, validation, test"),
        (("spec",), 3, "spec: Expected `object`, got `int` (3 found)"),
        (("spec_hash",), "0", "the spec was changed by hand"),
        (("seed",), None, "seed: Expected `int`, got `null` (None found)"),
    ],
)
def test_a_damaged_description_is_one_clear_error(
    tmp_path: Path, path: tuple[str | int, ...], value: object, message: str
) -> None:
    file = stored(tmp_path) / "dataset.json"
    about = json.loads(file.read_text())
    place = about
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(about))
    with pytest.raises(DatasetError, match=rf"dataset\.json: .*{re.escape(message)}"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("x", pa.array([["a"]] * 3, pa.list_(pa.string(), 1)), "column x is fixed_size_list"),
        ("x", pa.array([[np.nan] * 896] * 3, pa.list_(pa.float32(), 896)), "column x has values that are not finite"),
        ("baro_ok", pa.array([1, 2, 3]), "column baro_ok is int64, bool expected"),
        ("label", pa.array(["level", None, "level"]), "empty cells found"),
        ("label", pa.array(["level", "gust", "level"]), "'gust'"),
    ],
)
def test_a_damaged_flight_is_one_clear_error(tmp_path: Path, column: str, values: pa.Array, message: str) -> None:
    path = tmp_path / "f.parquet"
    windows = prepare(flight(), SPEC).windows
    write_flight(path, FlightWindows(**{name: array[:3] for name, array in vars(windows).items()}), SPEC)
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(table.schema.get_field_index(column), column, values), path)
    with pytest.raises(DatasetError, match=message):
        read_flight(path, SPEC)


def test_bands_take_vertical_labels_from_the_slots_of_the_reported_speed() -> None:
    bands, between = PRESETS["bands"], autolabel.BETWEEN
    rows = np.zeros((6, 128), np.int32)
    rows[0, 60:] = CLIMB  # mixed over the window, climb over its last 64 slots
    rows[1, 90:] = CLIMB  # and mixed over those as well
    rows[2, 115:] = CLIMB  # 10 % of the window, 20 % of its end
    rows[3, 60:] = TURBULENCE
    rows[4, :] = between
    rows[5, :] = TURBULENCE
    mixed = autolabel.reason_code("mixed")
    expected = [CLIMB, mixed, mixed, mixed, between, TURBULENCE]
    rows[2, 114] = CLIMB
    assert autolabel.label_bands(rows, np.zeros(6, bool), bands).tolist() == expected


def test_a_data_set_of_bands_is_read_back_with_its_edr(tmp_path: Path) -> None:
    bands = PRESETS["bands"]
    logs = [flight(f"{i}.ulg", edr=edr, seed=i) for i, edr in enumerate([0.02, 0.3, 0.15, 0.05, 0.4])]
    data = build(Collected([prepare(log, bands) for log in logs], []), bands, tmp_path / "set", seed=1)
    every = data.windows(PARTS, every=True)
    assert every.x.shape == (len(every), 1, 20) and set(every.edr_m23_s.tolist()) == set(
        np.array([0.02, 0.3, 0.15, 0.05, 0.4], np.float32).tolist()
    )
    assert len(every) == len(data.windows(PARTS)) + len(data.windows(PARTS, between=True))
    assert set(every.y[every.edr_m23_s == np.float32(0.15)].tolist()) == {autolabel.BETWEEN}
    assert (data.flight(0).response == -1).all()


def test_leakage_is_detected_in_log_energies() -> None:
    x = np.random.default_rng(0).normal(size=(4, 1, 20)).astype(np.float32)
    other_speed = [np.concatenate([x, np.full((4, 1, 1), speed, np.float32)], axis=2) for speed in (0.1, 0.2)]
    with pytest.raises(DatasetError, match="hold the same window"):
        check_leakage(["train", "test"], ["a", "b"], other_speed)
    still = np.broadcast_to(np.repeat(np.float32([9.0, 8.0]), 10), (4, 1, 20)).copy()
    check_leakage(["train", "test"], ["a", "b"], [still, still])


def test_windows_of_bands_know_their_vertical_speed_and_the_slope_of_the_barometer() -> None:
    climbing = prepare(flight("climb.ulg", vz=-2.0), PRESETS["bands"]).windows
    assert len(climbing.y) > 3 and (climbing.y == CLIMB).all()
    known = np.isfinite(climbing.baro_slope_m_s)
    assert np.array_equal(known, climbing.baro_ok) and np.array_equal(known, np.isfinite(climbing.vertical_speed_m_s))


def test_a_window_flown_too_hard_has_no_label() -> None:
    log = flight("hard.ulg", seed=1)
    rock = 3.0 * np.sin(2 * np.pi * 1.2 * log.imu.timestamp_us / 1e6)
    gyro = log.imu.gyro_rad_s + np.stack([rock, 0 * rock, 0 * rock], axis=1).astype(np.float32)
    hard = dataclasses.replace(log, imu=dataclasses.replace(log.imu, gyro_rad_s=gyro))
    made = prepare(hard, PRESETS["bands"])
    assert not len(made.windows.y) and made.counts["manoeuvring"] > 3 and prepare(log, PRESETS["bands"]).counts["level"]
    assert prepare(hard, SPEC).counts["manoeuvring"] == 0
