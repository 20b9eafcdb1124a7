"""Networks of `bands` specs: joined branches, int8 by construction, curve and limits, a bundle that runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.bundle import REPORT_FILE, ModelBundle
from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.dataset.build import Collected, build, prepare
from px4_tinyml.dataset.store import Dataset, Windows
from px4_tinyml.errors import DatasetError, SpecError, ToolchainError
from px4_tinyml.flight_log import BaroSeries, FlightLog, ImuSeries, ReferenceSeries
from px4_tinyml.logs import read_log
from px4_tinyml.report import write_report
from px4_tinyml.signal.air_decision import AIR_DECISION, edr_e4, ln_q16, unfamiliar
from px4_tinyml.signal.golden import check_golden, read_golden
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml.signal.spec_tables import EdrSpec, LimitsSpec
from px4_tinyml.signal.windows import Reason
from px4_tinyml.targets.registry import generate
from px4_tinyml.training import architectures, fit, known, quantize, rivals
from px4_tinyml.training.evaluation import evaluate
from px4_tinyml.training.fit import TrainOptions
from px4_tinyml.training.pipeline import train

BANDS = PRESETS["bands"]
CLASSES = dataclasses.replace(BANDS, output="classes")


def windows(count: int, seed: int, spec: PipelineSpec = BANDS) -> Windows:
    """Log energies that grow with EDR, about a background of their own."""
    rng = np.random.default_rng(seed)
    edr = np.exp(rng.uniform(np.log(0.03), np.log(0.9), count))
    gust = 36.0 + 2.0 * np.log2(edr / 0.1)[:, None] + rng.normal(0, 0.5, (count, 20))
    x = np.logaddexp2(gust, 34.0 + rng.normal(0, 1.0, (count, 1)))
    speed = rng.normal(0, 1.0, count)
    if len(spec.features) > 20:
        x = np.concatenate([x, speed[:, None]], axis=1)
    moving = np.where(speed > 0.5, 1, np.where(speed < -0.5, 2, 0))
    y = np.where(edr >= 0.2, 3, np.where((edr > 0.1) & (spec.output == "edr"), -1, moving))
    ones = np.ones(count, bool)
    return Windows(x.astype(np.float32)[:, None], y, np.zeros(count), np.arange(count), ones, edr, speed, speed)


@pytest.fixture(scope="module")
def fitted() -> tuple[fit.Trained, bytes, bytes, Windows, Windows]:
    part, held_out = windows(1500, 1), windows(800, 2)
    trained = fit.fit_network(part, held_out, BANDS, TrainOptions(epochs=5, batch=64))
    return trained, *quantize.to_tflite(trained, part, held_out, 0), part, held_out


def test_a_joined_network_is_the_mean_of_its_branches() -> None:
    models = [architectures.make_model("bands", BANDS) for _ in range(3)]
    x = np.random.default_rng(0).normal(0, 1, (50, 20)).astype(np.float32)
    expected = np.mean([model.predict(x, verbose=0) for model in models], axis=0)
    assert np.allclose(architectures.join(models, BANDS).predict(x, verbose=0), expected, atol=1e-5)


def test_only_the_architectures_of_the_input_fit() -> None:
    assert [architectures.architecture(None, spec) for spec in (BANDS, PRESETS["default"])] == ["bands", "conv"]
    for arch, spec in (("conv", BANDS), ("dense", CLASSES), ("bands", PRESETS["default"]), ("lstm", BANDS)):
        with pytest.raises(SpecError, match=f"architecture '{arch}' found, .* expected for a spec with input"):
            architectures.architecture(arch, spec)


def test_ranges_of_input_and_output_do_not_depend_on_the_windows(fitted) -> None:
    _, model, _, _, _ = fitted
    graph = read_model(model)
    assert [op.name for op in graph.operators] == ["FULLY_CONNECTED"] * 3
    assert graph.input.scale == pytest.approx(2 * BANDS.clip / 255, rel=1e-6) and graph.input.zero_point in (-1, 0)
    low, high = ((q - graph.output.zero_point) * graph.output.scale for q in (-128, 127))
    assert np.exp(low) == pytest.approx(0.01, rel=0.02) and np.exp(high) == pytest.approx(1.5, rel=0.02)


def test_int8_is_close_to_float_and_equal_on_every_engine(fitted) -> None:
    trained, model, float_model, _, held_out = fitted
    inputs = fit.network_input(held_out.x, trained.spec)
    expected = trained.model.predict(inputs, verbose=0)
    assert np.allclose(quantize.float_outputs(float_model, inputs), expected, atol=1e-4)
    assert np.abs(quantize.int8_outputs(model, held_out.x, trained.spec) - expected).mean() < 0.02
    error = expected[:, 0] - np.log(held_out.edr_m23_s)
    assert np.sqrt((error**2).mean()) < 0.5
    q = np.random.default_rng(0).integers(-128, 128, (200, 20)).astype(np.int8)
    assert np.array_equal(quantize.Int8Interpreter(model).invoke(q), TflmInterpreter(model).invoke(q))
    assert any("fully_connected" in text for text in compile_model(read_model(model), "0" * 64).values())


def test_equalized_weights_are_the_same_function(fitted) -> None:
    trained, _, _, part, _ = fitted
    x = fit.network_input(part.x[:300], trained.spec)
    other = architectures.make_model("bands", trained.spec, branches=3)
    other.set_weights(quantize.equalized(trained.model, x))
    assert np.allclose(other.predict(x, verbose=0), trained.model.predict(x, verbose=0), atol=1e-3)
    conv = architectures.make_model("conv", PRESETS["default"])
    window = np.random.default_rng(1).normal(0, 1, (20, 1, 128, 7)).astype(np.float32)
    changed = architectures.make_model("conv", PRESETS["default"])
    changed.set_weights(quantize.equalized(conv, window))
    assert np.allclose(changed.predict(window, verbose=0), conv.predict(window, verbose=0), atol=1e-3)


def test_the_curve_rises_and_leads_to_the_truth() -> None:
    rng = np.random.default_rng(3)
    true = np.exp(rng.uniform(np.log(0.03), np.log(0.9), 6000)).astype(np.float32)
    ln_read = np.log(true**1.4) + rng.normal(0, 0.1, 6000)  # reads low in the middle
    edr = known.fit_curve(EdrSpec(), ln_read, true)
    assert 8 <= len(edr.read) <= 12
    spec = dataclasses.replace(BANDS, edr=edr)
    for value in (0.15, 0.25, 0.4, 0.7):
        assert edr_e4(ln_q16(value**1.4), spec) * 1e-4 == pytest.approx(value, rel=0.12)
    assert known.fit_curve(EdrSpec(), ln_read[:50], true[:50]) == EdrSpec()


def test_one_training_window_in_two_thousand_is_unfamiliar() -> None:
    rng = np.random.default_rng(4)
    mixed = rng.normal(0, 1, (6, 6))
    inputs = np.clip(np.rint(rng.normal(0, 8, (20_000, 6)) @ mixed), -128, 127).astype(np.int8)
    limits = known.fit_limits(LimitsSpec(), inputs)
    spec = dataclasses.replace(BANDS, limits=LimitsSpec())
    object.__setattr__(spec, "limits", limits)
    assert unfamiliar(inputs, spec).mean() == pytest.approx(0.0005, abs=0.0002)
    away = inputs - inputs.mean(axis=0)
    covariance = away.T @ away / len(away) + known.SMALLEST_SPREAD**2 * np.eye(6)
    exact = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
    assert (unfamiliar(inputs, spec) == (exact > np.quantile(exact, known.FAMILIAR_SHARE))).mean() > 0.998
    assert max(map(abs, limits.whiten)) == known.LARGEST_INTEGER


def test_physics_and_trees_decide_turbulence() -> None:
    part, held_out = windows(1500, 5), windows(800, 6)
    labelled = held_out.take(held_out.y >= 0)
    constant = rivals.fit_physics(part, BANDS)
    formula = rivals.physics(constant, labelled, BANDS)
    trees = rivals.fit_trees(part, BANDS, 0)(labelled)
    slope = rivals.slope(labelled, BANDS)
    assert (formula == labelled.y).mean() > 0.8 and (trees == labelled.y).mean() > 0.9
    assert slope is not None and set(slope.tolist()) == {0, 1, 2}
    part, held_out = windows(1500, 5, CLASSES), windows(800, 6, CLASSES)
    assert (rivals.fit_trees(part, CLASSES, 0)(held_out) == held_out.y).mean() > 0.9


def test_too_little_to_learn_from_is_one_clear_error() -> None:
    part, held_out = windows(100, 1), windows(50, 2)
    for train_part, words in (
        (part.take(np.zeros(100, bool)), "known EDR"),
        (dataclasses.replace(part, edr_m23_s=np.full(100, 0.03)), "one EDR only"),
    ):
        with pytest.raises(DatasetError, match=words):
            fit.fit_network(train_part, held_out, BANDS, TrainOptions())


LEGS = ((-1.5, 0.03), (0.0, 0.03), (1.2, 0.03), (0.0, 0.3), (0.0, 0.15), (0.0, 0.5))


def flight(seed: int) -> FlightLog:
    """Six legs of (velocity down m/s, EDR) after seconds on the ground; the gusts grow with EDR."""
    rng = np.random.default_rng(seed)
    rate, leg = 100, 1400
    legs = [(0.0, 0.03, 0), *((*LEGS[i], 1) for i in rng.permutation(len(LEGS)))]
    down, edr, flying = (np.repeat([leg[i] for leg in legs], leg) for i in range(3))
    down = np.convolve(np.pad(down, 25, "edge"), np.ones(51) / 51, "valid")
    time = 5_000_000 + np.arange(len(down)) * (1_000_000 // rate)
    gusts = np.convolve(rng.normal(0, 1, len(down) + 24), np.ones(25) / 5, "valid") * edr * 3
    accel = rng.normal(0, 0.1, (len(down), 3)) + gusts[:, None] * (0.2, -0.2, 1.0)
    accel[:, 2] += np.gradient(down, 1 / rate) - 9.80665
    gyro = rng.normal(0, 0.01, (len(down), 3)) + np.roll(gusts, 7)[:, None] * (0.03, 0.05, 0.01)
    altitude = 50 - np.cumsum(down) / rate
    ref = slice(None, None, 10)
    held = (down[ref], flying[ref], flying[ref], edr[ref], np.full(len(time[ref]), np.nan))
    baro = BaroSeries(time[::5], altitude[::5] + rng.normal(0, 0.05, len(altitude[::5])))
    imu = ImuSeries(time, accel, gyro)
    return FlightLog(
        f"{seed}.ulg", f"{seed:064x}", "ulog", f"quad {seed}", imu, baro, ReferenceSeries(time[ref], *held)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A bundle of a short training, and its data set."""
    folder = tmp_path_factory.mktemp("bands")
    dataset = build(Collected([prepare(flight(i), BANDS) for i in range(8)]), BANDS, folder / "set", seed=1)
    train(dataset, folder / "bundle", TrainOptions(epochs=4, batch=32))
    return folder / "bundle", dataset


def alike(bundle: ModelBundle, events: Feed) -> int:
    """Decisions of a feed, equal in NumPy, in the wheel, and sample by sample."""
    whole = [bundle.classifier(engine).run(events) for engine in ("numpy", "tflm")]
    pipeline, pushed, streamed = bundle.pipeline(), 0, []
    for i, time_us in enumerate(events.imu_time_us.tolist()):
        for k in range(pushed, int(events.baro_before[i])):
            pipeline.push_baro(int(events.baro_time_us[k]), float(events.baro_altitude_m[k]))
        pushed = int(events.baro_before[i])
        pipeline.push_ground(bool(events.on_ground[i]))
        streamed += [decided.decision for decided in pipeline.push_imu(time_us, events.imu[i])]
    assert all(np.array_equal(getattr(whole[0], name), getattr(whole[1], name)) for name in ("inputs", "outputs"))
    assert np.array_equal(whole[0].decisions, whole[1].decisions)
    assert np.array_equal(whole[0].decisions, np.array(streamed, AIR_DECISION)) and pipeline.counts == whole[0].counts
    return len(streamed)


@pytest.mark.parametrize(
    "name", ["ulg/ascend_test.ulg", "bin/erle_1110_104.BIN", "tlog/phoenix_mission1_2018-09-17.tlog"]
)
def test_a_recorded_flight_is_decided_alike_on_every_engine(
    made: tuple[Path, Dataset], shared: Path, name: str
) -> None:
    bundle = ModelBundle.load(made[0])
    (log,) = read_log(shared / "data" / name)
    alike(bundle, feed(log, bundle.spec))


def test_a_bundle_decides_alike_on_every_engine(made: tuple[Path, Dataset]) -> None:
    bundle = ModelBundle.load(made[0])
    assert check_golden(bundle.golden, bundle.classifier()) == len(bundle.golden["output"]) > 80
    events, expected = read_golden(bundle.golden, bundle.spec)
    found = int(np.bitwise_or.reduce(expected.reasons))
    assert found & Reason.ON_GROUND and found & Reason.MANOEUVRING and found & Reason.BARO_STALE
    assert all(expected.counts[f"reset_{cause}"] for cause in ("gap", "backwards", "non_finite"))
    for each in (events, feed(flight(99), bundle.spec)):
        assert alike(bundle, each) > 80
    assert np.isfinite(bundle.classifier().run(feed(flight(99), bundle.spec)).edr_m23_s).any()


def test_a_bundle_is_scored_with_all_its_rivals(made: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, dataset = made
    bundle = ModelBundle.load(folder)
    metrics = bundle.manifest.metrics
    assert list(metrics.scores) == ["float", "int8", "baseline", "slope", "trees", "physics"]
    assert metrics.int8.macro_f1 > 0.8 and metrics.slope is not None and metrics.slope.f1["turbulence"] == 0.0
    assert metrics.edr is not None and metrics.edr.strong.called > 0.9 * metrics.edr.strong.windows > 10
    assert metrics.agreement > 0.99 and metrics.agreement_trees is not None
    assert evaluate(bundle, dataset) == metrics
    write_report(tmp_path / REPORT_FILE, bundle, dataset)
    text = (tmp_path / REPORT_FILE).read_text()
    assert "EDR of test windows" in text and '<svg class="chart phone"' in text
    assert "boosted trees" in text and "EDR formula" in text and "Huber" in text and "a_z 1-2 Hz" in text


def test_there_is_no_cpp_of_it(made: tuple[Path, Dataset], tmp_path: Path) -> None:
    bundle = ModelBundle.load(made[0])
    for target in ("host", "px4", "arduino", "cortex-m4"):
        with pytest.raises(ToolchainError, match="only --engine numpy and tflm can run it"):
            generate(bundle, target, tmp_path / target)


def test_a_softmax_over_labels(tmp_path: Path) -> None:
    dataset = build(Collected([prepare(flight(i), CLASSES) for i in range(8)]), CLASSES, tmp_path / "set", seed=1)
    bundle = train(dataset, tmp_path / "bundle", TrainOptions(epochs=8, batch=32))
    metrics = ModelBundle.load(tmp_path / "bundle").manifest.metrics
    assert metrics.int8.macro_f1 > 0.8 and metrics.physics is None and metrics.edr is None
    assert bundle.spec.limits.distance > 0 and bundle.manifest.model.operators[-1] == "SOFTMAX"
    assert np.isnan(bundle.classifier().classify(flight(99)).edr_m23_s).all()
