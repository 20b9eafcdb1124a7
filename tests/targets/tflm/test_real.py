"""With a real TensorFlow Lite Micro (docs/tflm.md): the same outputs as the tflite-micro wheel, the same decisions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reference_models import MODELS

from px4_tinyml.bench.measure import read_subject
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import I8
from px4_tinyml.signal.slots import Feed
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.cortex_m.build import RUN, build_images
from px4_tinyml.targets.cortex_m.counting import infer
from px4_tinyml.targets.host.bench import build_host_bench, infer_on_host
from px4_tinyml.targets.host.run import decode_dump, encode_feed, run_host
from px4_tinyml.targets.tflm.bench import measured_arena, tflm_code
from px4_tinyml.targets.tflm.build import TflmTree
from px4_tinyml.targets.tflm.generate import Arena

RANDOM = 2000


def outputs(name: str, x: I8, tree: TflmTree, target: str, arena: Arena | None = None) -> I8:
    tested = read_subject(MODELS / f"{name}.tflite")
    arena = arena or measured_arena(tested.model, tested.graph, tree, target)
    code = tflm_code(tested.model, tested.graph, None, tree, arena, target)
    if target == "host":
        return infer_on_host(build_host_bench(code) / "infer", tested.graph, x)
    images = build_images(code.files, target, {"infer": code.program(*RUN, "infer.cpp")})
    return infer(images / "infer", tested.graph, x, target).outputs


@pytest.mark.parametrize("target", ["host", "cortex-m4", "cortex-m7"])
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_same_outputs_as_the_wheel(name: str, target: str, tree: Callable[[str], TflmTree], shared: Path) -> None:
    found = tree(target)
    interpreter = TflmInterpreter((MODELS / f"{name}.tflite").read_bytes())
    known = np.load(shared / "reference" / f"{name}.npz")
    reference = known["inputs"].reshape(len(known["inputs"]), -1)
    x = np.random.default_rng(11).integers(-128, 128, (RANDOM, reference.shape[1]), np.int8)
    assert np.array_equal(outputs(name, reference, found, target), known["outputs"].reshape(len(reference), -1))
    assert np.array_equal(outputs(name, x, found, target), interpreter.invoke(x))


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_an_arena_too_small_is_named(target: str, tree: Callable[[str], TflmTree]) -> None:
    """The measured size is the smallest one: 16 bytes less do not start."""
    found = tree(target)
    tested = read_subject(MODELS / "conv.tflite")
    arena = measured_arena(tested.model, tested.graph, found, target)
    with pytest.raises(ToolchainError, match="the arena is too small"):
        outputs("conv", tested.x[:1], found, target, Arena(arena.size - 16, "too small"))


def test_the_host_project(
    bundle: ModelBundle, feed: Feed, project: Callable[[str], Path], tree: Callable[[str], TflmTree], tools: None
) -> None:
    tree("host")
    out = project("host")
    run_tool(["cmake", "-S", str(out), "-B", str(out / "build")])
    run_tool(["cmake", "--build", str(out / "build")])
    expected = bundle.classifier().run(feed)
    got = run_host(out / "build" / "motion_classify", feed)
    assert compare(("host", "python"), got, expected, bundle.spec).mismatches == 0 and len(got.decisions) > 100


def test_the_cortex_m_project(
    bundle: ModelBundle, feed: Feed, project: Callable[[str], Path], tree: Callable[[str], TflmTree], tools: None
) -> None:
    tree("cortex-m4")
    out = project("cortex-m")
    (out / "feed").write_bytes(encode_feed(feed))
    subprocess.run(["make", "-s", "-C", str(out), "run-cortex-m4"], check=True, timeout=300)
    got = decode_dump((out / "dump").read_bytes())
    expected = bundle.classifier().run(feed)
    assert compare(("cortex-m4", "python"), got, expected, bundle.spec).mismatches == 0


def test_side_by_side(tree: Callable[[str], TflmTree], capsys: pytest.CaptureFixture[str]) -> None:
    tree("cortex-m4")
    assert main(["bench", str(MODELS / "conv.tflite"), "--targets", "cortex-m4", "--engine", "tflm", "--json"]) == 0
    engines = json.loads(capsys.readouterr().out)["targets"]["cortex-m4"]
    (measured,) = (cost for name, cost in engines.items() if name.startswith("tflm") and not cost["recorded"])
    assert measured["instructions"] > 2 * engines["compiled"]["instructions"]
    assert measured["flash_bytes"] > 5 * engines["compiled"]["flash_bytes"]
    assert measured["ram_bytes"] > measured["arena_bytes"] > engines["compiled"]["ram_bytes"]
    layers = measured["layers"]
    assert [layer["operator"] for layer in layers][:2] == ["EXPAND_DIMS", "CONV_2D"]
    # What is left is the interpreter itself.
    between = measured["instructions"] - sum(layer["instructions"] for layer in layers)
    assert 0 < between < 100 * len(layers)
