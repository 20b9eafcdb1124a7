"""Facts of a PX4 checkout, from its files and `git describe`; nothing in it is run or changed."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from px4_tinyml.errors import SpecError, ToolchainError

OLDEST, NEWEST = (1, 15), (1, 18)
"""Releases that the module supports."""
MODULE_HEADER = Path("platforms/common/include/px4_platform_common/module.h")
LOGGED_TOPICS = Path("src/modules/logger/logged_topics.cpp")
TFLM = Path("src/lib/tensorflow_lite_micro")
TFLM_BUILD = TFLM / "CMakeLists.txt"
_MARKS = (((1, 17), TFLM_BUILD), ((1, 16), Path("msg/versioned")), ((1, 15), Path("src/lib/atmosphere")))
"""Files that identify a release without git: new in it (checked for all tags v1.14.0 … v1.18.0-beta1)."""
_PX4 = (MODULE_HEADER, Path("msg/CMakeLists.txt"), Path("boards"), Path("CMakeLists.txt"))
_STANDALONE_LABELS = ("default", "performance-test", "bootloader")
"""Labels whose .px4board is the whole configuration (cmake/kconfig.cmake); any other is laid over default's."""
_FLASH = re.compile(
    r"^\s*(?:flash|FLASH|FLASH_AXIM)\s*\(rx\)\s*:.*LENGTH\s*=\s*(\d+)([KM])\s*(?:/\*.*)?$", re.MULTILINE
)


@dataclass(frozen=True)
class Px4Board:
    """A board configuration. name: the make target; config: its CONFIG_… as the .px4board files set them."""

    name: str
    folder: Path
    config: Mapping[str, str]

    def has(self, key: str) -> bool:
        """Whether CONFIG_<key> is set."""
        return self.config.get(f"CONFIG_{key}", "n") not in ("", "n")

    @property
    def posix(self) -> bool:
        """SITL or a Linux board: no NuttX under it."""
        return self.has("PLATFORM_POSIX")

    @property
    def compiler(self) -> str:
        """The C++ compiler that PX4 builds it with."""
        toolchain = self.config.get("CONFIG_BOARD_TOOLCHAIN", "")
        return f"{toolchain}-g++" if toolchain else "c++"

    @property
    def flash_bytes(self) -> int | None:
        """Flash for the firmware, from the board's linker script; None where it has no plain number."""
        found = _FLASH.search(_text(self.folder / "nuttx-config/scripts/script.ld"))
        return int(found[1]) * {"K": 1024, "M": 1024 * 1024}[found[2]] if found else None


@dataclass(frozen=True)
class Checkout:
    """A PX4 source tree."""

    root: Path

    @staticmethod
    def open(folder: Path) -> Checkout:
        """Raises ToolchainError with the kind of folder that it is."""
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise ToolchainError(f"{folder}: {what}; give the folder of a `git clone` of PX4-Autopilot")
        root = folder.resolve()
        missing = [path for path in _PX4 if not (root / path).exists()]
        if missing:
            raise ToolchainError(
                f"{folder}: not a PX4 checkout: {_instead(root)}; "
                f"expected {', '.join(map(str, missing))}; give the folder of a `git clone` of PX4-Autopilot"
            )
        return Checkout(root)

    @cached_property
    def repository(self) -> Path | None:
        """Root of the git repository around the folder: itself, unless PX4 is kept inside another repository."""
        top = self._git("rev-parse", "--show-toplevel")
        return Path(top).resolve() if top else None

    @cached_property
    def tag(self) -> str | None:
        """`git describe` as PX4's build runs it; None for an archive, without tags, or when git fails."""
        if self.repository != self.root:
            return None
        return self._git("describe", "--exclude", "ext/*", "--tags", "--match", "v[0-9]*")

    @property
    def in_git(self) -> bool:
        """Whether there is a git repository; PX4 does not build without one."""
        return self.repository is not None or (self.root / ".git").exists()

    @cached_property
    def release(self) -> tuple[int, int]:
        """(major, minor) that the files belong to; NEWEST: or newer, OLDEST - 1: or older."""
        if self.descriptor:
            return NEWEST
        for release, mark in _MARKS:
            if (self.root / mark).exists():
                return release
        return OLDEST[0], OLDEST[1] - 1

    @cached_property
    def descriptor(self) -> bool:
        """ModuleBase with a Descriptor (v1.18) instead of ModuleBase<T>."""
        return "struct Descriptor" in _text(self.root / MODULE_HEADER)

    @cached_property
    def tflm(self) -> bool:
        """Whether PX4 has TensorFlow Lite Micro as a library."""
        return (self.root / TFLM_BUILD).is_file()

    @cached_property
    def logger_adds(self) -> bool:
        """Whether etc/logging/logger_topics.txt adds to the logged topics (v1.18) instead of replacing them."""
        body = _text(self.root / LOGGED_TOPICS).partition("::initialize_logged_topics(")[2]
        return "add_default_topics" in body.partition("add_topics_from_file")[0]

    @cached_property
    def boards(self) -> dict[str, Path]:
        """Every .px4board by its make target."""
        return {"_".join((*f.parts[-3:-1], f.stem)): f for f in sorted(self.root.glob("boards/*/*/*.px4board"))}

    def board(self, name: str) -> Px4Board:
        """By make target; "_default" may be left out. Raises SpecError with names that are close."""
        full = name if name in self.boards else f"{name}_default"
        path = self.boards.get(full)
        if path is None:
            short = {target.removesuffix("_default"): target for target in self.boards}
            close = [short[each] for each in difflib.get_close_matches(name.removesuffix("_default"), short, 4)]
            hint = f"did you mean {', '.join(close)}?" if close else f"{len(self.boards)} are in {self.root}/boards"
            raise SpecError(f"board {name!r} is not in this checkout: {hint}")
        whole = any(label in path.stem for label in _STANDALONE_LABELS)
        config = {} if whole else _config(path.with_name("default.px4board"))
        return Px4Board(full, path.parent, {**config, **_config(path)})

    def boards_with(self, key: str) -> list[str]:
        """Boards where CONFIG_<key> is set."""
        return [name for name in self.boards if self.board(name).has(key)]

    def empty_submodules(self) -> list[str]:
        """Paths of .gitmodules that are empty."""
        paths = re.findall(r"^\s*path\s*=\s*(\S+)", _text(self.root / ".gitmodules"), re.MULTILINE)
        return [path for path in paths if not any((self.root / path).glob("*"))]

    def topics(self) -> dict[str, Path]:
        """Every uORB topic and the message file (from the root) that defines it, of those that are built."""
        listed = set(re.findall(r"[\w/]+\.msg", _text(self.root / "msg/CMakeLists.txt")))
        pairs = ((path.relative_to(self.root), topic) for path, topic in message_topics(self.root / "msg"))
        return {topic: path for path, topic in pairs if path.relative_to("msg").as_posix() in listed}

    def commands(self) -> dict[str, Path]:
        """Every module's command and the CMakeLists.txt (from the root) that defines it."""
        return {
            name: path.relative_to(self.root)
            for path in self._sources("CMakeLists.txt")
            for name in re.findall(r"^\s*MAIN\s+(\w+)", _text(path), re.MULTILINE)
        }

    def parameters(self, names: set[str]) -> dict[str, Path]:
        """Which of these parameters are defined here, and where (from the root)."""
        pattern = re.compile(r"^\s+(\w+):\s*$|PARAM_DEFINE_\w+\(\s*(\w+)", re.MULTILINE)
        return {
            name: path.relative_to(self.root)
            for path in (*self._sources(".yaml"), *self._sources(".c"))
            for pair in pattern.findall(_text(path))
            for name in names.intersection(pair)
        }

    def _sources(self, ending: str) -> list[Path]:
        """Files below src/ whose name ends so, submodules and vendored trees with a .git left out."""
        found = []
        for folder, folders, files in os.walk(self.root / "src"):
            folders[:] = sorted(f for f in folders if not Path(folder, f, ".git").exists())
            found += [Path(folder, name) for name in sorted(files) if name.endswith(ending)]
        return found

    def _git(self, *arguments: str) -> str | None:
        """Output of git, or None."""
        command = ["git", "-C", str(self.root), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() or None if done.returncode == 0 else None


def message_topics(folder: Path) -> list[tuple[Path, str]]:
    """(message file, topic) below a msg folder, named as PX4's generator names them."""
    pairs = []
    for path in sorted(folder.rglob("*.msg")):
        named = re.findall(r"^# TOPICS +(.+?)\s*$", _text(path), re.MULTILINE)
        for topic in " ".join(named).split() or [path.stem]:
            pairs.append((path, re.sub(r"(?<!^)(?=[A-Z])", "_", topic).lower()))
    return pairs


def _config(path: Path) -> dict[str, str]:
    """CONFIG_… of a .px4board file, unquoted; "# CONFIG_X is not set" is "n"."""
    text = _text(path)
    unset = dict.fromkeys(re.findall(r"^# (CONFIG_\w+) is not set", text, re.MULTILINE), "n")
    values = re.findall(r"^(CONFIG_\w+)=(.*?)\s*$", text, re.MULTILINE)
    return {**unset, **{key: value.strip('"') for key, value in values}}


def _instead(root: Path) -> str:
    """Kind of a folder that is not a PX4 checkout."""
    names = {path.name for path in root.iterdir()}
    if {"libraries", "ArduCopter"} <= names:
        return "it looks like ArduPilot, which this module does not support"
    if {"objects", "refs", "HEAD"} <= names:
        return "it is a git directory without its files (clone it)"
    if "CMakeCache.txt" in names:
        source = re.search(r"^CMAKE_HOME_DIRECTORY:\w+=(.+)$", _text(root / "CMakeCache.txt"), re.MULTILINE)
        return f"it is a build folder of {source[1] if source else 'some CMake project'}"
    for parent in root.parents:
        if (parent / MODULE_HEADER).is_file():
            return f"it is a folder inside the checkout {parent}"
    for child in sorted(path for path in root.iterdir() if path.is_dir()):
        if (child / MODULE_HEADER).is_file():
            return f"the checkout is one level deeper, {child}"
    if names <= {".git"}:
        return "it is empty"
    shown = sorted(names, key=lambda name: (name.startswith("."), name))[:6]
    return f"found {', '.join(shown)}{' …' if len(names) > len(shown) else ''}"


def _text(path: Path) -> str:
    """A file's text, or "" without such a file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""
