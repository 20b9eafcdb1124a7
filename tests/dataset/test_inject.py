"""Gusts injected into calm flights: backgrounds, their parts, the physics, labels, errors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.cli.main import main
from px4_tinyml.dataset import inject
from px4_tinyml.dataset.autolabel import BETWEEN, reason_code
from px4_tinyml.dataset.backgrounds import LEFT_OUT, NO_LANDED_STATE, Background, Slots, read_background
from px4_tinyml.dataset.build import build_dataset
from px4_tinyml.dataset.examples import Examples, InjectOptions, make_examples
from px4_tinyml.dataset.split import PARTS, by_hash
from px4_tinyml.dataset.store import Dataset, Injected
from px4_tinyml.errors import DatasetError
from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries, LabelSpan
from px4_tinyml.logs import read_log
from px4_tinyml.signal.energies import energies, manoeuvring, slot_steps
from px4_tinyml.signal.responses import load_responses
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.signal.vertical import UNKNOWN_MM_S
from px4_tinyml_sitl.simulate import fly

SPEC = PRESETS["bands"]
EXAMPLES = InjectOptions(1500)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short flights of six airframes in nearly calm air."""
    return fly(tmp_path_factory.mktemp("calm"), 6, seconds=40.0, edr=0.02, seed=3, jobs=2)


@pytest.fixture(scope="module")
def flights(logs: list[Path]) -> list[FlightLog]:
    return [log for path in logs for log in read_log(path)]


def real(log: FlightLog, vehicle: str | None = None, sha256: str | None = None) -> FlightLog:
    """A flight without the truth about the air."""
    assert log.reference is not None
    reference = replace(log.reference, edr_m23_s=np.full(len(log.reference), np.nan, np.float32))
    return replace(log, reference=reference, vehicle=vehicle or log.vehicle, sha256=sha256 or log.sha256)


def background(log: FlightLog, *spans: LabelSpan) -> Background:
    return read_background(log, spans, log.sha256, SPEC)


def made(backgrounds: Sequence[Background], seed: int = 0) -> tuple[list[Examples], str, Injected]:
    return make_examples(backgrounds, SPEC, EXAMPLES, seed)


def test_backgrounds_are_calm_flight_only(flights: list[FlightLog]) -> None:
    log = flights[0]
    whole = background(log)
    assert whole.simulated and whole.left_out.keys() == {LEFT_OUT[0]}
    assert all(copy is not None for copy in whole.copies)
    middle = int(log.imu.timestamp_us[len(log.imu) // 2])
    spans = (
        LabelSpan(middle, middle + 5_000_000, "turbulence", "person"),
        LabelSpan(middle + 5_000_000, middle + 6_000_000, "exclude", "person"),
    )
    less = background(log, *spans)
    assert less.left_out[LEFT_OUT[1]] == pytest.approx(6.0, abs=0.05)
    assert background(real(log), *spans).seconds == less.seconds
    assert log.reference is not None
    rough = replace(log, reference=replace(log.reference, edr_m23_s=np.full(len(log.reference), 0.06, np.float32)))
    assert background(rough).seconds == 0.0 and background(rough).left_out[LEFT_OUT[2]] == whole.seconds


def test_a_log_without_a_landed_state_is_taken_as_airborne(flights: list[FlightLog]) -> None:
    unknown = background(replace(flights[0], reference=None))
    assert NO_LANDED_STATE in unknown.log.warnings and LEFT_OUT[0] not in unknown.left_out
    assert NO_LANDED_STATE not in background(flights[0]).log.warnings


def test_examples_do_not_depend_on_the_order_of_the_logs(logs: list[Path], tmp_path: Path) -> None:
    sets = [
        build_dataset(paths, SPEC, tmp_path / name, inject=InjectOptions(600), seed=seed)
        for name, paths, seed in (("a", logs, 1), ("b", logs[::-1], 1), ("c", logs, 2))
    ]
    a, b, c = ([flight.file_sha256 for flight in data.flights] for data in sets)
    assert a == b and a != c
    assert Dataset.load(tmp_path / "a").about == sets[0].about
    stored = Dataset.load(tmp_path / "a").windows(PARTS, every=True)
    assert stored.x.shape[1:] == (1, 20) and np.isfinite(stored.edr_m23_s).all()


def test_the_first_examples_do_not_depend_on_their_number() -> None:
    few, many = (inject.draw("0 real train quad", n, True, [3, 4, 5]) for n in (50, 5000))
    for name, values in vars(few).items():
        assert np.array_equal(values, vars(many)[name][:50]), name
    assert set(many.response.tolist()) == {3, 4, 5}
    assert (many.edr == inject.CALM_EXAMPLE_EDR).mean() == pytest.approx(inject.CALM_SHARE, abs=0.03)
    assert np.isfinite(many.lowpass_hz).mean() == pytest.approx(inject.LOWPASS_SHARE, abs=0.03)
    assert many.noise.any(axis=1).mean() == pytest.approx(inject.NOISE_SHARE, abs=0.03)
    assert (inject.draw("0 real train quad", 50, False, [3]).compression == 1.0).all()


def check_parts(examples: Sequence[Examples], summary: Injected) -> None:
    """Every part has examples, with responses of its own."""
    assert {each.piece.part for each in examples if len(each.windows.y)} == set(PARTS)
    for each in examples:
        assert {summary.response_parts[row] for row in each.windows.response.tolist()} <= {each.piece.part}


def test_vehicles_and_responses_are_in_one_part(flights: list[FlightLog]) -> None:
    examples, split_by, summary = made([background(log) for log in flights])
    assert split_by == "airframe" and summary.split_by == {"simulated": "airframe"}
    check_parts(examples, summary)
    part_of = {each.piece.background.log.vehicle: each.piece.part for each in examples}
    assert len({(e.piece.background.log.vehicle, e.piece.part) for e in examples}) == len(part_of) == 6
    assert sum(sum(each.counts.values()) for each in examples) == EXAMPLES.examples
    assert sum(summary.examples.values()) + sum(summary.dropped.values()) == EXAMPLES.examples


def test_flights_of_one_vehicle_are_split(flights: list[FlightLog]) -> None:
    examples, split_by, summary = made([background(real(log, "mine")) for log in flights[:3]])
    check_parts(examples, summary)
    assert split_by == "flight" and len({each.piece.background.flight for each in examples}) == len(examples) == 3


def test_one_flight_is_split_by_time(flights: list[FlightLog]) -> None:
    examples, split_by, summary = made([background(real(flights[0]))])
    check_parts(examples, summary)
    assert split_by == "stretch" and [each.piece.part for each in examples] == list(PARTS)
    window_us = SPEC.window * 1_000_000 // SPEC.rate_hz
    for before, after in itertools.pairwise(examples):
        assert int(before.windows.start_us.max()) + window_us <= int(after.windows.start_us.min())


def test_half_of_the_examples_are_of_simulated_flights(flights: list[FlightLog]) -> None:
    mine = [real(log, "mine", f"{i:064x}") for i, log in enumerate(flights[:3])]
    examples, split_by, summary = made([background(log) for log in (*flights, *mine)])
    drawn = {True: 0, False: 0}
    for each in examples:
        drawn[each.piece.background.simulated] += sum(each.counts.values())
    assert drawn[True] == pytest.approx(drawn[False], abs=3)
    assert split_by == "flight" and summary.split_by == {"simulated": "airframe", "real": "flight"}
    alone, _, _ = made([background(log) for log in flights])
    for each in examples:  # a simulated vehicle's examples are the first ones of those without other vehicles
        same = [e for e in alone if e.piece.background.flight == each.piece.background.flight]
        if each.piece.background.simulated:
            pairs = [set(zip(*(w.start_us.tolist(), w.edr_m23_s.tolist()), strict=True)) for w in
                     (each.windows, same[0].windows)]  # fmt: skip
            assert pairs[0] < pairs[1]


def test_labels_are_by_the_injected_edr_and_gated_windows_are_dropped(flights: list[FlightLog]) -> None:
    examples, _, summary = made([background(log) for log in flights])
    y, edr = (np.concatenate([getattr(e.windows, name) for e in examples]) for name in ("y", "edr_m23_s"))
    turbulence = SPEC.labels.index("turbulence")
    assert (y[edr >= 0.2] == turbulence).all() and (y[edr < 0.2] != turbulence).all()
    assert (y[(edr > 0.1) & (edr < 0.2)] == BETWEEN).all()
    assert set(y[edr <= 0.1].tolist()) == {0, 1, 2, reason_code("mixed")}
    speed = np.concatenate([e.windows.vertical_speed_m_s for e in examples])
    known = np.isfinite(speed)
    assert known.mean() > 0.8
    assert (speed[known & (y == 1)] > 0.2).all() and (speed[known & (y == 2)] < -0.2).all()
    assert np.median(np.abs(speed[known & (y == 0)])) < SPEC.vertical.threshold_m_s
    assert summary.dropped["manoeuvring"] > 0 and edr.min() == np.float32(inject.CALM_EXAMPLE_EDR)


def test_energies_grow_with_edr(flights: list[FlightLog]) -> None:
    examples, _, _ = made([background(log) for log in flights])
    x, edr = (np.concatenate([getattr(e.windows, name) for e in examples]) for name in ("x", "edr_m23_s"))
    means = [x[(edr >= low) & (edr < high), 0].mean(axis=0) for low, high in ((0, 0.05), (0.1, 0.2), (0.3, 0.9))]
    assert (means[0] < means[1]).all() and (means[1][:15] < means[2][:15]).all()


def quiet_recipe(edr: Sequence[float], responses: Sequence[int]) -> inject.Recipe:
    """Responses as they are in the library, nothing else randomised."""
    n = len(edr)
    drawn = inject.draw("any", n, False, [0])
    return replace(
        drawn, edr=np.array(edr), response=np.array(responses), response_gain=np.ones((n, 4)), tilt=np.zeros(n),
        motion=np.zeros((n, 4)), motion_hz=np.ones((n, 4)),
        lowpass_hz=np.full(n, np.inf), noise=np.zeros((n, 6)), angle=np.zeros(n), background_gain=np.ones(n),
    )  # fmt: skip


def test_a_response_is_the_librarys_times_edr() -> None:
    library = load_responses()
    responses = inject.Responses.of(library, SPEC)
    recipe = replace(quiet_recipe([0.3, 0.6, 0.3], [4, 4, 9]), response_start=np.array([0.0, 0.0, 0.5]))
    gusts = responses.gusts(recipe, SPEC.window)
    pairs = library.samples[4, : 2 * SPEC.window].reshape(SPEC.window, 2, 6).mean(axis=1)
    assert np.allclose(gusts[0].T, pairs, atol=1e-5) and np.allclose(gusts[1], 2 * gusts[0])
    tilted = responses.gusts(replace(recipe, tilt=np.full(3, 0.8)), SPEC.window)
    assert np.array_equal(tilted[:, :3], gusts[:, :3])
    power = [(np.abs(np.fft.rfft(g[2, 3:])) ** 2).sum(axis=0) for g in (gusts, tilted)]
    assert (
        power[1][3:5].sum() < power[0][3:5].sum() and power[1][20:].sum() > power[0][20:].sum()
    )  # below and above 1 Hz


def test_gusts_are_added_then_filtered_and_turned() -> None:
    rng = np.random.default_rng(0)
    still, gusts = np.full((2, 6, 128), 3.0), rng.normal(size=(2, 6, 128))
    recipe = quiet_recipe([0.3, 0.3], [0, 0])
    plain = inject.add_gusts(still, gusts, recipe, rng, SPEC)
    assert plain == pytest.approx((3.0 + gusts).transpose(0, 2, 1), abs=1e-5)
    turned = inject.add_gusts(still, gusts, replace(recipe, angle=np.full(2, 1.0)), rng, SPEC)
    before, after = (energies(slot_steps(x, SPEC.bands), SPEC).astype(float) for x in (plain, turned))
    assert after == pytest.approx(before, rel=0.05)
    tone = np.broadcast_to(np.sin(2 * np.pi * 36 * np.arange(128) / 128), (2, 6, 128))  # 7.03 Hz
    plain, filtered = (
        inject.add_gusts(still, tone, replace(recipe, lowpass_hz=np.array(hz)), rng, SPEC)
        for hz in ((np.inf, np.inf), (3.5, np.inf))
    )
    before, after = (energies(slot_steps(x, SPEC.bands), SPEC)[:, :, 4] for x in (plain, filtered))
    assert after[0] / before[0] == pytest.approx(1 / (1 + (7.03125 / 3.5) ** 2), rel=0.02)
    assert np.array_equal(after[1], before[1])


def test_slow_motion_has_its_level_and_corner() -> None:
    recipe = replace(quiet_recipe([0.03] * 50, [0] * 50), motion=np.tile([0.0, 0.3, 0.2, 0.0], (50, 1)))
    x = inject.slow_motion(recipe, np.random.default_rng(0), SPEC)
    assert x.std(axis=2).mean(axis=0) == pytest.approx([0.0, 0.0, 0.3, 0.2, 0.2, 0.0])
    power = (np.abs(np.fft.rfft(x[:, 2])) ** 2).mean(axis=0)
    assert power[1:5].mean() > 20 * power[20:].mean()  # below and above 1 Hz


def test_the_gate_is_that_of_the_spec() -> None:
    wild = inject.add_gusts(
        np.zeros((1, 6, 128)),
        np.sin(np.arange(128) * 2 * np.pi / 25)[None, None] * np.full((1, 6, 1), 3.0),
        quiet_recipe([0.3], [0]),
        np.random.default_rng(0),
        SPEC,
    )
    steps = slot_steps(wild, SPEC.bands)
    assert manoeuvring(steps, energies(steps, SPEC), SPEC).all()


def ramp(slots: int) -> Slots:
    """Slots whose ax is their row."""
    row, zero = np.arange(slots), np.zeros(slots)
    imu = np.stack([row, *[zero] * 5], axis=1).astype(np.float32)
    return Slots(row, imu, zero, zero, zero, zero, zero, zero == 0, np.full(slots, UNKNOWN_MM_S), zero)


def test_backgrounds_are_compressed_in_time_within_their_stretch(flights: list[FlightLog]) -> None:
    slots = ramp(300)
    pool = inject.Pool((), slots, np.array([0, 130]), np.array([130, 170]), np.array([0, 0]), np.array([0.5, 1.0]))
    recipe = inject.draw("any", 400, True, [0])
    x, rows, stretch = pool.windows(recipe, 128)
    step = np.diff(x[:, 0], axis=1)
    assert np.abs(step - step[:, :1]).max() < 1e-4
    long = stretch == 1
    assert 0.7 <= step[:, 0].min() < 0.75 and step[long, 0].max() == pytest.approx(169 / 127, abs=1e-4)
    assert step[~long, 0].max() == pytest.approx(129 / 127, abs=1e-4)
    assert rows[~long].max() <= 129 and rows[long].min() >= 130 and x[long, 0].max() <= 299 + 1e-3


def test_own_labels_keep_the_vertical_speed_and_labels_of_the_background(flights: list[FlightLog]) -> None:
    own = replace(SPEC, output="classes", labels=("climb", "turbulence", "hover"))
    log = real(flights[0])
    span = LabelSpan(0, 2**62, "hover", "person")
    examples, _, _ = make_examples([read_background(log, (span,), "a", own)], own, EXAMPLES, 0)
    x, y, edr = (np.concatenate([getattr(e.windows, n) for e in examples]) for n in ("x", "y", "edr_m23_s"))
    assert x.shape[1:] == (1, 21) and 0.2 < np.abs(x[:, 0, 20]).max() < 10.0
    assert set(y[edr <= 0.1].tolist()) == {2} and set(y[edr >= 0.2].tolist()) == {1}


def test_parts_by_hash_do_not_depend_on_other_keys() -> None:
    names = [f"quad {i}" for i in range(40)]
    parts = by_hash(names)
    assert set(parts.values()) == set(PARTS) and 16 <= list(parts.values()).count("train") <= 32
    assert all(by_hash([name], fill=False)[name] == part for name, part in parts.items())
    assert set(by_hash(names[:3]).values()) == set(PARTS)
    assert len(by_hash(names[:2])) == 2


def test_logs_that_are_no_background_are_listed_with_the_reason(flights: list[FlightLog], tmp_path: Path) -> None:
    short = replace(flights[0], imu=ImuSeries(*(getattr(flights[0].imu, n)[:500] for n in flights[0].imu.SHAPES)))
    assert background(short).seconds == 0.0
    with pytest.raises(DatasetError, match=r"s of background found in 1 flight\(s\): too little"):
        made([background(cut(real(flights[0]), 14.0))])


def cut(log: FlightLog, seconds: float) -> FlightLog:
    """The start of a log."""
    last = int(log.imu.timestamp_us[0]) + int(seconds * 1e6)
    imu = ImuSeries(*(getattr(log.imu, n)[log.imu.timestamp_us < last] for n in log.imu.SHAPES))
    assert log.baro is not None
    return replace(log, imu=imu, baro=BaroSeries(*(getattr(log.baro, n) for n in log.baro.SHAPES)))


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["dataset", *map(str, arguments)])
    return code, *capfd.readouterr()


def test_the_command_prints_backgrounds_and_parts(
    logs: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capfd, *logs, "--inject", "--examples", 600, "--out", tmp_path / "set")
    lines = out.splitlines()
    assert code == 0 and sum("(simulated)" in line and "s on the ground" in line for line in lines) == 6
    assert "split: simulated flights by airframe" in out and "train: " in out and "manoeuvring" in out
    assert Dataset.load(tmp_path / "set").spec == SPEC


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--inject", "--preset", "default"), "--inject needs a spec with input = 'bands'"),
        (("--examples", "600"), "--examples applies with --inject only"),
        (("--inject", "--thinned", "25"), "--thinned does not apply with --inject"),
    ],
)
def test_options_that_do_not_fit_are_one_error(
    logs: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capfd, logs[0], *arguments, "--out", tmp_path / "set")
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err


def test_a_flight_given_twice_under_two_names_is_leakage(logs: list[Path], tmp_path: Path) -> None:
    copies = []
    for i, tail in enumerate((b"", b"\0", b"\0\0", b"\0\0\0")):
        copies.append(tmp_path / f"{i}.ulg")
        copies[-1].write_bytes(logs[0].read_bytes() + tail)
    with pytest.raises(DatasetError, match="hold the same window"):
        build_dataset(copies, SPEC, tmp_path / "set", inject=InjectOptions(600))


def test_a_recorded_flight_alone_gives_a_data_set(shared: Path, tmp_path: Path) -> None:
    log = shared / "data" / "ulg" / "frrs_battery_brownout.ulg"
    data = build_dataset([log], SPEC, tmp_path / "set", inject=EXAMPLES)
    assert data.about.split_by == "stretch" and [flight.part for flight in data.flights] == list(PARTS)
    assert len({flight.source for flight in data.flights}) == 3
    found = data.about.inject
    assert found and not found.backgrounds[0].simulated and 60 < found.backgrounds[0].seconds < 75
    windows = data.windows(PARTS, every=True)
    calm, rough = (windows.x[windows.edr_m23_s < 0.04], windows.x[windows.edr_m23_s > 0.3])
    growth = (np.median(rough, axis=0) - np.median(calm, axis=0)).reshape(4, 5)
    assert growth[:, :3].min() > 1.0  # below 3.5 Hz: twice the energy
