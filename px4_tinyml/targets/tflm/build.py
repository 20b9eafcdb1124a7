"""TensorFlow Lite Micro to build against: not part of this project, the environment names it (docs/tflm.md)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.errors import ToolchainError

DIR_VARIABLE, LIB_VARIABLE = "PX4_TINYML_TFLM_DIR", "PX4_TINYML_TFLM_LIB"
INTERPRETER = Path("tensorflow/lite/micro/micro_interpreter.h")
THIRD_PARTY = tuple(
    f"{folder}/{package}"
    for folder in ("tensorflow/lite/micro/tools/make/downloads", "third_party")
    for package in ("flatbuffers/include", "gemmlowp", "ruy")
)
"""Headers TFLite Micro needs: where its Makefile downloads them to, and where create_tflm_tree.py copies them."""

FLAGS = ("-std=c++17", "-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS", "-DNDEBUG", "-DMOTION_ENGINE_TFLM")
"""TFLite Micro's headers are C++17; its library is always built with TF_LITE_STATIC_MEMORY."""


@dataclass(frozen=True)
class TflmTree:
    """A TFLite Micro to build against: its source tree, and its static library for one target."""

    folder: Path
    library: Path

    @classmethod
    def find(cls, target: str) -> TflmTree | None:
        """The tree that the environment names, for host, cortex-m4 or cortex-m7; None without one.

        Raises ToolchainError when one of the two variables is missing, or a file is not where it should be.
        """
        folder, library = (os.environ.get(name) for name in (DIR_VARIABLE, LIB_VARIABLE))
        if not folder and not library:
            return None
        if not folder or not library:
            missing = LIB_VARIABLE if folder else DIR_VARIABLE
            raise ToolchainError(f"{missing} is not set: the source tree and a library are needed (docs/tflm.md)")
        tree = cls(Path(folder).absolute(), Path(library.replace("{target}", target)).absolute())
        if not (tree.folder / INTERPRETER).is_file():
            raise ToolchainError(
                f"{DIR_VARIABLE}={folder}: {INTERPRETER} is not in it; give TFLite Micro's source tree"
            )
        if not tree.library.is_file():
            raise ToolchainError(f"{LIB_VARIABLE}: {tree.library} does not exist; build it for {target}")
        return tree

    def flags(self, nm: str) -> tuple[str, ...]:
        """For the compiler. nm: the binutils program for the library's format."""
        includes = [self.folder, *(self.folder / package for package in THIRD_PARTY)]
        # Without CMSIS-NN, the headers turn the int8 registrations into the general ones.
        optimized = "Register_CONV_2D_INT8()" in run_tool([nm, "--defined-only", "--demangle", str(self.library)])
        cmsis_nn = ("-DCMSIS_NN",) if optimized else ()
        return (*FLAGS, *cmsis_nn, *(part for path in includes for part in ("-isystem", str(path))))


def tflm_values() -> dict[str, object]:
    """Values for the templates of build files that look for TensorFlow Lite Micro."""
    definitions = [flag for flag in FLAGS if flag.startswith("-D")]
    return {"dir": DIR_VARIABLE, "lib": LIB_VARIABLE, "third_party": THIRD_PARTY, "definitions": definitions}
