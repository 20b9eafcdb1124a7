"""`generate arduino`: the sketch for each board and engine, compiled without warnings."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from pathlib import Path

import pytest
from toolchains import need

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.cli.main import main
from px4_tinyml.emit.shipped import pretrained_bundle, target_root
from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.emit.write import MODULE
from px4_tinyml.errors import SpecError
from px4_tinyml.targets.arduino.generate import SKETCH, arduino_files, generate_arduino
from px4_tinyml.targets.arduino.mavlink_headers import MESSAGES, mavlink_headers
from px4_tinyml.targets.arduino.node_boards import NODE_BOARDS
from px4_tinyml.targets.tflm.generate import Arena

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")


@pytest.fixture(scope="module")
def files(bundle: ModelBundle) -> dict[str, str]:
    return arduino_files(bundle, "generic")


def test_core_and_engine_are_those_of_the_module(files: dict[str, str]) -> None:
    module = target_root("px4_module") / MODULE
    headers = (path for folder in ("core", "engine") for path in (module / folder).rglob("*.hpp"))
    names = ["Engine.hpp", *(path.relative_to(module).as_posix() for path in headers)]
    assert len(names) > 20
    for name in names:
        assert files[f"{SKETCH}/src/{name}"] == (module / name).read_text(encoding="utf-8"), name


def test_hand_written_files_are_copied_as_they_are(files: dict[str, str]) -> None:
    root = target_root("firmware")
    for path in (root / SKETCH).rglob("*"):
        if path.suffix in (".hpp", ".cpp", ".ino"):
            assert files[path.relative_to(root).as_posix()] == path.read_text(encoding="utf-8")


def test_sketch_has_the_name_arduino_wants(files: dict[str, str]) -> None:
    assert f"{SKETCH}/{SKETCH}.ino" in files
    assert all(name.startswith(f"{SKETCH}/") or name == "README.md" for name in files)


def test_every_include_is_relative_or_the_boards(files: dict[str, str]) -> None:
    """A sketch's own folder is in no include path."""
    for name, text in files.items():
        if not name.endswith((".hpp", ".cpp", ".ino", ".h")) or "TflmEngine" in name:
            continue  # TensorFlow Lite Micro's headers are a library's
        for include in re.findall(r'#include "([^"]+)"', text):
            # Included where a macro is defined.
            if include in ("CustomSensors.hpp", "testsuite.h", "string.h", "model/TflmModel.hpp"):
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), include))
            assert path in files, f"{name} includes {include}"


def test_the_same_bundle_gives_the_same_files_and_no_dates(bundle: ModelBundle, tmp_path: Path) -> None:
    assert generate_arduino(bundle, tmp_path)
    assert not generate_arduino(bundle, tmp_path)
    dates = [line for text in mavlink_headers().values() for line in text.splitlines() if "BUILD_DATE" in line]
    assert dates == ['#define MAVLINK_BUILD_DATE ""']


def test_headers_have_the_messages_and_no_others() -> None:
    headers = mavlink_headers()
    found = {name.split("mavlink_msg_")[1][:-2].upper() for name in headers if "mavlink_msg_" in name}
    assert found == set(MESSAGES)


@pytest.mark.parametrize("board", NODE_BOARDS)
@pytest.mark.parametrize("tflm", [False, True])
def test_boards_and_engines(bundle: ModelBundle, board: str, tflm: bool) -> None:
    files = arduino_files(bundle, board, Arena(4096, "a test") if tflm else None)
    config = files[f"{SKETCH}/src/BoardConfig.hpp"]
    assert f"#define {NODE_BOARDS[board].macro} " in config
    assert ("MOTION_ENGINE_TFLM" in config) == tflm
    yaml = files[f"{SKETCH}/sketch.yaml"]
    assert ("Chirale_TensorFLowLite" in yaml + files["README.md"]) == tflm
    assert ("Arduino_BMI270_BMM150" in yaml) == (board == "nano33ble-rev2")
    assert ("fqbn: arduino:mbed_nano:nano33ble" in yaml) == board.startswith("nano33ble")
    assert "{{" not in yaml + config + files["README.md"]


def test_the_other_engines_model_is_removed(bundle: ModelBundle, tmp_path: Path) -> None:
    """Arduino compiles every file in the folder."""
    model = tmp_path / SKETCH / "src" / "model"
    generate_arduino(bundle, tmp_path, Arena(4096, "a test"))
    assert (model / "TflmModel.cpp").is_file()
    (model / "mine.hpp").write_text("// kept")
    generate_arduino(bundle, tmp_path)
    assert not list(model.glob("Tflm*")) and (model / "mine.hpp").is_file()


@pytest.mark.parametrize("board", NODE_BOARDS)
def test_slots_faster_than_the_imu_are_rejected(bundle: ModelBundle, board: str) -> None:
    fast = replace(bundle, spec=replace(bundle.spec, rate_hz=239))
    with pytest.raises(SpecError, match=rf"--board {board}: its IMU gives 2\d\d samples a second.* need 239"):
        arduino_files(fast, board)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(pretrained_bundle())
    assert main(["generate", "arduino", bundle, "--out", str(tmp_path / "a"), "--board", "nano33ble-rev2"]) == 0
    assert "files written" in capsys.readouterr().out
    assert (tmp_path / "a" / SKETCH / f"{SKETCH}.ino").is_file()
    assert main(["generate", "arduino", bundle, "--out", str(tmp_path / "b"), "--board", "uno"]) == 2
    words = capsys.readouterr().err
    assert "uno" in words and "nano33ble-rev1" in words and not (tmp_path / "b").exists()


def test_clang_has_nothing_to_say(sketch: Path) -> None:
    need("clang++")
    sources = sorted(str(path) for path in (sketch / "src" / "node").glob("*.cpp"))
    run_tool(["clang++", "-std=c++14", "-fsyntax-only", "-fno-exceptions", "-fno-rtti", *WARNINGS, *sources])


def test_each_header_compiles_first(sketch: Path, cxx: list[str], tmp_path: Path) -> None:
    src = sketch / "src"
    headers = [*(src / "node").glob("*.hpp"), *(src / "drivers").glob("*.hpp"), src / "board" / "SendRing.hpp"]
    assert len(headers) > 20
    for header in headers:
        main_file = tmp_path / f"{header.stem}.cpp"
        main_file.write_text(f'#include "{header}"\n')
        run_tool([*cxx, "-std=c++14", "-fsyntax-only", *WARNINGS, str(main_file)])


def test_the_node_needs_no_heap(sketch: Path, cxx: list[str], tmp_path: Path) -> None:
    need("nm")
    for source in sorted((sketch / "src" / "node").glob("*.cpp")):
        made = tmp_path / f"{source.stem}.o"
        run_tool([*cxx, "-std=c++14", "-O2", "-fno-exceptions", "-fno-rtti", "-c", str(source), "-o", str(made)])
        wanted = run_tool(["nm", "-u", "-C", str(made)])
        assert not re.search(r"operator new|\bmalloc|\bprintf|__cxa_guard", wanted), wanted
