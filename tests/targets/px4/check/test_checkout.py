"""What is read off a checkout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from px4_check_samples import MODULE_HEADER, git, made_up_files, make_checkout, write

from px4_tinyml.errors import SpecError, ToolchainError
from px4_tinyml.targets.px4.checkout import Checkout, message_topics


@pytest.mark.parametrize("minor", range(14, 19))
def test_a_release_is_detected_by_its_files(checkout: Callable[..., Path], minor: int) -> None:
    found = Checkout.open(checkout(minor))
    assert found.tag == f"v1.{minor}.0"
    assert found.release == (1, minor)
    assert (found.descriptor, found.tflm, found.logger_adds) == (minor >= 18, minor >= 17, minor >= 18)


def test_version_follows_git_describe_as_in_px4(checkout: Callable[..., Path]) -> None:
    root = checkout(17)
    git(root, "tag", "ext/later")
    write(root, {"more": ""})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "more")
    git(root, "tag", "nightly")
    tag = Checkout.open(root).tag
    assert tag is not None and tag.startswith("v1.17.0-1-g")


@pytest.mark.parametrize(("tag", "inside", "minor"), [("", "", 17), ("v9.9.9", "px4", 16)])
def test_without_tags_of_its_own_there_is_no_version(tmp_path: Path, tag: str, inside: str, minor: int) -> None:
    """Nor does PX4 inside another repository have that one's."""
    make_checkout(tmp_path, 17, tag)
    write(tmp_path / inside, made_up_files(minor))
    found = Checkout.open(tmp_path / inside)
    assert found.tag is None and found.in_git and found.release == (1, minor)


def test_a_work_tree_of_git_has_a_version(checkout: Callable[..., Path], tmp_path: Path) -> None:
    git(checkout(17), "worktree", "add", "-q", "--detach", str(tmp_path / "second"))
    found = Checkout.open(tmp_path / "second")
    assert found.tag == "v1.17.0" and found.in_git


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "it is empty"),
        ({"README.md": "", "src/main.c": ""}, "found README.md, src"),
        ({"ArduCopter/a": "", "libraries/b": "", "wscript": ""}, "it looks like ArduPilot"),
        ({"objects/a": "", "refs/b": "", "HEAD": "ref"}, "git directory without its files"),
        ({"CMakeCache.txt": "CMAKE_HOME_DIRECTORY:INTERNAL=/src/px4\n"}, "a build folder of /src/px4"),
        ({f"PX4-Autopilot/{MODULE_HEADER}": ""}, "the checkout is one level deeper"),
        ({"msg/VehicleOdometry.msg": "", "package.xml": "<name>px4_msgs</name>"}, "found msg, package.xml"),
    ],
)
def test_other_folders_are_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    write(tmp_path, files)
    with pytest.raises(ToolchainError, match="not a PX4 checkout") as error:
        Checkout.open(tmp_path)
    assert message in str(error.value) and "expected" in str(error.value)


def test_a_folder_inside_a_checkout_names_it(checkout: Callable[..., Path]) -> None:
    root = checkout(17)
    with pytest.raises(ToolchainError, match="inside the checkout") as error:
        Checkout.open(root / "src/modules")
    assert str(root) in str(error.value)


def test_a_path_that_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, words in (("missing", "does not exist"), ("file", "is not a folder")):
        with pytest.raises(ToolchainError, match=words):
            Checkout.open(tmp_path / name)


def test_boards(checkout: Callable[..., Path]) -> None:
    """By target and by short name. A label is laid over default, a bootloader is not."""
    root = checkout(17)
    found = Checkout.open(root)
    board = found.board("px4_fmu-v9")
    assert board == found.board("px4_fmu-v9_default")
    assert (board.name, board.compiler, board.posix) == ("px4_fmu-v9_default", "arm-none-eabi-g++", False)
    assert board.flash_bytes == 1008 * 1024  # and not what is in the comment
    assert board.has("DRIVERS_GPS") and not board.has("DRIVERS_UAVCAN") and not board.has("LIB_TFLM")
    board = found.board("px4_fmu-v9_neural")
    assert board.has("LIB_TFLM") and board.has("MODULES_SENSORS") and not board.has("DRIVERS_GPS")
    assert found.boards_with("LIB_TFLM") == ["px4_fmu-v9_neural"]
    board = found.board("px4_sitl")
    assert (board.compiler, board.posix, board.flash_bytes) == ("c++", True, None)
    for name, words in (("px4_fmu-v6", "did you mean px4_fmu-v9_default"), ("%%%", "3 are in")):
        with pytest.raises(SpecError, match=words):
            found.board(name)
    write(root, {"boards/px4/fmu-v9/canbootloader.px4board": "CONFIG_BOARD_ROMFSROOT=y\n"})
    assert not Checkout.open(root).board("px4_fmu-v9_canbootloader").has("MODULES_SENSORS")


def test_submodules_that_are_empty(checkout: Callable[..., Path]) -> None:
    root = checkout(17)
    assert Checkout.open(root).empty_submodules() == []
    (root / "src/modules/mavlink/mavlink/there").unlink()
    (root / "src/drivers/gps/devices/there").rename(root / "src/drivers/gps/devices/moved")
    assert Checkout.open(root).empty_submodules() == ["src/modules/mavlink/mavlink"]


def test_names_in_use(checkout: Callable[..., Path]) -> None:
    root = checkout(18)
    parameters = "parameters:\n    - definitions:\n        OTHER_EN:\n            type: boolean\n"
    write(root, {"src/modules/other/module.yaml": parameters})
    found = Checkout.open(root)
    assert found.topics() == {
        "estimator_odometry": Path("msg/VehicleOdometry.msg"),
        "vehicle_odometry": Path("msg/VehicleOdometry.msg"),
        "wind": Path("msg/versioned/Wind.msg"),
    }
    assert found.commands() == {"logger": Path("src/modules/logger/CMakeLists.txt")}
    assert found.parameters({"OTHER_EN", "SDLOG_MODE", "MCLS_EN"}) == {
        "OTHER_EN": Path("src/modules/other/module.yaml"),
        "SDLOG_MODE": Path("src/modules/logger/params.c"),
    }


def test_topic_names_are_px4s(tmp_path: Path) -> None:
    write(tmp_path, {"MotionClassification.msg": "int8 class_index\n", "Two.msg": "# TOPICS one_a OneB\nint8 x\n"})
    assert [topic for _, topic in message_topics(tmp_path)] == ["motion_classification", "one_a", "one_b"]


@pytest.mark.skipif(
    "PX4_TINYML_PX4_SOURCE" not in os.environ, reason="no PX4 here: set PX4_TINYML_PX4_SOURCE to a clone"
)
def test_the_real_one() -> None:
    found = Checkout.open(Path(os.environ["PX4_TINYML_PX4_SOURCE"]))
    assert found.release >= (1, 15)
    assert found.descriptor == (found.release >= (1, 18))
    board = found.board("px4_fmu-v6x")
    assert board.has("MODULES_SENSORS") and board.flash_bytes == 1920 * 1024
    assert "sensor_combined" in found.topics() and "logger" in found.commands()
    assert "SDLOG_PROFILE" in found.parameters({"SDLOG_PROFILE"})
