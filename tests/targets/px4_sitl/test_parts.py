"""PX4 in the loop without PX4: instances, processes, parameters, recordings as sensors, the truth in a log."""

from __future__ import annotations

import math
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from vehicle_field import wait_until

from px4_tinyml.errors import LinkError, LogError, ToolchainError
from px4_tinyml.logs.ulog.ulog_file import UlogFile
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.airframes import airframe, draw_vehicle
from px4_tinyml_sitl.attitude import body_to_ned, quaternion
from px4_tinyml_sitl.catalog import AIRFRAMES
from px4_tinyml_sitl.flight import Simulator, SlowRow, plan_flight
from px4_tinyml_sitl.px4.hil_flight import HilImu
from px4_tinyml_sitl.px4.hil_link import pressure_hpa
from px4_tinyml_sitl.px4.player import STEP_US, Stream, StreamSource, playable
from px4_tinyml_sitl.px4.px4_process import SIMULATOR_PORT, Px4, Px4Build, claim_instance
from px4_tinyml_sitl.px4.truth import add_truth
from px4_tinyml_sitl.px4.tuning import flight_parameters
from px4_tinyml_sitl.sensors import draw_sensors, imu_times, measure_imu
from px4_tinyml_sitl.write_flight import write_flight


def test_instances_do_not_collide() -> None:
    with closing(claim_instance()) as first, closing(claim_instance()) as second:
        assert first.number != second.number
        assert second.listener.getsockname()[1] == SIMULATOR_PORT + second.number


def test_instance_whose_mavlink_port_is_in_use_is_skipped() -> None:
    free = claim_instance()
    free.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 18570 + free.number))
        with pytest.raises(LinkError, match="no PX4 instance is free"):
            claim_instance([free.number])
    claim_instance([free.number]).close()


def test_instance_whose_lock_is_held_is_skipped() -> None:
    """PX4 takes a record lock (fcntl), which another process sees."""
    free = claim_instance()
    free.close()
    path = Path(f"/tmp/px4_lock-{free.number}")
    hold = f"import fcntl; f = open({str(path)!r}, 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as px4:
        assert px4.stdout is not None and px4.stdin is not None
        px4.stdout.readline()
        with pytest.raises(LinkError, match="no PX4 instance is free"):
            claim_instance([free.number])
        px4.stdin.close()
    claim_instance([free.number]).close()
    path.unlink()


def test_folder_that_is_not_a_build(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"no bin/px4 in it; expected a PX4 SITL build folder"):
        Px4Build.open(tmp_path)


def fake_build(folder: Path, px4: str) -> Px4Build:
    """A build folder whose px4 is a shell script."""
    for name in ("bin", "etc/init.d-posix/airframes"):
        (folder / name).mkdir(parents=True)
    for name in ("etc/init.d-posix/rcS", "etc/init.d-posix/airframes/10016_none_iris"):
        (folder / name).touch()
    (folder / "bin/px4").write_text("#!/bin/sh\n" + px4, encoding="utf-8")
    (folder / "bin/px4").chmod(stat.S_IRWXU)
    return Px4Build.open(folder)


def test_build_without_the_module(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"no motion_classifier; build it with .*EXTERNAL_MODULES_LOCATION"):
        fake_build(tmp_path, "").require_module()


def test_px4_that_ends_is_quoted(tmp_path: Path) -> None:
    build = fake_build(tmp_path / "build", "echo 'ERROR [param] something is broken'\nexit 3\n")
    with (
        closing(claim_instance()) as instance,
        Px4(build, instance, tmp_path / "run", {}) as px4,
        pytest.raises(ToolchainError, match=r"(?s)ended with 3.*something is broken"),
    ):
        px4.wait_booted(10.0)


def test_px4_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    build = fake_build(tmp_path / "build", "trap '' TERM\nsleep 600 &\necho $! > child\nwhile :; do sleep 1; done\n")
    with (
        closing(claim_instance()) as instance,
        Px4(build, instance, tmp_path / "run", {"SOME_PARAM": 0.1}, ["a_topic 0 0"]) as px4,
    ):
        child = tmp_path / "run" / "child"
        while not child.exists() or not child.read_text(encoding="utf-8").strip():
            px4.check()
        pids = [px4.pid, int(child.read_text(encoding="utf-8"))]
        assert (px4.folder / "etc/logging/logger_topics.txt").read_text(encoding="utf-8") == "a_topic 0 0\n"
        assert not px4.stop(patience_s=0.3)
    wait_until(lambda: not any(map(alive, pids)))


def test_px4_is_killed_with_python(tmp_path: Path) -> None:
    """With its child processes: the start-up script would keep running."""
    fake_build(tmp_path / "build", "sleep 600 &\necho $! > child\nwait\n")
    code = f"""
import pathlib, time
from px4_tinyml_sitl.px4.px4_process import Px4, Px4Build, claim_instance
folder = pathlib.Path({str(tmp_path)!r})
with Px4(Px4Build.open(folder / "build"), claim_instance(), folder / "run", {{}}) as px4:
    while not (px4.folder / "child").exists() or not (child := (px4.folder / "child").read_text()):
        px4.check()
    print(px4.pid, child, flush=True)
    time.sleep(600)
"""
    python = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert python.stdout
    pids = [int(word) for word in python.stdout.readline().split()]
    python.kill()
    python.communicate()
    assert len(pids) == 2
    wait_until(lambda: not any(map(alive, pids)))


def alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("name", list(AIRFRAMES))
def test_parameters_hold_each_airframe_up(name: str) -> None:
    """Thrust of all rotors at MPC_THR_HOVER, with the thrust curve of the parameters, is the weight."""
    vehicle = draw_vehicle(airframe(name), np.random.default_rng(3))
    parameters = flight_parameters(vehicle)
    output = math.sqrt(float(parameters["MPC_THR_HOVER"]))  # THR_MDL_FAC 1: thrust goes with the square of the output
    speed = output * vehicle.rotor.hover_rad_s * math.sqrt(vehicle.thrust_ratio)
    assert speed == pytest.approx(vehicle.rotor.hover_rad_s)
    assert parameters["THR_MDL_FAC"] == 1.0
    # A torque setpoint of 1 about the roll axis, as PX4's normalised mixer spreads it over the rotors.
    most_n = vehicle.thrust_ratio * vehicle.mass_kg * G / 4.0
    torque = sum(math.sqrt(0.5) * most_n * abs(y) for y in vehicle.rotor_y_m)
    lag = vehicle.motor_tau_s + vehicle.delay_s
    expected = 0.6 / lag * vehicle.loop_gain[0]
    assert parameters["MC_ROLLRATE_P"] * torque / vehicle.inertia_kg_m2[0] == pytest.approx(expected)
    assert [math.copysign(1.0, parameters[f"CA_ROTOR{i}_KM"]) for i in range(4)] == [1.0, 1.0, -1.0, -1.0]


def test_imu_has_the_noise_of_the_simulated_logs() -> None:
    """Pairs averaged, as PX4 does, it is measure_imu's: same vibration and noise, over the band the classifier sees."""
    rng = np.random.default_rng(5)
    suite = draw_sensors(rng)
    speed = np.array([500.0, 510.0, 495.0, 505.0])
    seconds = 20.0
    imu = HilImu(suite, 500.0, 400.0, np.random.default_rng(1))
    truth = (0.0, 0.0, -G, 0.0, 0.0, 0.0)
    steps = int(400 * seconds)
    hil = np.array([np.concatenate(imu.measure(truth, speed.tolist())) for _ in range(steps)])
    time = imu_times(suite, seconds, np.random.default_rng(2))
    logged = measure_imu(
        suite, time, np.tile(truth, (steps, 1)), np.tile(speed, (steps, 1)), 500.0, 400.0, np.random.default_rng(3)
    )
    slots = hil.reshape(-1, 8, 6).mean(axis=1).std(axis=0)
    every = round(20_000 / suite.imu_interval_us)
    whole = len(logged) // every * every
    expected = logged[:whole].reshape(-1, every, 6).mean(axis=1).std(axis=0)
    assert slots == pytest.approx(expected, rel=0.35)


def test_pressure_and_attitude() -> None:
    assert pressure_hpa(0.0) == pytest.approx(1013.25)
    assert pressure_hpa(1000.0) == pytest.approx(898.76, abs=0.02)  # ISA table
    w, x, y, z = quaternion(0.3, -0.4, 2.0)
    rotation = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    assert rotation == pytest.approx(body_to_ned(0.3, -0.4, 2.0))


HOP_US = 640_000
SPEC = PRESETS["default"]


def since_start(stream: Stream) -> list[int]:
    times: list[int] = (stream.time_us.astype(np.int64) - int(stream.time_us[0])).tolist()
    return times


def recording(time_us: list[int]) -> tuple[np.ndarray, np.ndarray]:
    imu = np.arange(6 * len(time_us), dtype=np.float32).reshape(-1, 6) * np.float32(1e-3)
    return np.array(time_us, np.uint64), imu


def test_each_sample_is_held_until_the_next() -> None:
    time, imu = recording([700_000, 705_000, 710_000])
    stream, left_out = playable(time, imu, np.array([704_000], np.uint64), np.array([12.5], np.float32), SPEC)
    assert left_out == 0
    assert since_start(stream) == [0, 2000, 4000, 6000, 8000, 10000]
    assert int(stream.time_us[0]) % HOP_US == 700_000 % HOP_US
    assert stream.imu[:, 0].tolist() == imu[[0, 0, 0, 1, 1, 2], 0].tolist()  # none before its time
    assert [None if np.isnan(a) else a for a in stream.altitude_m] == [None, None, None, 12.5, None, None]
    assert stream.seconds == 0.010


def test_faster_samples_are_averaged_over_a_step() -> None:
    time, imu = recording(list(range(700_000, 708_001, 1000)))
    stream, _ = playable(time, imu, time[4:5], np.array([3.0], np.float32), SPEC)
    assert since_start(stream) == [0, 2000, 4000, 6000, 8000]
    assert stream.imu[:, 5] == pytest.approx([imu[0, 5], *imu[1:].reshape(4, 2, 6)[:, :, 5].mean(axis=1)])
    assert np.flatnonzero(np.isfinite(stream.altitude_m)).tolist() == [2]


def test_a_gap_that_resets_windows_is_kept() -> None:
    """The signal path fills three empty slots, as held samples do; four are a gap."""
    time, imu = recording([700_000, 780_000, 880_000, 2_000_000])
    stream, _ = playable(time, imu, time[:0], imu[:0, 0], SPEC)
    assert np.flatnonzero(np.diff(stream.time_us.astype(np.int64)) != STEP_US).tolist() == [40, 41]
    assert since_start(stream)[40:] == [80_000, 180_000, 1_180_000]
    assert np.unique(stream.imu[:40, 0]).tolist() == [imu[0, 0]]
    assert stream.imu[40:, 0].tolist() == imu[1:, 0].tolist()


def test_hostile_recordings_get_increasing_timestamps() -> None:
    """Timestamps that repeat or decrease, NaN, infinity, values out of the drivers' range, gaps."""
    time, imu = recording([10_000, 15_000, 15_000, 5_000, 10_000, 3_600_000_000, 3_600_005_000, 3_600_010_000])
    imu[6, 2], imu[7, 3] = np.nan, 1000.0
    stream, left_out = playable(time, imu, np.zeros(0, np.uint64), np.zeros(0, np.float32), SPEC)
    assert left_out == 2
    assert (np.diff(stream.time_us.astype(np.int64)) > 0).all()
    assert int(stream.time_us[-1] - stream.time_us[0]) < 5_000_000
    assert np.isfinite(stream.imu).all()
    for none in (slice(0), slice(6, 8)):
        nothing, left_out = playable(time[none], imu[none], time[:0], imu[:0, 0], SPEC)
        assert (len(nothing.time_us), left_out, nothing.seconds) == (0, len(time[none]), 0.0)


def test_stream_is_played_after_a_gap_and_then_rests() -> None:
    time, imu = recording([700_000, 705_000, 710_000])
    stream, _ = playable(time, imu, np.zeros(0, np.uint64), np.zeros(0, np.float32), SPEC)
    source = StreamSource(stream, 1_000_000)
    times = []
    for step in range(40):
        times.append(source.time_us)
        source.advance(None)
        source.play = step >= 9
    steps = np.diff(times)
    assert (steps > 0).all()
    assert source.first_us - times[9] >= 1_000_000
    assert (source.first_us - int(stream.time_us[0])) % HOP_US == 0
    assert source.last_us - source.first_us == 10_000
    assert source.done
    assert times[times.index(source.last_us) + 1] == source.last_us + STEP_US


def test_truth_is_added_to_a_log(tmp_path: Path) -> None:
    plan = plan_flight(4, 0, "hover", "450", "changing", None, None, 25.0)
    log, out = tmp_path / "log.ulg", tmp_path / "with_truth.ulg"
    write_flight(plan, Simulator(plan).fly(), log)
    log.write_bytes(log.read_bytes().replace(b"turbulence_truth", b"turbulence_other"))
    before = UlogFile.read(log.read_bytes(), "log")
    imu = before.topic("sensor_combined")
    assert imu is not None
    start_s = float(imu["timestamp"][0]) * 1e-6
    rest = SlowRow(*[0.0] * len(SlowRow._fields))
    rows = [rest._replace(time_s=start_s + 0.02 * i, height=10.0, w20=8.0, wind=7.0, gust_d=0.5) for i in range(500)]
    add_truth(log, out, plan, rows)
    after = UlogFile.read(out.read_bytes(), "out")
    truth = after.topic("turbulence_truth")
    assert truth is not None
    assert len(truth) == 100
    assert truth["edr"] == pytest.approx(0.0893 * 8.0 * 10.0 ** (-1.0 / 3.0), rel=1e-3)
    assert truth["gust_d"] == pytest.approx(0.5)
    assert after.info["sim_airframe"] == "450"
    added = after.topic("sensor_combined")
    assert added is not None
    assert added.rows.tobytes() == imu.rows.tobytes()
    # In order of time, which the reader needs.
    where = np.searchsorted(added["timestamp"], truth["timestamp"])
    assert (np.diff(truth.offset) > 0).all()
    assert (truth.offset < added.offset[where]).all()


def test_truth_needs_an_imu(tmp_path: Path) -> None:
    plan = plan_flight(4, 0, "hover", "450", "calm", None, None, 25.0)
    (tmp_path / "empty.ulg").write_bytes(b"ULog\x01\x12\x35\x01" + bytes(8))
    with pytest.raises(LogError):
        add_truth(tmp_path / "empty.ulg", tmp_path / "out.ulg", plan, [])
