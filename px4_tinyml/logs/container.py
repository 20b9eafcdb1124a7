"""Shared by the binary containers (ULog, dataflash, .tlog): records by offset, and the report of skipped bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rows_at(data: bytes, offset: NDArray[np.int64], layout: np.dtype[Any]) -> NDArray[Any]:
    """Structured array [N] of the records that start at offset[N]; each must lie inside data."""
    size = layout.itemsize
    every: NDArray[np.uint8] = np.ndarray((max(len(data) - size + 1, 0), size), np.uint8, data, strides=(1, 1))
    return every[offset].view(layout).reshape(-1)


def split_by_id(ids: NDArray[Any], values: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """values[N] by ids[N], each in the order it has."""
    order = np.argsort(ids, kind="stable")
    unique, first = np.unique(ids[order], return_index=True)
    return dict(zip(unique.tolist(), np.split(values[order], first[1:]), strict=True)) if len(ids) else {}


def skipped_note(skipped: Sequence[tuple[int, int]], size: int) -> list[str]:
    """A damage note for skipped byte ranges [start, end) of a file of this size; empty when nothing was skipped."""
    if not skipped:
        return []
    total = sum(end - start for start, end in skipped)
    text = f"{total} of {size} bytes skipped in {len(skipped)} place(s), first at offset {skipped[0][0]}"
    only_tail = len(skipped) == 1 and skipped[0][1] == size
    return [f"cut or damaged at its end: {text}" if only_tail else f"damaged: {text}"]
