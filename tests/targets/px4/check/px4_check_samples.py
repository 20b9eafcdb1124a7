"""Checkouts made up for the tests: a handful of files that look like PX4's, in a git repository of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

MODULE_HEADER = "platforms/common/include/px4_platform_common/module.h"
LOGGED_TOPICS = "src/modules/logger/logged_topics.cpp"
AUTOPILOT = "CONFIG_MODULES_COMMANDER=y\nCONFIG_MODULES_SENSORS=y\n"
BOARD = f"""\
{AUTOPILOT}CONFIG_BOARD_TOOLCHAIN="arm-none-eabi"
CONFIG_DRIVERS_GPS=y
CONFIG_MODULES_MAVLINK=y
# CONFIG_DRIVERS_UAVCAN is not set
"""
SCRIPT = """\
MEMORY
{
	FLASH_ITCM (rx) : ORIGIN = 0x00208000, LENGTH = 2016K
	/* disabled due to silicon errata flash (rx)   : ORIGIN = 0x08004000, LENGTH = 2032K */
	flash (rx)   : ORIGIN = 0x08004000, LENGTH = 1008K
}
"""
SUBMODULES = (
    "platforms/nuttx/NuttX/nuttx",
    "src/drivers/gps/devices",
    "src/drivers/uavcan/libdronecan/dsdl",
    "src/lib/events/libevents",
    "src/lib/tensorflow_lite_micro/tflite_micro",
    "src/modules/mavlink/mavlink",
    "Tools/simulation/gz",
)
LOGGER = "bool LoggedTopics::initialize_logged_topics(SDLogProfileMask profile)\n{{\n{}}}\n"
REPLACES = "if (add_topics_from_file(name) <= 0) {\n\tadd_default_topics();\n}\n"
ADDS = "add_default_topics();\nadd_topics_from_file(name);\n"


def made_up_files(minor: int) -> dict[str, str]:
    """The files that identify PX4 v1.<minor>, and two boards."""
    files = {
        "CMakeLists.txt": "project(px4 CXX C ASM)\n",
        "Makefile": "",
        ".gitmodules": "".join(f'[submodule "{p}"]\n\tpath = {p}\n\turl = https://example.com\n' for p in SUBMODULES),
        MODULE_HEADER: "class ModuleBase\n{\n\tstruct Descriptor {};\n};" if minor >= 18 else "template<class T>",
        "msg/CMakeLists.txt": "set(msg_files\n\tVehicleOdometry.msg\n\tversioned/Wind.msg\n)\n",
        "msg/VehicleOdometry.msg": "uint64 timestamp\n# TOPICS vehicle_odometry estimator_odometry\n",
        LOGGED_TOPICS: LOGGER.format(ADDS if minor >= 18 else REPLACES),
        "src/modules/logger/CMakeLists.txt": "px4_add_module(\n\tMODULE modules__logger\n\tMAIN logger\n)\n",
        "src/modules/logger/params.c": "PARAM_DEFINE_INT32(SDLOG_MODE, 0);\n",
        "boards/px4/fmu-v9/default.px4board": BOARD,
        "boards/px4/fmu-v9/nuttx-config/scripts/script.ld": SCRIPT,
        "boards/px4/sitl/default.px4board": f"CONFIG_PLATFORM_POSIX=y\n{AUTOPILOT}",
    }
    if minor >= 15:
        files["src/lib/atmosphere/atmosphere.cpp"] = ""
    if minor >= 16:
        files["msg/versioned/Wind.msg"] = "uint64 timestamp\n"
    if minor >= 17:
        files["src/lib/tensorflow_lite_micro/CMakeLists.txt"] = ""
        files["boards/px4/fmu-v9/neural.px4board"] = "CONFIG_LIB_TFLM=y\nCONFIG_DRIVERS_GPS=n\n"
    return files


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def add_message(root: Path, name: str, text: str) -> None:
    """A message that PX4 builds."""
    write(root, {f"msg/{name}": text})
    with (root / "msg/CMakeLists.txt").open("a", encoding="utf-8") as listed:
        listed.write(f"list(APPEND msg_files {name})\n")


def git(root: Path, *arguments: str) -> None:
    """Git without this user's configuration."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(
        ["git", *who, "-C", str(root), *arguments], check=True, capture_output=True, env=environment, timeout=30
    )


def make_checkout(root: Path, minor: int, tag: str | None = None) -> Path:
    """A made-up checkout in git, tagged v1.<minor>.0; tag "" leaves it without."""
    write(root, {**made_up_files(minor), **{f"{path}/there": "" for path in SUBMODULES}})
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "made up")
    name = f"v1.{minor}.0" if tag is None else tag
    if name:
        git(root, "tag", name)
    return root
