"""The bench command and the budget gate of generate."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from reference_models import MODELS

from px4_tinyml.bench.measure import read_subject
from px4_tinyml.bench.recorded import RECORDED
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.errors import ConversionError, SpecError
from px4_tinyml.signal.spec import PRESETS
from px4_tinyml.targets.base import compiled_code
from px4_tinyml.targets.boards import BOARDS, board
from px4_tinyml.targets.cortex_m.bench import build_bench
from px4_tinyml.targets.cortex_m.build import CPUS
from px4_tinyml.targets.cortex_m.path_cost import path_cost, rates


def bench(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["bench", *arguments]) == 0
    return capsys.readouterr().out


def test_a_bundle_on_cortex_m4_twice(conv: ModelBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conv.save(tmp_path / "mine")
    arguments = [str(tmp_path / "mine"), "--targets", "cortex-m4", "--engine", "tflm", "--json"]
    text = bench(arguments, capsys)
    assert bench(arguments, capsys) == text
    document = json.loads(text)
    assert document["model"] == "mine" and document["spec_hash"] == conv.spec.hash
    cost = document["targets"]["cortex-m4"]["compiled"]
    assert cost["macs"] == 33_504 and cost["weights_bytes"] == 1_056
    assert cost["fewest_instructions"] <= cost["instructions"] < cost["cycles"] and not cost["recorded"]
    assert cost["arena_bytes"] >= 768 and cost["ram_bytes"] - cost["arena_bytes"] in range(0, 16)
    assert 500 < cost["flash_bytes"] < cost["classifier_flash_bytes"] - cost["weights_bytes"]
    assert sum(layer["macs"] for layer in cost["layers"]) == 33_504
    # Half a percent of an STM32F4 is the promise.
    assert [path["imu_hz"] for path in cost["signal_path"]] == [50, 200, 250]
    assert all(path["share"]["STM32F4 168 MHz"] < 0.5 for path in cost["signal_path"])
    recorded = document["targets"]["cortex-m4"]["tflm"]
    assert recorded["recorded"] and recorded["instructions"] == 200_121 and recorded["flash_bytes"] == 50_072


def test_a_tflite_file_on_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    text = bench([str(MODELS / "dense.tflite")], capsys)
    for words in ("host", *CPUS, "tflm (recorded)", "75 527", "IMU at 119 Hz", "0 FULLY_CONNECTED"):
        assert words in text


def test_recorded_figures_belong_to_the_reference_models() -> None:
    for name in ("dense", "conv"):
        tested = read_subject(MODELS / f"{name}.tflite")
        for cost in RECORDED[tested.sha256]:
            assert (cost.model, cost.macs, cost.weights_bytes) == (name, tested.graph.macs, tested.graph.weights_bytes)


def test_the_signal_path_adds_up(conv: ModelBundle) -> None:
    """With a barometer: every kind of sample counted, and their sum is what a second costs."""
    seven = dataclasses.replace(PRESETS["default"], window=32, hop=16, offset=(0.0,) * 7, inv_scale=(1.0,) * 7)
    spec = dataclasses.replace(seven, channels=("ax", "ay", "az", "gx", "gy", "alt"), window=128, hop=32,
                               offset=(0.0,) * 6, inv_scale=(1.0,) * 6)  # fmt: skip
    tested = dataclasses.replace(read_subject(MODELS / "conv.tflite"), spec=spec)
    images = build_bench(compiled_code(tested.graph, spec), "cortex-m4")
    assert rates(spec) == [50, 200, 250]
    slow, fast = (path_cost(images / "path", spec, "cortex-m4", rate) for rate in (50, 200))
    assert slow.sample is None and fast.sample is not None and fast.baro is not None and fast.slot is not None
    windows = spec.rate_hz / spec.hop
    expected = 150 * fast.sample + (50 - windows) * fast.slot + windows * (fast.window + fast.model) + 25 * fast.baro
    assert fast.per_second == pytest.approx(expected, rel=0.01)
    assert fast.per_second > slow.per_second > windows * slow.model
    assert fast.share["nRF52840 64 MHz"] == pytest.approx(100 * fast.per_second / 64e6, rel=1e-3)


def test_errors_of_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConversionError, match="neither a bundle nor a"):
        read_subject(tmp_path / "none")
    assert main(["bench", str(MODELS / "dense.tflite"), "--targets", "cray"]) == 2
    assert "'cray' is not known; expected some of host, cortex-m4, cortex-m7" in capsys.readouterr().err
    assert main(["bench", str(MODELS / "dense.tflite"), "--targets", "cortex-m7", "--engine", "tflm"]) == 1
    assert "no figures of TFLite Micro" in capsys.readouterr().err
    (tmp_path / "bad.tflite").write_bytes(b"nothing")
    assert main(["bench", str(tmp_path / "bad.tflite")]) == 1


def test_a_budget_is_enforced(conv: ModelBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conv.save(tmp_path / "bundle")
    out = tmp_path / "tree"
    command = ["generate", "cortex-m", str(tmp_path / "bundle"), "--out", str(out)]
    for limits, words in (
        (["--max-flash-kb", "2"], "flash (code and weights)"),
        (["--max-ram-kb", "1.5"], "RAM (variables and stack)"),
        (["--max-instructions", "20000"], "instructions of one inference"),
        (["--board", "nano33ble", "--max-ram-kb", "1"], "RAM (variables and stack)"),
    ):
        assert main([*command, *limits]) == 3
        document = capsys.readouterr().err
        assert words in document and "1 CONV_2D" in document and not out.exists()
    assert main([*command, "--board", "v6x"]) == 0
    assert "fits v6x" in capsys.readouterr().out and (out / "classify.cpp").is_file()
    assert main([*command, "--board", "toaster"]) == 2


def test_boards() -> None:
    assert board("v5") is board("px4_fmu-v5") is BOARDS["px4_fmu-v5"]
    assert board("nano33ble").max_instructions(0.64) == 10_240_000
    with pytest.raises(SpecError, match="px4_fmu-v6x"):
        board("v9")
    for known in BOARDS.values():
        assert known.cpu in CPUS and known.budget_flash_kb < known.flash_kb and known.budget_ram_kb < known.ram_kb
