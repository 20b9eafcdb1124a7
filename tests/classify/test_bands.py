"""What `classify` and `live` report of a bundle of spec version 2: EDR, severity, vertical speed, reasons."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from bands_bundle import CLIMB_M_S, air_flight, bands_bundle
from live_process import play_to_live
from live_samples import RECEIVED_US, Sender
from toolchains import need_wheel

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.classify_logs import ClassifiedLog
from px4_tinyml.classify.companion import Companion, open_pipeline
from px4_tinyml.classify.keep import unsure
from px4_tinyml.classify.tally import Tally
from px4_tinyml.cli.live_view import TextView
from px4_tinyml.cli.main import main
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import read_log
from px4_tinyml.logs.tlog.tlog_file import tlog_records
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.decision_values import severity
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.slots import feed
from px4_tinyml.signal.streaming import Decided
from px4_tinyml.signal.windows import Reason

QUAD, FIXED_WING = 2, 1
OLD_COLUMNS = "log,start_us,end_us,class,confidence,flags,p_level,p_climb,p_descend,p_turbulence"


def frames(flight: FlightLog, sender: Sender, kind: int = QUAD) -> list[Frame]:
    """A flight as HIGHRES_IMU, with a heartbeat a second: armed in the air."""
    assert flight.baro is not None and flight.on_ground is not None
    altitude = np.interp(flight.imu.timestamp_us, flight.baro.timestamp_us, flight.baro.altitude_m)
    made, second = [], -1
    for i, time_us in enumerate(flight.imu.timestamp_us.tolist()):
        received_us = RECEIVED_US + time_us
        if time_us // 1_000_000 != second:
            second = time_us // 1_000_000
            armed = 0 if flight.on_ground[i] else 128
            made.append(sender.frame(sender.m.MAVLink_heartbeat_message(kind, 12, armed, 0, 4, 3), received_us))
        imu = [*flight.imu.accel_m_s2[i].tolist(), *flight.imu.gyro_rad_s[i].tolist()]
        made.append(sender.highres(time_us, imu, altitude[i]))
        made[-1].received_us = received_us
    return made


@pytest.fixture(scope="module")
def air_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle, folder = bands_bundle(), tmp_path_factory.mktemp("bands") / "bundle"
    golden = make_golden(bundle.classifier(), feed(dataclasses.replace(air_flight(25.0), on_ground=None), bundle.spec))
    dataclasses.replace(bundle, golden=golden).save(folder)
    return folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "air.tlog"
    path.write_bytes(tlog_records(frames(air_flight(100.0), Sender(1))))
    return path


def test_columns_of_a_csv(air_bundle: Path, recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    out = tmp_path / "decisions.csv"
    assert main(["classify", str(air_bundle), str(recording), "--out", str(out)]) == 0
    head = out.read_text().splitlines()[0]
    assert head == f"{OLD_COLUMNS},edr_m23_s,vertical_speed_m_s,reason,severity"
    rows = list(csv.DictReader(out.open()))
    ground = [row for row in rows if row["reason"]]
    assert {(row["reason"], row["class"], row["edr_m23_s"], row["severity"]) for row in ground} == {
        ("on_ground", "uncertain", "", "")
    }
    judged = [row for row in rows if not row["reason"]]
    assert len(ground) > 10 and len(judged) > 80
    assert all(severity(float(row["edr_m23_s"])) == row["severity"] for row in judged)
    assert {row["severity"] for row in judged} >= {"light", "severe"}
    climbs = [float(row["vertical_speed_m_s"]) for row in judged if row["class"] == "climb"]
    assert len(climbs) > 10 and max(climbs) == pytest.approx(CLIMB_M_S, abs=0.3)
    peak = max(float(row["edr_m23_s"]) for row in judged if row["class"] == "turbulence")
    (line,) = (r.getMessage() for r in caplog.records if r.levelname == "INFO" and "turbulence" in r.getMessage())
    assert f" s, severe, EDR est. {peak:.2f}, uncertain {0.64 * len(ground):.1f} s (on_ground" in line
    assert "decimated" not in caplog.text


def test_json_has_the_same_and_both_engines_give_it(
    air_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_wheel("tflite_micro", "engine tflm needs it")
    documents = []
    for engine in ("numpy", "tflm"):
        assert main(["classify", str(air_bundle), str(recording), "--json", "--engine", engine]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    (log,) = documents[0]["logs"]
    assert log["uncertain_seconds"] == {"on_ground": log["seconds"]["uncertain"]} and log["edr_m23_s"] > 0.45
    first, last = log["decisions"][0], log["decisions"][-1]
    assert (first["edr_m23_s"], first["severity"], first["reason"]) == (None, None, "on_ground")
    assert last["edr_m23_s"] > 0.45 and last["severity"] == "severe" and abs(last["vertical_speed_m_s"]) < 0.3
    assert main(["classify", "pretrained", str(recording), "--json"]) == 0
    (log,) = json.loads(capsys.readouterr().out)["logs"]
    assert list(log) == ["log", "windows", "seconds", "counts", "decisions"]
    assert list(log["decisions"][0]) == OLD_COLUMNS.split(",")[1:]


def test_a_vehicle_class_of_the_log_and_a_low_rate(
    air_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plane.tlog"
    path.write_bytes(tlog_records(frames(air_flight(50.0), Sender(1), FIXED_WING)))
    assert main(["classify", str(air_bundle), str(path), "--json"]) == 0
    (log,) = json.loads(capsys.readouterr().out)["logs"]
    assert {d["reason"] for d in log["decisions"]} == {
        "on_ground+not_multirotor+reduced_sensitivity", "not_multirotor+reduced_sensitivity",
    }  # fmt: skip
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1 and "IMU samples are decimated: 50 a second" in warnings[0]


def test_live_decides_as_classify(air_bundle: Path, tmp_path: Path) -> None:
    """A fixed wing at 60 Hz: the type in its heartbeat arrives at the pipeline."""
    flight, sender = air_flight(60.0), Sender(1)
    played = [f for f in frames(flight, sender, FIXED_WING) if f.received_us < RECEIVED_US + 25_000_000]
    heartbeat = sender.frame(sender.m.MAVLink_heartbeat_message(FIXED_WING, 12, 0, 0, 4, 3))
    live, _ = play_to_live(air_bundle, played, [heartbeat], "--json", "--record", tmp_path / "rec", speed=16.0)
    (start,), decisions = live.json("start"), live.json("decision")
    assert start["engine"] == "numpy"
    (path,) = (tmp_path / "rec").glob("*.tlog")
    (log,) = read_log(path)
    bundle = ModelBundle.load(air_bundle)
    expected = list(ClassifiedLog("", bundle.classifier().classify(log), bundle.spec).rows())
    assert len(decisions) > 15
    for found, row in zip(decisions, expected, strict=True):
        assert {key: value for key, value in row.items() if not key.startswith("p_")}.items() <= found.items()
    assert {"on_ground+not_multirotor+reduced_sensitivity"} <= {d["reason"] for d in decisions}
    assert "uncertain" in live.err[-1] and "not_multirotor" in live.err[-1]


def test_text_of_live(capsys: pytest.CaptureFixture[str]) -> None:
    bundle = bands_bundle()
    pipeline, engine = open_pipeline(bundle)
    assert engine == "numpy"
    sender = Sender(1)
    companion, view = Companion(pipeline, 1, 1), TextView(bundle.spec, None, True, True)
    made: list[Decided] = companion.take(frames(air_flight(100.0), sender))
    for decided in made:
        view.decided(decided, 0, RECEIVED_US)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("%  ")[1].endswith("m/s, on_ground") and "uncertain" in lines[0]
    assert any(
        " climb " in line and " %  light, EDR est. 0.1" in line and " m/s  (was level)" in line for line in lines
    )
    assert "turbulence" in lines[-1] and ", EDR est. 0." in lines[-1]
    with pytest.raises(ToolchainError, match='engine compiled: not available for input = "bands"; use --engine numpy'):
        open_pipeline(bundle, "host")


def test_windows_worth_labelling() -> None:
    """Not those on the ground or of a vehicle that is not judged."""
    spec = bands_bundle().spec
    decision = bands_bundle().classifier().classify(air_flight(50.0)).decisions[-1].copy()
    decision["class_index"], decision["flags"] = UNCERTAIN, 2
    for reason in Reason:
        decision["reasons"] = reason
        assert unsure(decision, spec) == (reason not in (Reason.ON_GROUND, Reason.NOT_MULTIROTOR))


def test_a_tally_counts_each_reason() -> None:
    spec = bands_bundle().spec
    decision = bands_bundle().classifier().classify(air_flight(50.0)).decisions[-1].copy()
    tally = Tally(spec)
    tally.add(decision)
    decision["class_index"] = UNCERTAIN
    decision["reasons"] = Reason.MANOEUVRING | Reason.UNFAMILIAR | Reason.BARO_STALE
    tally.add(decision)
    assert tally.seconds == {"turbulence": 0.64, "uncertain": 0.64}
    assert tally.uncertain_seconds == {"manoeuvring": 0.64, "unfamiliar": 0.64}
    assert tally.edr_m23_s == decision["edr_e4"] / 10_000


@pytest.mark.parametrize(
    ("edr", "word"),
    [(0.0, "none"), (0.1, "none"), (0.1001, "light"), (0.2, "moderate"), (0.4499, "moderate"), (0.45, "severe")],
)
def test_severity_words(edr: float, word: str) -> None:
    assert severity(edr) == word
