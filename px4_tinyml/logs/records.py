"""Records at known places of a file, all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rows_at(data: bytes, offset: NDArray[np.int64], layout: np.dtype[Any]) -> NDArray[Any]:
    """Structured array of the records that start at offset[N]; each must lie inside data."""
    size = layout.itemsize
    every: NDArray[np.uint8] = np.ndarray((max(len(data) - size + 1, 0), size), np.uint8, data, strides=(1, 1))
    return every[offset].view(layout).reshape(-1)
