"""A folder of recordings through the shipped bundle, and the command that prints and writes the tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toolchains import need_wheel

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import SpecError
from px4_tinyml.flight_log import FlightLog, ImuSeries
from px4_tinyml.logs import read_log
from px4_tinyml.quality.air_figures import Share
from px4_tinyml.quality.air_truth import read_truth
from px4_tinyml.quality.judge import RealAir, judge
from px4_tinyml.quality.judged import judged, turbulence_index
from px4_tinyml.quality.recordings import joined
from px4_tinyml.quality.tables import BEGIN, END, as_markdown, write_page
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.spec import PRESETS

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "quality" / "real_air.py"
RATE_HZ = 200.0
MAP = """
vehicle = "quad"
[time]
column = "t"
unit = "s"
[accel]
unit = "m/s2"
x = { column = "ax" }
y = { column = "ay" }
z = { column = "az" }
[gyro]
unit = "rad/s"
x = { column = "gx" }
y = { column = "gy" }
z = { column = "gz" }
"""


def write_imu(path: Path, seconds: float, shaking: float) -> None:
    """A CSV of 200 Hz from t = 100 s on: noise, and from the half on a slow shaking of the vehicle."""
    rng = np.random.default_rng(1)
    time = 100.0 + np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    values = rng.normal(0.0, 0.05, (len(time), 6)) * [1, 1, 1, 0.1, 0.1, 0.1]
    values[:, 2] -= 9.81
    rough = time > 100.0 + seconds / 2
    for axis in range(6):
        wave = sum(np.sin(2 * np.pi * f * time + axis + f) for f in (0.7, 1.1, 1.9, 3.1))
        values[rough, axis] += shaking * (wave * (1.0 if axis < 3 else 0.3))[rough]
    rows = "\n".join(",".join(f"{v:.5f}" for v in row) for row in np.column_stack([time, values]))
    path.write_text(f"t,ax,ay,az,gx,gy,gz\n{rows}\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recording of known air, one of unknown air that the same map describes, one that no map describes."""
    made = tmp_path_factory.mktemp("air")
    write_imu(made / "known.csv", 80.0, 1.0)
    write_imu(made / "unknown.csv", 20.0, 0.0)
    (made / "other.csv").write_text("time,acc_x\n1,2\n")
    (made / "map.toml").write_text(MAP)
    (made / "other.toml").write_text('labels = ["a", "b"]\n')
    (made / "truth.csv").write_text(
        "file,columns,vehicle,start_s,end_s,air\nknown.csv,map.toml,quad,0,40,calm\nknown.csv,map.toml,quad,40,,turbulent\n"
    )
    return made


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return ModelBundle.load(Path("pretrained"))


@pytest.fixture(scope="module")
def result(folder: Path, bundle: ModelBundle) -> RealAir:
    truth = read_truth(folder / "truth.csv", folder)
    return judge(bundle, [(folder, truth)], rates_hz=[100.0, 150.0])


def test_windows_by_kind_and_recordings_of_unknown_air(result: RealAir) -> None:
    full = result.tables[0]
    (vehicle,) = full.vehicles
    assert vehicle.vehicle == "quad" and vehicle.files == ["known.csv"]
    assert vehicle.stretches == {"calm": 1, "turbulent": 1, "manoeuvre": 0}
    # The log starts at 100 s, a multiple of neither window nor hop: windows end on multiples of 0.64 s.
    ends = np.arange(0, 200_000_000, 640_000)
    ends = ends[(ends - 2_560_000 > 100_000_000) & (ends < 180_000_000)]
    assert vehicle.windows["calm"] == (ends <= 140_000_000).sum()
    assert vehicle.windows["turbulent"] == (ends >= 140_400_000).sum()
    assert vehicle.left_out == len(ends) - vehicle.windows["calm"] - vehicle.windows["turbulent"]
    figures = vehicle.stages["alone"]
    assert figures.calm_called.count == 0 and figures.turbulent_found.count >= 0.9 * figures.turbulent_found.of
    assert figures.onset.median_s is not None and 0.4 <= figures.onset.median_s <= 3.2
    assert [log.name for log in full.unknown_air] == ["unknown.csv"] and full.unknown_air[0].turbulence_alone.count == 0
    assert list(result.unusable) == ["other.csv"] and "none of 2 column maps fits" in result.unusable["other.csv"]
    assert full.motion == [] and full.no_window == []


def test_decimated_copies_have_tables_of_their_own(result: RealAir) -> None:
    assert [tables.rate_hz for tables in result.tables] == [None, 100.0, 150.0]
    full, half, too_fast = result.tables
    assert half.vehicles[0].windows == full.vehicles[0].windows
    assert too_fast.vehicles == [] and too_fast.unknown_air == []  # 200 Hz is not twice 150 Hz


def test_both_engines_give_the_same_figures(folder: Path, bundle: ModelBundle, result: RealAir) -> None:
    need_wheel("tflite_micro", "engine tflm needs it")
    by_tflm = judge(bundle, [(folder, read_truth(folder / "truth.csv", folder))], engine="tflm")
    assert by_tflm.tables == result.tables[:1] and by_tflm.engine == "tflm"


def test_scores_and_classes_of_a_bundle_of_version_1(folder: Path, bundle: ModelBundle) -> None:
    (log,) = read_log(folder / "known.csv", folder / "map.toml")
    classified = bundle.classifier().classify(log)
    windows = judged(classified, bundle.spec)
    turbulence = turbulence_index(bundle.spec)
    assert np.array_equal(windows.alone.score, (classified.outputs[:, turbulence] + 128.0) / 256.0)
    assert np.array_equal(windows.alone.index, classified.outputs.argmax(axis=1)) and not windows.alone.reasons
    assert np.array_equal(windows.filtered.index, classified.decisions["class_index"])
    uncertain = windows.filtered.reasons["low_confidence"]
    assert uncertain.any() and np.array_equal(uncertain, windows.filtered.index == UNCERTAIN)
    assert np.isnan(windows.vertical_speed_m_s).all() and set(windows.vertical.tolist()) <= {0, 1, 2}
    with pytest.raises(SpecError, match="labels vert, hori found, a bundle with the label turbulence expected"):
        turbulence_index(PRESETS["arduino119"])


def capture(first_us: int, rows: int) -> FlightLog:
    time = (first_us + np.arange(rows) * 10_000).astype(np.uint64)
    accel = np.full((rows, 3), float(first_us))
    return FlightLog("a#0", "0" * 64, "arduino_csv", "nano", ImuSeries(time, accel, accel), complete=True)


def test_captures_are_joined_without_a_gap() -> None:
    stream = joined([capture(1_000_000, 5), capture(90_000_000, 3), capture(500_000_000, 2)], "a")
    assert stream.imu.timestamp_us.tolist() == list(range(1_000_000, 1_100_000, 10_000))
    assert stream.imu.accel_m_s2[:, 0].tolist() == [1e6] * 5 + [9e7] * 3 + [5e8] * 2
    assert not stream.complete and stream.source == "a"


def test_the_tables_replace_what_is_between_the_markers(tmp_path: Path, result: RealAir) -> None:
    page = tmp_path / "quality.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_page(page, as_markdown(result))
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n") and "old" not in text
    assert "| quad " in text and "decimated to 100 Hz" in text
    write_page(page, as_markdown(result))
    assert page.read_text() == text
    page.write_text("no markers")
    with pytest.raises(SpecError, match="both expected around the generated text"):
        write_page(page, "tables")


def test_the_command(folder: Path, tmp_path: Path, result: RealAir) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    document = json.loads(run("--data", folder, "--json").stdout)
    figures = document["tables"][0]["vehicles"][0]["stages"]["alone"]["turbulent_found"]
    expected = result.tables[0].vehicles[0].stages["alone"].turbulent_found
    assert figures == {"count": expected.count, "of": expected.of}
    (tmp_path / "bad.csv").write_text("file\n")
    failed = run("--data", folder, "--truth", tmp_path / "bad.csv")
    assert failed.returncode == 1 and failed.stderr.splitlines()[-1].startswith("real_air.py: ")
    assert "bad.csv:1: header file found" in failed.stderr and "Traceback" not in failed.stderr


CALM_CALLED = {
    "crazyflie ss": (0, 113),
    "ardupilot quad cs501": (0, 28),
    "ardupilot erle loiter": (8, 372),
    "px4 ascend": (3, 47),
    "px4 frrs": (4, 93),
    "px4 frrs, strong vibration": (14, 115),
    "crazyflie fan d1": (22, 96),
    "zipline fixed wing": (19, 143),
    "phantom 4 rtk": (0, 0),
}
"""Windows of calm air that `pretrained` reports as turbulence after the filter, of all. An independent script gave
the same numbers of windows, and the same shares to two digits."""


def test_recordings_of_the_shared_folder(shared: Path, bundle: ModelBundle) -> None:
    data = shared / "data"
    full = judge(bundle, [(data, read_truth(data / "truth.csv", data))]).tables[0]
    by_name = {each.vehicle: each.stages["filtered"] for each in full.vehicles}
    assert {name: (f.calm_called.count, f.calm_called.of) for name, f in by_name.items()} == CALM_CALLED
    quad = by_name["ardupilot quad cs501"]
    assert (quad.turbulent_found, quad.manoeuvre_called) == (Share(16, 72), Share(12, 89))
    assert quad.auc == pytest.approx(0.83, abs=0.005)
    assert by_name["crazyflie fan d1"].turbulent_found == Share(288, 288)
    motion = {row.name: row for row in full.motion}
    # Barometer and GPS velocity contradict the vertical speed of three whole logs and parts of three more. With those
    # references 0.494 of 1576 windows was found; the rows of the other eight logs are the same.
    assert not {name for name in motion if name.startswith("air/three_quads") or "erle_1008_10" in name}
    whole = motion["all logs, one confusion"]
    assert whole.windows == 1297 and whole.macro_f1["four_alone"] == pytest.approx(0.567, abs=0.005)
    assert {"imu_csv/nano_vert.csv", "bin/erle_0907_24.BIN"} <= {log.name for log in full.unknown_air}
