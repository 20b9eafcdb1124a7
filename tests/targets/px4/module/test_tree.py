"""The tree: what is in the repository, what `generate px4` writes, and what PX4 will read of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.emit.shipped import PRETRAINED_50HZ, SHIPPED, bundle_argument, pretrained_bundle, target_root
from px4_tinyml.emit.write import MODULE
from px4_tinyml.errors import ConversionError, SpecError
from px4_tinyml.signal.golden import check_golden
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.targets.px4.generate import message_classes, px4_arena, px4_files

LOGGER_LINE = 80
"""The buffer PX4's logger reads a line of logger_topics.txt into."""


def texts(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_the_repository_holds_the_tree_of_the_pretrained_bundle() -> None:
    bundle = ModelBundle.load(pretrained_bundle())
    made = px4_files(bundle)
    kept = texts(target_root("px4_module"))
    assert sorted(kept) == sorted(made)
    assert [name for name in made if kept[name] != made[name]] == [], "run `make pretrained`, or generate px4 again"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_pretrained_bundle_is_whole_and_small(name: str) -> None:
    bundle = ModelBundle.load(pretrained_bundle(name))
    assert check_golden(bundle.golden, bundle.classifier()) >= 4
    most = 200_000 if bundle.spec.input == "samples" else 400_000  # its golden vectors are longer
    assert sum(p.stat().st_size for p in pretrained_bundle(name).iterdir()) < most
    assert bundle.for_thinned == (name == PRETRAINED_50HZ)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_pretrained_bundle_has_a_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = ModelBundle.load(pretrained_bundle(name))
    deprecated = [True] if name == PRETRAINED_50HZ else []
    assert ModelBundle.load(bundle_argument(name)).sha256 == shipped.sha256
    assert ["is deprecated" in line for line in caplog.messages] == deprecated
    caplog.clear()
    (tmp_path / name).mkdir()
    assert ModelBundle.load(bundle_argument(name)).sha256 == shipped.sha256
    assert [f"./{name}" in line for line in caplog.messages] == [*[False for _ in deprecated], True]
    for path in (f"./{name}", f"{name}/", str(tmp_path / name)):
        with pytest.raises(ConversionError, match="not a model bundle"):
            ModelBundle.load(bundle_argument(path))


def test_the_arena_has_room_for_another_version() -> None:
    arena = px4_arena(4048)
    assert arena.size >= 6072 and arena.size % 16 == 0 and "4048" in arena.origin


def test_command_writes_the_model_of_the_engine_that_is_asked_for(tmp_path: Path) -> None:
    model = tmp_path / MODULE / "model"
    for engine, expected in (
        ("compiled", {"CompiledModel"}),
        ("auto", {"CompiledModel", "TflmModel"}),
        ("tflm", {"TflmModel"}),
    ):
        assert main(["generate", "px4", str(pretrained_bundle()), "--out", str(tmp_path), "--engine", engine]) == 0
        assert {p.stem for p in model.glob("*.cpp")} == expected | {"GoldenVectors"}
    before = texts(tmp_path)
    assert main(["generate", "px4", str(pretrained_bundle()), "--out", str(tmp_path), "--engine", "tflm"]) == 0
    assert texts(tmp_path) == before


def test_message_names_the_classes_of_the_bundle(tree: Path, bundle: ModelBundle) -> None:
    message = (tree / "msg" / "MotionClassification.msg").read_text()
    constants = dict(re.findall(r"^int8 CLASS_(\w+) = (-?\d+) #", message, re.MULTILINE))
    labels = {label.upper(): str(i) for i, label in enumerate(bundle.spec.labels)}
    assert constants == {"UNCERTAIN": "-1", **labels}
    fields = re.findall(r"^(\w+(?:\[\d+\])?) ([a-z_]+) #", message, re.MULTILINE)
    assert {name: kind for kind, name in fields} == {
        "timestamp": "uint64", "timestamp_sample": "uint64", "spec_hash": "uint64", "confidence": "float32",
        "probabilities": "float32[8]", "inference_time": "uint32", "class_index": "int8", "label_count": "uint8",
        "flags": "uint8",
    }  # fmt: skip


@pytest.mark.parametrize("labels", [("uncertain", "b"), ("Climb", "climb"), ("a__b", "a_b"), ("a", "__")])
def test_labels_with_the_same_constant_are_rejected(labels: tuple[str, ...]) -> None:
    with pytest.raises(SpecError, match="CLASS_"):
        message_classes(PipelineSpec(labels=labels))


def test_labels_are_constants_that_every_generator_takes() -> None:
    classes = message_classes(PipelineSpec(labels=("_two__words_", "b2")))
    assert classes == [("TWO_WORDS", "_two__words_", 0), ("B2", "b2", 1)]


def test_logger_reads_every_line_of_the_topics_whole(tree: Path) -> None:
    lines = (tree / "etc" / "logger_topics.txt").read_text().splitlines(keepends=True)
    assert max(map(len, lines)) < LOGGER_LINE
    topics = [line.split()[0] for line in lines if len(line) >= 2 and not line.startswith("#")]
    assert topics[0] == "motion_classification" and "sensor_combined" in topics and "vehicle_air_data" in topics


def test_extras_start_the_module(tree: Path) -> None:
    lines = (tree / "etc" / "extras.txt").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["motion_classifier start"]


def test_parameters_are_declared_as_they_are_used(tree: Path) -> None:
    declared = (tree / MODULE / "module.yaml").read_text()
    header = (tree / MODULE / "MotionClassifier.hpp").read_text()
    kinds = {"boolean": "Bool", "int32": "Int", "bitmask": "Int", "float": "Float"}
    found = re.findall(r"^        (MCLS_\w+):$.*?^            type: (\w+)$", declared, re.MULTILINE | re.DOTALL)
    used = re.findall(r"\(Param(\w+)<px4::params::(MCLS_\w+)>\)", header)
    assert {(kinds[kind], name) for name, kind in found} == set(used) and len(used) == 6
    assert all(len(name) <= 16 for _, name in used)
    assert all(len(text) <= 70 for text in re.findall(r"short: (.*)", declared))
    assert {name for _, name in used} <= set(re.findall(r"`(MCLS_\w+)` \|", (tree / "README.md").read_text()))


def test_readme_of_a_model_with_a_label_that_no_test_window_has(bundles: dict[str, ModelBundle]) -> None:
    """As in every data set of real logs: none of them has the truth of turbulence."""
    bundle = bundles["pretrained"]
    metrics = bundle.manifest.metrics
    int8 = replace(metrics.int8, f1={**metrics.int8.f1, "turbulence": None})
    changed = bundle.with_manifest(metrics=replace(metrics, int8=int8))
    readme = px4_files(changed, "compiled")["README.md"]
    assert "| turbulence | no test windows |" in readme
    assert f"| level | {int8.f1['level']:.3f} |" in readme


def test_readme_has_the_scores_of_the_pretrained_model() -> None:
    manifest = ModelBundle.load(pretrained_bundle()).manifest
    readme = (target_root("px4_module") / "README.md").read_text()
    macro = manifest.metrics.int8.macro_f1
    assert manifest.cost is not None and str(manifest.cost.instructions) in readme
    assert f"**{macro:.3f}**" in readme and macro > manifest.metrics.baseline.macro_f1
