"""`px4-tinyml px4 check`: can a PX4 checkout build the module tree?"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from px4_tinyml.emit.write import MODULE
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.px4.checkout import NEWEST, OLDEST, TFLM, Checkout, Px4Board, message_topics
from px4_tinyml.targets.px4.generate import MODEL_SOURCES

COMMAND = "motion_classifier"
PROBLEM, WARNING = "problem", "warning"
CODE_BYTES = 18_900
"""Flash of the module without the weights: measured with PX4 v1.17.0 for fmu-v6c (docs/px4.md)."""


@dataclass(frozen=True)
class Finding:
    """level: PROBLEM (the build or the module will fail) or WARNING. what: the finding. todo: what to do about it."""

    level: str
    what: str
    todo: str


@dataclass(frozen=True)
class ModuleTree:
    """A folder for EXTERNAL_MODULES_LOCATION: the repository's px4_module or what `generate px4` wrote."""

    root: Path

    @staticmethod
    def open(folder: Path) -> ModuleTree:
        """Raises ToolchainError for any other folder."""
        cmake = [f"{place}/CMakeLists.txt" for place in ("src", "msg", MODULE)]
        missing = [name for name in (*cmake, f"{MODULE}/model/MotionSpec.hpp") if not (folder / name).is_file()]
        if missing:
            raise ToolchainError(
                f"{folder}: not a module tree: {', '.join(missing)} not found; give the folder that "
                "`px4-tinyml generate px4 BUNDLE --out DIR` wrote, or leave --module out for the default model"
            )
        return ModuleTree(folder.resolve())

    def has(self, source: str) -> bool:
        """Whether the tree has this source file of a model."""
        return (self.root / MODULE / "model" / source).is_file()

    @cached_property
    def spec_hash(self) -> str:
        """SHA-256 of the spec, hex."""
        return self._search("MotionSpec.hpp", r'hash\(\) \{ return "([0-9a-f]{64})"')

    @cached_property
    def labels(self) -> list[str]:
        """The classes."""
        return re.findall(r'"([^"]+)"', self._search("MotionSpec.hpp", r"names\[labels\] = \{([^}]*)\}"))

    def engine_bytes(self, engine: str) -> dict[str, int]:
        """Arena (RAM) and weights (flash) of one of its engines, as generated."""
        header = f"{MODEL_SOURCES[engine]}.hpp"
        names = {"arena_bytes": "kArenaBytes", "weights_bytes": "kWeightsBytes"}
        found = {key: self._search(header, rf"\b{name} = (\d+);", "") for key, name in names.items()}
        return {key: int(value) for key, value in found.items() if value}

    def parameters(self) -> set[str]:
        """Names in module.yaml."""
        text = (self.root / MODULE / "module.yaml").read_text(encoding="utf-8")
        return set(re.findall(r"^\s+([A-Z][A-Z0-9_]+):\s*$", text, re.MULTILINE))

    def _search(self, header: str, pattern: str, missing: str | None = None) -> str:
        path = self.root / MODULE / "model" / header
        found = re.search(pattern, path.read_text(encoding="utf-8")) if path.is_file() else None
        if found:
            return found[1]
        if missing is None:
            raise ToolchainError(f"{path}: written by another version of px4-tinyml; generate the tree again")
        return missing


@dataclass(frozen=True)
class Px4Check:
    """A checkout, a board of it and a module tree."""

    checkout: Checkout
    board: Px4Board
    tree: ModuleTree

    @property
    def engine(self) -> str:
        """Engine for MOTION_ENGINE=auto, by the rule of the module's CMakeLists.txt."""
        if not self.tree.has("CompiledModel.cpp"):
            return "tflm"
        return "tflm" if self.board.has("LIB_TFLM") and self.tree.has("TflmModel.cpp") else "compiled"

    @property
    def supported(self) -> bool:
        """Whether the release is one that the module supports, or newer."""
        return self.checkout.release >= OLDEST

    @property
    def make(self) -> str:
        """The command that builds the firmware."""
        root, tree = shlex.quote(str(self.checkout.root)), shlex.quote(str(self.tree.root))
        return f"make -C {root} {self.board.name} EXTERNAL_MODULES_LOCATION={tree}"

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Problems first."""
        found = (*self._release(), *self._names(), *self._board(), *self._submodules(), *self._tools(), *self._places())
        return tuple(sorted(found, key=lambda finding: finding.level != PROBLEM))

    @property
    def ok(self) -> bool:
        """No problem was found."""
        return all(finding.level != PROBLEM for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """For --json; the keys are described in docs/px4.md."""
        checkout, board = self.checkout, self.board
        return {
            "px4": {
                "dir": str(checkout.root),
                "version": checkout.tag,
                "release": release_name(checkout.release),
                "supported": self.supported,
                "module_base": "descriptor" if checkout.descriptor else "template",
                "tflm": checkout.tflm,
                "logger_topics": "added" if checkout.logger_adds else "replaced",
            },
            "board": {
                "name": board.name,
                "compiler": board.compiler,
                "tflm": board.has("LIB_TFLM"),
                "constrained_flash": board.has("BOARD_CONSTRAINED_FLASH"),
                "flash_bytes": board.flash_bytes,
                "built_bytes": self.built_bytes,
            },
            "module": {
                "dir": str(self.tree.root),
                "spec_hash": self.tree.spec_hash,
                "labels": self.tree.labels,
                "engine": self.engine,
                **self.tree.engine_bytes(self.engine),
            },
            "findings": [vars(finding) for finding in self.findings],
            "ok": self.ok,
            "make": self.make,
        }

    @property
    def built_bytes(self) -> int | None:
        """Flash taken by the firmware that was last built here for the board, if any."""
        image = self._build / f"{self.board.name}.bin"
        return image.stat().st_size if image.is_file() else None

    @property
    def _build(self) -> Path:
        return self.checkout.root / "build" / self.board.name

    def _release(self) -> Iterator[Finding]:
        checkout = self.checkout
        if not self.supported:
            name = checkout.tag or f"{release_name(checkout.release)} or older"
            yield Finding(
                PROBLEM,
                f"PX4 {name}: the module supports {release_name(OLDEST)} to {release_name(NEWEST)}",
                f"git -C {checkout.root} checkout v1.17.0 --recurse-submodules",
            )
        if not checkout.in_git:
            yield Finding(
                PROBLEM,
                "no git here: PX4's build needs git for version and submodules, a source archive does not build",
                "git clone --recursive https://github.com/PX4/PX4-Autopilot.git",
            )
        elif checkout.tag is None:
            yield Finding(
                WARNING,
                "git reports no version (no tags, or an unsafe folder): PX4 builds as v0.0.0, or fails (v1.15)",
                f"git -C {checkout.root} fetch --tags",
            )
        elif release_of(checkout.tag) > NEWEST:
            yield Finding(
                WARNING,
                f"PX4 {checkout.tag} is newer than the newest release tested ({release_name(NEWEST)})",
                "build it; if it does not compile, use a release and report it",
            )

    def _names(self) -> Iterator[Finding]:
        checkout, topics = self.checkout, self.checkout.topics()
        for path, topic in message_topics(self.tree.root / "msg"):
            other = next((where for where in topics.values() if where.name == path.name), topics.get(topic))
            if other:
                yield Finding(
                    PROBLEM,
                    f"the tree has the message {path.stem} (topic {topic}), which {other} defines already",
                    f"remove {other} and its line in msg/CMakeLists.txt, if it is a copy of the tree's",
                )
        module = checkout.commands().get(COMMAND)
        if module:
            yield Finding(
                PROBLEM,
                f"the tree has the module {COMMAND}, which {module} defines already",
                f"remove {module.parent}, if it is a copy of the tree's",
            )
        taken = checkout.parameters(self.tree.parameters())
        if taken and not module:  # a copy of the module has its parameters with it
            where = ", ".join(f"{name} ({path})" for name, path in sorted(taken.items()))
            yield Finding(PROBLEM, f"parameters of the tree exist already: {where}", "rename them in one of the two")

    def _board(self) -> Iterator[Finding]:
        board = self.board
        if not board.has("MODULES_COMMANDER"):
            yield Finding(
                PROBLEM,
                f"{board.name} is not an autopilot (no CONFIG_MODULES_COMMANDER): the module gets no sensor_combined",
                "choose an autopilot, not a peripheral or a bootloader",
            )
        elif not board.has("MODULES_SENSORS"):
            yield Finding(
                WARNING,
                f"{board.name} does not run `sensors` (CONFIG_MODULES_SENSORS), which publishes sensor_combined",
                "check `listener sensor_combined` after the start",
            )
        elif board.has("BOARD_CONSTRAINED_FLASH"):
            yield Finding(
                WARNING,
                f"{board.name} is short of flash (CONFIG_BOARD_CONSTRAINED_FLASH), and sends no DEBUG_VECT or "
                "DEBUG_FLOAT_ARRAY on any link: only status text and log remain of the report",
                "docs/px4.md, “When it does not fit”",
            )
        flash, built = board.flash_bytes, self.built_bytes
        cache = self._build / "CMakeCache.txt"
        needed = CODE_BYTES + self.tree.engine_bytes("compiled").get("weights_bytes", 0)
        text = cache.read_text(encoding="utf-8", errors="replace") if cache.is_file() else ""
        # The flash of external modules in the last build is not known separately.
        external = re.search(r"^EXTERNAL_MODULES_LOCATION:\w+=.", text, re.MULTILINE)
        if flash and built and flash - built < needed and not external:
            yield Finding(
                WARNING,
                f"the last build here leaves {flash - built} bytes of flash, the module needs about {needed}",
                "docs/px4.md, “When it does not fit”",
            )
        if self.engine == "tflm" and not board.has("LIB_TFLM"):
            yield Finding(
                PROBLEM,
                f"the tree holds the model for TensorFlow Lite Micro only, {board.name} has no CONFIG_LIB_TFLM",
                "px4-tinyml generate px4 BUNDLE --out DIR (without --engine), or a board that has it: "
                + (", ".join(self.checkout.boards_with("LIB_TFLM")) or "none in this checkout"),
            )

    def _submodules(self) -> Iterator[Finding]:
        empty = [path for path in self.checkout.empty_submodules() if self._needs(path)]
        if empty and self.checkout.in_git:
            yield Finding(
                WARNING,
                f"submodules are empty: {', '.join(empty)}; make fetches them, and fails offline",
                f"git -C {self.checkout.root} submodule update --init --recursive",
            )

    def _needs(self, submodule: str) -> bool:
        """PX4's rule: src/drivers/gps/… belongs to CONFIG_DRIVERS_GPS. Options selected by others are ignored."""
        if submodule.startswith("platforms/nuttx/"):
            return not self.board.posix
        if submodule.startswith(f"{TFLM}/"):
            return self.board.has("LIB_TFLM")
        if submodule.startswith("src/lib/events/"):
            return True
        parts = submodule.upper().replace("-", "_").split("/")[1:-1]
        return any(self.board.has("_".join(parts[:length])) for length in range(2, len(parts) + 1))

    def _tools(self) -> Iterator[Finding]:
        packages = {"arm-none-eabi-g++": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib", "c++": "g++"}
        compiler = self.board.compiler
        for tool, package in ((compiler, packages.get(compiler, compiler)), ("cmake", "cmake"), ("make", "make")):
            if shutil.which(tool) is None:
                yield Finding(
                    PROBLEM,
                    f"{tool} is not installed; {self.board.name} is built with it",
                    f"Debian, Ubuntu: `apt-get install {package}`, or PX4's Tools/setup/ubuntu.sh",
                )

    def _places(self) -> Iterator[Finding]:
        for name, path in (("module tree", self.tree.root), ("checkout", self.checkout.root)):
            if re.search(r"\s", str(path)):
                what = f"the {name}'s path has a space: {path}"
                yield Finding(PROBLEM, what, "PX4's Makefile does not support it: move it")


def release_name(release: tuple[int, int]) -> str:
    """(1, 17) → v1.17."""
    return f"v{release[0]}.{release[1]}"


def release_of(tag: str) -> tuple[int, int]:
    """v1.17.0-12-g1234567 → (1, 17)."""
    found = re.match(r"v(\d+)\.(\d+)", tag)
    return (int(found[1]), int(found[2])) if found else (0, 0)
