"""TensorFlow, imported late and without its log output."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

from px4_tinyml.compiler.oracle import native_stderr
from px4_tinyml.errors import ToolchainError


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Discard what TensorFlow's C++ code logs, and warnings; exceptions are still raised."""
    with native_stderr(), warnings.catch_warnings(action="ignore"):
        yield


def tensorflow() -> Any:
    """The tensorflow module, on the CPU; ToolchainError names the extra when it is missing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with native_stderr_silenced():
            import tensorflow as tf
    except ImportError as error:
        raise ToolchainError("TensorFlow is missing: pip install 'px4-tinyml[train]'") from error
    tf.get_logger().setLevel("ERROR")
    return tf
