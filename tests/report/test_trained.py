"""A report of a short training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from toolchains import need_wheel

from px4_tinyml.bundle import REPORT_FILE, ModelBundle
from px4_tinyml.report import write_report
from px4_tinyml.signal.spec import PRESETS

from .conftest import make_dataset, make_flight


def test_report_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_wheel("tensorflow", "the report is of a training")
    from px4_tinyml.training import evaluation, pipeline
    from px4_tinyml.training.fit import TrainOptions

    # Four epochs on noise need not pass the gate on int8's loss: another test is about that.
    monkeypatch.setattr(evaluation, "MAX_INT8_LOSS", 1.0)
    flights = [make_flight(f"{i}.ulg", f"quad {i % 5}", i, leg_s=8.0) for i in range(10)]
    dataset = make_dataset(tmp_path / "dataset", PRESETS["default"], flights)
    folder = tmp_path / "bundle"
    write_report(folder / REPORT_FILE, pipeline.train(dataset, folder, TrainOptions(epochs=4)), dataset)

    bundle = ModelBundle.load(folder)
    text = re.sub(r"<[^>]*>", " ", (folder / REPORT_FILE).read_text(encoding="utf-8")).replace("\u202f", " ")
    macro_f1 = bundle.manifest.metrics.int8.macro_f1
    assert f"macro-F1 {macro_f1:.3f} against" in text
    assert re.search(rf"without altitude, int8 macro-F1 is 0\.\d\d\d instead of {macro_f1:.3f}", text)
    assert "altitude, m" in text and "2 × FULLY_CONNECTED" in text
    assert f"tensorflow   {bundle.manifest.tools['tensorflow']}" in re.sub(r"\s+", "   ", text)
    assert bundle.manifest.memory.compiled_arena_bytes > 0
