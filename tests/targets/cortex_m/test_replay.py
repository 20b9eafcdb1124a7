"""The whole classifier on emulated processors, against Python and the host, on made and real flights."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from toolchains import need

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ToolchainError
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.replay.run_all import Replay
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.cortex_m.build import CPUS, build_cortex_m, build_images, frame_files
from px4_tinyml.targets.cortex_m.generate import generate_cortex_m
from px4_tinyml.targets.cortex_m.run import run_cortex_m, run_image
from px4_tinyml.targets.host.run import decode_dump, encode_feed
from px4_tinyml.targets.programs import Program
from px4_tinyml.targets.sources import classifier_files


def test_a_hostile_feed_and_the_golden_vectors(conv: ModelBundle, feed: Feed) -> None:
    replay = Replay(conv, ["numpy", *CPUS])
    done = replay.run_feed("made", feed)
    assert done.mismatches == replay.golden().mismatches == 0 and done.windows > 100
    assert min(done.counts[f"reset_{cause}"] for cause in ("non_finite", "backwards", "gap")) == 1


def test_real_logs(conv: ModelBundle, shared: Path) -> None:
    replay = Replay(conv, ["numpy", "cortex-m4"])
    windows = 0
    names = ("frrs_battery_brownout", "frrs_gps_interference", "frrs_ekf_failure")
    for path in find_logs([str(shared / "data" / "ulg" / f"{name}.ulg") for name in names]):
        for flight in read_log(path):
            done = replay.run(flight)
            windows += done.windows
            assert done.mismatches == 0, [pair.first for pair in done.pairs.values()]
    assert windows > 200


def test_a_tampered_image_is_found(conv: ModelBundle, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    def tampered(bundle: ModelBundle) -> dict[str, str]:
        files = classifier_files(bundle)
        assert "smoothing_q8 = 128;" in files["model/MotionSpec.hpp"]
        changed = files["model/MotionSpec.hpp"].replace("smoothing_q8 = 128;", "smoothing_q8 = 127;")
        return {**files, "model/MotionSpec.hpp": changed}

    monkeypatch.setattr("px4_tinyml.targets.cortex_m.build.classifier_files", tampered)
    pair = Replay(conv, ["numpy", "cortex-m7"]).run_feed("made", feed).pairs["numpy", "cortex-m7"]
    assert pair.mismatches == pair.decisions > 0 and "the decision is not" in pair.first


def test_a_fault_ends_the_program() -> None:
    files = {**frame_files(), "crash.cpp": "int main() { __builtin_trap(); }"}
    image = build_images(files, "cortex-m4", {"crash": Program(("startup.cpp", "crash.cpp"))}) / "crash"
    with pytest.raises(ToolchainError, match="crash on cortex-m4 ended with 1 in qemu-system-arm: fault"):
        run_image(image, "cortex-m4", {}, [])


def test_the_generated_project_builds(conv: ModelBundle, feed: Feed, tmp_path: Path) -> None:
    need("make")
    generate_cortex_m(conv, tmp_path)
    (tmp_path / "feed").write_bytes(encode_feed(feed))
    for cpu in CPUS:
        subprocess.run(["make", "-s", "-C", str(tmp_path), f"run-{cpu}"], check=True, timeout=120)
        got = decode_dump((tmp_path / "dump").read_bytes())
        assert compare((cpu, "numpy"), got, conv.classifier().run(feed), conv.spec).mismatches == 0


def test_errors_are_reported(conv: ModelBundle, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    image = build_cortex_m(conv, "cortex-m4")
    with pytest.raises(ToolchainError, match="not a binary feed"):
        run_image(image, "cortex-m4", {"feed": b"timestamp_us,ax"}, ["dump"])
    with pytest.raises(ToolchainError, match="feed: cannot be opened"):
        run_image(image, "cortex-m4", {}, ["dump"])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolchainError, match=r"apt-get install .*gcc-arm-none-eabi.*qemu-system-arm"):
        run_cortex_m(image, "cortex-m4", feed)
    with pytest.raises(ToolchainError, match="qemu-system-arm is not installed"):
        Replay(conv, ["numpy", "cortex-m7"])
