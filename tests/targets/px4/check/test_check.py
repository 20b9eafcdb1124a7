"""`px4-tinyml px4 check`: findings and exit codes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from px4_check_samples import AUTOPILOT, add_message, write

from px4_tinyml.cli.main import build_parser
from px4_tinyml.emit.shipped import target_root
from px4_tinyml.emit.write import MODULE
from px4_tinyml.errors import SpecError, ToolchainError
from px4_tinyml.targets.boards import DEFAULT_PX4_BOARD
from px4_tinyml.targets.px4.check import COMMAND, ModuleTree

BOARD = ("--board", "px4_fmu-v9")


def run(*arguments: object) -> int:
    args = build_parser("px4").parse_args(["px4", "check", *map(str, arguments)])
    code: int = args.run(args)
    return code


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], tools: Path) -> Callable[..., dict[str, Any]]:
    """The document of --json; its exit code must agree with it."""

    def checked(*arguments: object) -> dict[str, Any]:
        code = run(*arguments, "--json")
        out, err = capsys.readouterr()
        document: dict[str, Any] = json.loads(out)
        levels = [finding["level"] for finding in document["findings"]]
        assert levels == sorted(levels)  # problems before warnings
        assert document["ok"] == ("problem" not in levels) == (code == 0) == (err == "")
        return document

    return checked


def problems(document: dict[str, Any], level: str = "problem") -> list[str]:
    assert all(finding["what"] and finding["todo"] for finding in document["findings"])
    return [finding["what"] for finding in document["findings"] if finding["level"] == level]


@pytest.mark.parametrize("minor", [15, 16, 17, 18])
def test_a_checkout_that_will_do(checkout: Callable[..., Path], check: Callable[..., Any], minor: int) -> None:
    root = checkout(minor)
    document = check(root, *BOARD)
    assert document["findings"] == []
    assert document["px4"] == {
        "dir": str(root),
        "version": f"v1.{minor}.0",
        "release": f"v1.{minor}",
        "supported": True,
        "module_base": "descriptor" if minor == 18 else "template",
        "tflm": minor >= 17,
        "logger_topics": "added" if minor == 18 else "replaced",
    }
    assert document["board"]["flash_bytes"] == 1008 * 1024
    assert document["module"]["engine"] == "compiled"
    assert document["module"]["arena_bytes"] > 0 and document["module"]["weights_bytes"] > 0


def test_the_make_line_is_ready_to_copy(checkout: Callable[..., Path], check: Callable[..., Any], tree: Path) -> None:
    root = checkout(17, name="it's PX4")  # quotes are needed, and a space is a problem of its own
    document = check(root, *BOARD, "--module", os.path.relpath(tree))
    words = shlex.split(document["make"])
    assert words == ["make", "-C", str(root), "px4_fmu-v9_default", f"EXTERNAL_MODULES_LOCATION={tree}"]
    assert len(problems(document)) == 1 and "has a space" in problems(document)[0]


def test_the_default_tree_is_the_default_models(checkout: Callable[..., Path], check: Callable[..., Any]) -> None:
    module = check(checkout(17), *BOARD)["module"]
    tree = target_root("px4_module")
    assert module["dir"] == str(tree.resolve())
    header = (tree / MODULE / "model/MotionSpec.hpp").read_text()
    assert len(module["spec_hash"]) == 64 and module["spec_hash"] in header
    assert "turbulence" in module["labels"] and f"labels = {len(module['labels'])};" in header


def test_tflm_where_the_board_has_it(checkout: Callable[..., Path], check: Callable[..., Any], tree: Path) -> None:
    root = checkout(17)
    neural = (root, "--board", "px4_fmu-v9_neural", "--module", tree)
    assert check(*neural)["module"]["engine"] == "tflm"
    assert check(root, *BOARD, "--module", tree)["module"]["engine"] == "compiled"

    (tree / MODULE / "model/TflmModel.cpp").unlink()
    assert check(*neural)["module"]["engine"] == "compiled"


def test_tflm_only_needs_a_board_with_it(checkout: Callable[..., Path], check: Callable[..., Any], tree: Path) -> None:
    (tree / MODULE / "model/CompiledModel.cpp").unlink()
    document = check(checkout(17), *BOARD, "--module", tree)
    assert document["module"]["engine"] == "tflm"
    assert "no CONFIG_LIB_TFLM" in problems(document)[0]
    assert "px4_fmu-v9_neural" in document["findings"][0]["todo"]


def test_too_old_and_newer_than_the_tested_releases(checkout: Callable[..., Path], check: Callable[..., Any]) -> None:
    document = check(checkout(14, name="old"), *BOARD)
    assert not document["px4"]["supported"]
    assert problems(document) == ["PX4 v1.14.0: the module supports v1.15 to v1.18"]
    document = check(checkout(18, tag="v1.19.0-alpha1"), *BOARD)
    assert document["ok"] and "newer" in problems(document, "warning")[0]


def test_no_tags_and_no_git(
    checkout: Callable[..., Path], check: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))  # wherever the tests run
    root = checkout(17, tag="")
    document = check(root, *BOARD)
    assert document["ok"] and document["px4"]["version"] is None
    assert "no version" in problems(document, "warning")[0]

    shutil.rmtree(root / ".git")
    assert "no git here" in problems(check(root, *BOARD))[0]


@pytest.mark.parametrize("where", ["MotionClassification.msg", "versioned/MotionClassification.msg"])
def test_the_message_exists_already(checkout: Callable[..., Path], check: Callable[..., Any], where: str) -> None:
    root = checkout(17)
    write(root, {f"msg/{where}": "uint64 timestamp\n"})
    assert check(root, *BOARD)["ok"]  # a file that is not built does no harm
    add_message(root, where, "uint64 timestamp\n# TOPICS something_else\n")
    (found,) = problems(check(root, *BOARD))
    assert "MotionClassification" in found and where in found


def test_the_topic_exists_already(checkout: Callable[..., Path], check: Callable[..., Any]) -> None:
    root = checkout(17)
    add_message(root, "Mine.msg", "uint64 timestamp\n# TOPICS mine motion_classification\n")
    (found,) = problems(check(root, *BOARD))
    assert "topic motion_classification" in found and "msg/Mine.msg" in found


def test_the_module_was_copied_into_px4(checkout: Callable[..., Path], check: Callable[..., Any], tree: Path) -> None:
    root = checkout(17)
    shutil.copytree(tree / MODULE, root / MODULE)
    (found,) = problems(check(root, *BOARD, "--module", tree))
    assert COMMAND in found and f"{MODULE}/CMakeLists.txt" in found


def test_the_parameters_exist_already(checkout: Callable[..., Path], check: Callable[..., Any]) -> None:
    root = checkout(17)
    write(root, {"src/modules/mine/params.c": "PARAM_DEFINE_INT32(MCLS_EN, 1);\nPARAM_DEFINE_FLOAT(MCLS_OTHER, 0);\n"})
    (found,) = problems(check(root, *BOARD))
    assert "MCLS_EN (src/modules/mine/params.c)" in found and "MCLS_OTHER" not in found


def test_submodules_that_the_board_needs(checkout: Callable[..., Path], check: Callable[..., Any]) -> None:
    root = checkout(17)
    for there in root.rglob("there"):
        there.unlink()
    (found,) = problems(check(root, *BOARD), "warning")
    needed = ("NuttX/nuttx", "gps/devices", "events/libevents", "mavlink/mavlink")
    assert all(name in found for name in needed)
    assert not any(name in found for name in ("uavcan", "tflite_micro", "gz"))

    (found,) = problems(check(root, "--board", "px4_fmu-v9_neural"), "warning")
    assert "tflite_micro" in found and "gps" not in found
    (found,) = problems(check(root, "--board", "px4_sitl"), "warning")
    assert "NuttX" not in found and "events/libevents" in found


def test_a_missing_compiler(checkout: Callable[..., Path], check: Callable[..., Any], tools: Path) -> None:
    root = checkout(17)
    (tools / "arm-none-eabi-g++").unlink()
    document = check(root, *BOARD)
    assert "arm-none-eabi-g++ is not installed" in problems(document)[0]
    assert "gcc-arm-none-eabi" in document["findings"][0]["todo"]
    assert check(root, "--board", "px4_sitl")["ok"]  # built with the computer's own


def test_boards_that_do_not_fly_or_have_no_room(checkout: Callable[..., Path], check: Callable[..., Any]) -> None:
    root = checkout(17)
    write(
        root,
        {
            "boards/px4/gps/default.px4board": "CONFIG_MODULES_SENSORS=y\n",
            "boards/px4/apps/default.px4board": "CONFIG_MODULES_COMMANDER=y\n",
            "boards/px4/small/default.px4board": f"{AUTOPILOT}CONFIG_BOARD_CONSTRAINED_FLASH=y\n",
        },
    )
    assert "px4_gps_default is not an autopilot" in problems(check(root, "--board", "px4_gps"))[0]
    document = check(root, "--board", "px4_apps")
    assert document["ok"] and "does not run `sensors`" in problems(document, "warning")[0]
    document = check(root, "--board", "px4_small")
    assert document["ok"] and "short of flash" in problems(document, "warning")[0]


def test_flash_left_by_the_last_build(checkout: Callable[..., Path], check: Callable[..., Any], capsys: Any) -> None:
    root = checkout(17)
    build = root / "build/px4_fmu-v9_default"
    image = "build/px4_fmu-v9_default/px4_fmu-v9_default.bin"
    write(root, {image: "x" * (1000 * 1024)})
    document = check(root, *BOARD)
    assert document["ok"] and document["board"]["built_bytes"] == 1000 * 1024
    assert "leaves 8192 bytes of flash" in problems(document, "warning")[0]
    run(root, *BOARD)
    assert "1008 KiB for the firmware, the last build here leaves 8 KiB" in capsys.readouterr().out

    (build / "CMakeCache.txt").write_text("EXTERNAL_MODULES_LOCATION:STRING=\n")
    assert problems(check(root, *BOARD), "warning")
    (build / "CMakeCache.txt").write_text("EXTERNAL_MODULES_LOCATION:STRING=/tree\n")
    assert not problems(check(root, *BOARD), "warning")  # it fits, with the modules in it

    (build / "CMakeCache.txt").unlink()
    write(root, {image: "x" * (900 * 1024)})
    assert not problems(check(root, *BOARD), "warning")


def test_for_a_person(checkout: Callable[..., Path], tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkout(18), *BOARD) == 0
    out, err = capsys.readouterr()
    assert err == "" and "supported" in out and "added to what PX4 logs" in out
    assert out.rstrip().splitlines()[-1].startswith("make -C /")

    assert run(checkout(14, name="old"), *BOARD) == 1
    out, err = capsys.readouterr()
    assert "not supported" in out and "problem: PX4 v1.14.0" in out and err.count("\n") == 1


@pytest.mark.parametrize("missing", [f"{MODULE}/model/MotionSpec.hpp", "msg/CMakeLists.txt"])
def test_a_folder_that_is_not_a_tree(checkout: Callable[..., Path], tools: Path, tree: Path, missing: str) -> None:
    (tree / missing).unlink()
    with pytest.raises(ToolchainError, match=f"not a module tree: {missing} not found.*generate px4"):
        run(checkout(17), *BOARD, "--module", tree)


def test_a_tree_of_another_time(tree: Path) -> None:
    write(tree, {f"{MODULE}/model/MotionSpec.hpp": "struct Spec {};\n"})
    with pytest.raises(ToolchainError, match="generate the tree again"):
        _ = ModuleTree.open(tree).spec_hash


def test_exit_codes_of_errors(checkout: Callable[..., Path], tools: Path, tmp_path: Path) -> None:
    """An unknown board is a usage error; so is the default one where the checkout has none of that name."""
    root = checkout(17)
    for arguments, kind, words, code in (
        ((root, "--board", "px4_fmu-v8"), SpecError, "px4_fmu-v8", 2),
        ((root,), SpecError, DEFAULT_PX4_BOARD, 2),
        ((tmp_path,), ToolchainError, "not a PX4 checkout", 1),
    ):
        with pytest.raises(kind, match=words) as error:
            run(*arguments)
        assert error.value.exit_code == code


@pytest.mark.skipif(
    "PX4_TINYML_PX4_SOURCE" not in os.environ, reason="no PX4 here: set PX4_TINYML_PX4_SOURCE to a clone"
)
def test_the_real_one(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(os.environ["PX4_TINYML_PX4_SOURCE"])
    run(root, "--board", "px4_sitl_default", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["px4"]["supported"] and document["module"]["engine"] == "compiled"
    assert document["px4"]["version"].startswith(document["px4"]["release"])
    assert not any("defines already" in what or "exist already" in what for what in problems(document))
