"""TensorFlow Lite Micro itself (`tflite-micro` wheel): the reference for every other engine."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.interpreter import as_rows
from px4_tinyml.errors import ConversionError, ToolchainError
from px4_tinyml.flight_log import I8


class TflmInterpreter:
    """`invoke(x)`: int8[N, input size] (or [N, *input shape]) → int8[N, output size]."""

    def __init__(self, model: bytes) -> None:
        try:
            from tflite_micro import runtime
        except ImportError as error:
            raise ToolchainError(
                "the tflite-micro wheel is missing (x86-64 Linux only): pip install 'px4-tinyml[tflm]'"
            ) from error
        # Enough for the model's activations and bookkeeping; the wheel allocates it once.
        arena_size = 1 << 20 if len(model) < 1 << 17 else 10 * len(model)
        try:
            self._interpreter: Any = runtime.Interpreter.from_bytes(model, arena_size=arena_size)
        except RuntimeError as error:
            raise ConversionError(f"TensorFlow Lite Micro rejects this model: {error}") from error
        details = self._interpreter.get_input_details(0)
        self._shape = tuple(int(n) for n in details["shape"])
        if details["dtype"] is not np.int8:
            raise ConversionError(f"the model's input is {details['dtype'].__name__}: expected int8")
        self._output_size = int(np.prod(self._interpreter.get_output_details(0)["shape"]))

    def invoke(self, x: NDArray[np.int8]) -> I8:
        """Run every row of x through the model."""
        rows = as_rows(x, int(np.prod(self._shape)))
        outputs = np.empty((len(rows), self._output_size), np.int8)
        for row, output in zip(rows, outputs, strict=True):
            # Set every time: the memory planner reuses the input's bytes.
            self._interpreter.set_input(row.reshape(self._shape), 0)
            self._interpreter.invoke()
            output[:] = self._interpreter.get_output(0).ravel()
        return outputs

    def arena_bytes(self) -> int:
        """Arena in use on this computer. Pointers are 8 bytes here: a controller needs less."""
        self._interpreter.invoke()
        with native_stderr() as file:
            self._interpreter.print_allocations()
            file.seek(0)
            found = re.search(rb"Arena allocation total (\d+) bytes", file.read())
        if found is None:
            raise ToolchainError("the tflite-micro wheel no longer reports its arena")
        return int(found.group(1))


@contextmanager
def native_stderr() -> Iterator[BinaryIO]:
    """A file that receives what native code writes to file descriptor 2; exceptions are still raised."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 2)
            yield file
        finally:
            os.dup2(saved, 2)
            os.close(saved)
