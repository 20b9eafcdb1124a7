"""A report of a short training."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchains import need_wheel

from px4_tinyml.bundle import REPORT_FILE, ModelBundle
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.report import write_report
from px4_tinyml.signal.spec import PRESETS


def test_report_of_a_training(
    flight_maker: Callable[..., FlightLog],
    dataset_maker: Callable[..., Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_wheel("tensorflow", "the report is of a training")
    from px4_tinyml.training import pipeline
    from px4_tinyml.training.fit import TrainOptions

    # Four epochs on noise need not pass the gate on int8's loss: another test is about that.
    monkeypatch.setattr(pipeline, "check_quantization", lambda metrics: None)
    flights = [flight_maker(f"{i}.ulg", f"quad {i % 5}", i, leg_s=8.0) for i in range(10)]
    dataset = dataset_maker(tmp_path / "dataset", PRESETS["default"], flights)
    write_report(
        tmp_path / "bundle" / REPORT_FILE,
        pipeline.train(dataset, tmp_path / "bundle", TrainOptions(epochs=4)),
        dataset,
    )

    bundle = ModelBundle.load(tmp_path / "bundle")
    html = (tmp_path / "bundle" / REPORT_FILE).read_text(encoding="utf-8")
    text = re.sub(r"<[^>]*>", " ", html).replace("\u202f", " ")
    macro_f1 = bundle.manifest.metrics.int8.macro_f1
    assert f"macro-F1 {macro_f1:.3f} against" in text
    assert re.search(rf"without altitude, int8 macro-F1 is 0\.\d\d\d instead of {macro_f1:.3f}", text)
    assert "altitude, m" in text and "2 × FULLY_CONNECTED" in text
    assert f"tensorflow   {bundle.manifest.tools['tensorflow']}" in re.sub(r"\s+", "   ", text)
    assert bundle.manifest.memory.compiled_arena_bytes > 0
