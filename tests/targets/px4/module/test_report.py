"""core/Report.hpp reports as the companion does; core/DecisionFilter.hpp with other thresholds than the model's."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.mavlink_report import Text, TurbulenceNotice, VectorClock, report_vector
from px4_tinyml.mavlink.decision_array import report_array
from px4_tinyml.signal.decision import DECISION, DecisionFilter
from px4_tinyml.signal.spec import DecisionSpec, PipelineSpec
from px4_tinyml.signal.streaming import Decided

REPORTED = np.dtype([("vector", "<f4", 3), ("array", "<f4", 16), ("due", "<u4"), ("text", "<u4"), ("percent", "<u4")])
RECORD = np.dtype([("decision", DECISION), ("now_us", "<u8"), ("rate_hz", "<u4"), ("inference_us", "<u4")])
LIMITED = np.dtype([("enter", "<f4"), ("leave", "<f4"), ("hold", "<u4"), ("output", "i1", 8)])


def records(spec: PipelineSpec, rate_hz: int, count: int = 3000) -> NDArray[np.void]:
    """Decisions that wander between classes, repeated at times that stop, jump ahead and run backwards."""
    rng = np.random.default_rng(rate_hz)
    made = np.zeros(count, RECORD)
    step = rng.choice([0, 5_000, 20_000, 300_000, 3_000_000], count, p=[0.1, 0.5, 0.3, 0.09, 0.01])
    now = 5_000_000 + np.cumsum(step).astype(np.int64)
    now[count // 2 :] -= 20_000_000
    decision = made["decision"]
    held = np.repeat(rng.integers(-1, len(spec.labels), count // 20 + 1), 20)[:count]
    decision["class_index"] = held
    decision["flags"] = np.where(held < 0, 2, 0) | rng.choice([0, 1, 4], count)
    decision["confidence_q16"] = rng.integers(0, 65537, count)
    decision["probability"][:, : len(spec.labels)] = rng.integers(0, 256, (count, len(spec.labels)))
    decision["label_count"] = len(spec.labels)
    decision["end_us"] = now - rng.choice([0, 600_000, 2_500_000, 4_000_000, -15_000_000], count)
    made["now_us"], made["rate_hz"] = now, rate_hz
    made["inference_us"] = rng.integers(0, 5000, count)
    return made


@pytest.mark.parametrize("rate_hz", [0, 2, 50])
def test_module_and_companion_report_the_same(
    tree: Path, bundle: ModelBundle, compiled: Callable[..., Path], rate_hz: int
) -> None:
    spec, made = bundle.spec, records(bundle.spec, rate_hz)
    program = compiled(tree, "report.cpp", model=False)
    done = subprocess.run([str(program)], input=made.tobytes(), capture_output=True, check=True, timeout=60)
    reported = np.frombuffer(done.stdout, REPORTED)
    clock, notice = VectorClock(spec, rate_hz), TurbulenceNotice(spec)
    number = {None: 0, Text.BEGAN: 1, Text.ENDED: 2}
    for record, found in zip(made, reported, strict=True):
        decision = record["decision"]
        assert tuple(found["vector"]) == tuple(np.float32(report_vector(decision, spec)))
        decided = Decided(decision, int(record["inference_us"]))
        assert found["array"].tolist() == np.float32(report_array(decided, spec)[:16]).tolist()
        assert bool(found["due"]) == clock.due(int(decision["end_us"]), int(record["now_us"]))
        assert found["text"] == number[notice.update(decision)]
        assert found["percent"] == (int(decision["confidence_q16"]) * 100 + 32768) >> 16
    texts = set(reported["text"].tolist())
    assert texts == ({0, 1, 2} if "turbulence" in spec.labels else {0})
    assert reported["due"].any() == (rate_hz > 0)
    assert not reported["due"][made["now_us"] < made["decision"]["end_us"]].any()  # the clock ran backwards


def decide(
    program: Path, outputs: NDArray[np.int8], enter: NDArray[np.float32], leave: NDArray[np.float32], hold: int
) -> NDArray[np.void]:
    made = np.zeros(len(outputs), LIMITED)
    made["enter"], made["leave"], made["hold"] = enter, leave, hold
    made["output"][:, : outputs.shape[1]] = outputs
    done = subprocess.run([str(program)], input=made.tobytes(), capture_output=True, check=True, timeout=60)
    return np.frombuffer(done.stdout, DECISION)


def test_thresholds_of_parameters_are_those_of_a_spec(
    tree: Path, bundle: ModelBundle, compiled: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(3)
    program, labels = compiled(tree, "limits.cpp", model=False), len(bundle.spec.labels)
    p = rng.dirichlet([0.4] * labels, 600)
    outputs = np.clip(np.floor(p * 256) - 128, -128, 127).astype(np.int8)
    for limits in (bundle.spec.decision, DecisionSpec(128, 0.9, 0.05, 0), DecisionSpec(128, 0.35, 0.35, 7)):
        decision = dataclasses.replace(limits, smoothing_q8=bundle.spec.decision.smoothing_q8)
        own = limits is bundle.spec.decision
        enter = np.full(len(p), -1.0 if own else limits.enter, np.float32)
        found = decide(program, outputs, enter, np.full(len(p), limits.leave, np.float32), limits.hold_windows)
        reference = DecisionFilter(dataclasses.replace(bundle.spec, decision=decision))
        for row, got in zip(outputs.tolist(), found, strict=True):
            expected = reference.update(row, False)
            assert all(got[name] == expected[name] for name in ("class_index", "confidence_q16"))


def test_thresholds_that_change_in_flight_forget_nothing(
    tree: Path, bundle: ModelBundle, compiled: Callable[..., Path]
) -> None:
    """Smoothing continues; a class stays until the new thresholds end it."""
    program, labels = compiled(tree, "limits.cpp", model=False), len(bundle.spec.labels)
    steady = np.full((60, labels), -128, np.int8)
    steady[:, 0], steady[:, 1] = 26, -26  # 154 and 102 of 256: 0.60 and 0.40
    enter = np.full(60, 0.5, np.float32)
    enter[20:40] = 0.9
    leave = np.full(60, 0.3, np.float32)
    leave[20:40] = 0.8
    found = decide(program, steady, enter, leave, 0)
    assert found["class_index"].tolist() == [0] * 20 + [-1] * 20 + [0] * 20
    assert np.all(found["confidence_q16"] == 154 * 256)
    assert found["flags"].tolist() == [4] + [0] * 19 + [2] * 20 + [0] * 20
