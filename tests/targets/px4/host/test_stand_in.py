"""The stand-in for PX4: it compiles as strictly as PX4 does, behaves as uORB does, and reads PX4's definitions."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from px4_host_feeds import hover
from toolchains import need

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_format import Field
from px4_tinyml.logs.ulog.uorb_message import of_checkout, of_topic, parse_msg
from px4_tinyml.signal.classifier import Classifier
from px4_tinyml.targets.compare import compare
from px4_tinyml.targets.px4.build import PX4_OPTIONS, module_options
from px4_tinyml.targets.px4.generate import px4_files
from px4_tinyml.targets.px4.run import Px4Host
from px4_tinyml.targets.px4.stand_in.px4_parameters import Parameter, read_parameters
from px4_tinyml.targets.px4.stand_in.shim import (
    LINK_OPTIONS,
    MODULE_FORMS,
    PX4_PUBLISHED,
    SUBSCRIBED,
    Harness,
    make_harness,
)

WARNINGS = (
    "-Werror", "-Wdouble-promotion", "-Wfloat-conversion", "-Warray-bounds", "-Wcast-align", "-Wdisabled-optimization",
    "-Wfloat-equal", "-Wformat=1", "-Wformat-security", "-Winit-self", "-Wpointer-arith", "-Wshadow",
    "-Wuninitialized", "-Wunknown-pragmas", "-Wunused-variable", "-Wreorder", "-Wno-missing-field-initializers",
    "-Wno-unused-parameter",
)  # fmt: skip
"""PX4's (cmake/px4_add_common_flags.cmake of v1.17), and -Wfloat-conversion."""
OF_COMPILER = {
    "g++": ("-O1", "-c", "-Wlogical-op", "-Wunused-but-set-variable", "-fno-builtin-printf", "-fcheck-new"),
    "clang++": ("-fsyntax-only", "-Wno-unknown-warning-option", "-Wno-unused-const-variable", "-Wno-varargs"),
}
"""Some of g++'s warnings need optimization; clang++ has all of them from parsing."""
TEST_YAML = """
module_name: test
parameters:
    - group: Test
      definitions:
        TEST_BOOL: {description: {short: a}, type: boolean, default: true}
        TEST_INT: {description: {short: b}, type: int32, default: -7}
        TEST_FLOAT: {description: {short: c}, type: float, default: 0.25}
"""


@pytest.fixture(scope="module")
def tree(bundle: ModelBundle) -> dict[str, str]:
    return px4_files(bundle, "compiled")


@pytest.fixture(scope="module")
def harness(tree: dict[str, str]) -> Harness:
    return make_harness(tree)


@pytest.mark.parametrize("form", MODULE_FORMS)
@pytest.mark.parametrize("compiler", OF_COMPILER)
def test_compiles_without_a_warning(
    tree: dict[str, str], harness: Harness, form: str, compiler: str, tmp_path: Path
) -> None:
    need(compiler)
    write_tree(tmp_path, harness.files)
    sources = [name for name in harness.sources if not name.startswith("module/model/")]
    flags = [*PX4_OPTIONS, *module_options(tree), *harness.options(form), *WARNINGS, *OF_COMPILER[compiler]]
    assert "module/MotionClassifier.cpp" in sources
    done = subprocess.run([compiler, *flags, *sources], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_behaves_as_uorb_does(tree: dict[str, str], cxx: list[str], tmp_path: Path) -> None:
    name = "src/modules/motion_classifier/module.yaml"
    harness = make_harness({**tree, name: TEST_YAML})
    source = Path(__file__).with_name("semantics.cpp").read_text(encoding="utf-8")
    write_tree(tmp_path, {**harness.files, "semantics.cpp": source})
    parts = [f"shim/src/{part}.cpp" for part in ("uorb", "work_queue", "platform", "memory")]
    sanitizers = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover")
    flags = [*PX4_OPTIONS, *harness.options("crtp"), *sanitizers, *LINK_OPTIONS[:4]]  # it has no model
    command = ["g++", *flags, "semantics.cpp", *parts, "generated/topics.cpp", "generated/parameters.cpp"]
    built = subprocess.run([*command, "-o", "semantics"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(tmp_path / "semantics")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "0 failures\n"), done.stdout + done.stderr


def test_own_message(harness: Harness) -> None:
    message = harness.topic("motion_classification")[1]
    names = [field.name for field in message.fields]
    assert names[:3] == ["timestamp", "timestamp_sample", "spec_hash"] and message.queue == 1
    assert message.fields[4] == Field("float", "probabilities", 8)
    assert (message.logged_size, message.size) == (67, 72)
    assert message.ulog_format.endswith("uint8_t[5] _padding0;") and message.dtype().itemsize == 72
    assert message.constants["CLASS_UNCERTAIN"] == ("int8_t", "-1")


@pytest.mark.parametrize("name", [*SUBSCRIBED, *PX4_PUBLISHED])
def test_messages_of_px4_are_as_they_are_logged(name: str) -> None:
    message = of_topic(name)
    assert message.ulog_format == topics.FORMATS[name] and message.size % 8 == 0
    packed = message.dtype(False)
    assert packed.itemsize == message.logged_size and np.dtype(packed).names == tuple(f.name for f in message.fields)


def test_messages_are_parsed_as_px4_does() -> None:
    text = (
        "# about\nuint64 timestamp # us\n\nbool flag\nfloat64[2]   pair\n"
        "uint8 A_CONSTANT = 3 # x\nint16 small\nchar[5] word"
    )
    message = parse_msg("made_up", text)
    assert [field.name for field in message.fields] == ["timestamp", "pair", "small", "flag", "word"]
    assert message.ulog_format == (
        "uint64_t timestamp;double[2] pair;int16_t small;bool flag;char[5] word;"  # 8 + 16 + 2 + 1 + 5 = 32
    )
    assert message.constants == {"A_CONSTANT": ("uint8_t", "3")} and message.queue == 1
    assert dataclasses.replace(message, constants={"ORB_QUEUE_LENGTH": ("uint8_t", "16")}).queue == 16
    for wrong, words in (
        ("uint64 timestamp\nOtherMessage nested", "2: 'OtherMessage nested' found"),
        ("uint64 timestamp\nfloat32 x y", "2: 'float32 x y' found"),
        ("float32 x\nuint64 timestamp", "`uint64 timestamp` as the first field"),
        ("", "`uint64 timestamp` as the first field"),
    ):
        with pytest.raises(ToolchainError, match=words):
            parse_msg("wrong", wrong)


def test_parameters_are_read() -> None:
    found = read_parameters(TEST_YAML)
    assert found == (Parameter("TEST_BOOL", 1), Parameter("TEST_INT", -7), Parameter("TEST_FLOAT", 0.25))
    for wrong in ("", "parameters: 3", "parameters: [{definitions: {A: {type: int32}}}]", "a: [", TEST_YAML + "\n - x"):
        with pytest.raises(ToolchainError, match=r"no parameters with a type and a default"):
            read_parameters(wrong)
    with pytest.raises(ToolchainError, match="A has type 'text'"):
        read_parameters("parameters: [{definitions: {A: {type: text, default: 1}}}]")


def test_a_tree_without_the_module_is_rejected(tree: dict[str, str]) -> None:
    without = {name: text for name, text in tree.items() if not name.endswith(".msg")}
    with pytest.raises(ToolchainError, match=r"no msg/MotionClassification.msg"):
        make_harness(without)


def test_messages_of_a_checkout(bundle: ModelBundle, python: Classifier, cxx: list[str]) -> None:
    """The definitions the stand-in has are those of the PX4 that is named; the module works with its own too."""
    given = os.environ.get("PX4_TINYML_PX4_SOURCE")
    if given is None:
        pytest.skip("no PX4 checkout: set PX4_TINYML_PX4_SOURCE")
    for name in (*SUBSCRIBED, *PX4_PUBLISHED):
        theirs, ours = of_checkout(name, Path(given)), of_topic(name)
        assert theirs.ulog_format == ours.ulog_format and theirs.queue == ours.queue
        assert theirs.constants.items() >= ours.constants.items()
    events = hover(20.0, (5.0, 15.0))
    found = compare(("python", "px4"), python.run(events), Px4Host(bundle, px4=Path(given)).run(events), bundle.spec)
    assert found.first == ""


def test_a_folder_that_is_not_a_checkout_is_rejected(tree: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"no msg/SensorCombined.msg .* is it a PX4 checkout"):
        make_harness(tree, tmp_path)
