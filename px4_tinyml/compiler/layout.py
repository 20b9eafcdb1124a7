"""Weights and rescalings as the C++ kernels want them in memory (engine/kernels/rows.hpp, engine/fixed_point.hpp)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.fixed_point import I64
from px4_tinyml.compiler.steps import WORD, Channels
from px4_tinyml.flight_log import I8

_WORD_ORDER = [0, 2, 1, 3]
"""How SXTB16 takes a word apart: the even bytes, then the odd ones."""
_SAFE_BLOCK_WORDS = 126
"""So few words that the high sum fits 24 bits, whatever weights and inputs are."""


@dataclass(frozen=True)
class PackedRows:
    """values: int16, group after group of two pairs of rows; in a group word after word.

    rows_per_pair: 2, or 1 with nothing in the high half. words: length of a row. block_words: as many of them
    as can be summed at once.
    """

    values: NDArray[np.int16]
    rows_per_pair: int
    words: int
    block_words: int


def pack_rows(weights: I8) -> PackedRows:
    """weights[…, rows, inputs], block after block, as 256 · high row + low row; see rows.hpp."""
    blocks = weights.reshape(-1, *weights.shape[-2:]).astype(np.int64)
    count, inputs = blocks.shape[1:]
    words = -(-inputs // WORD)
    rows = np.pad(blocks, ((0, 0), (0, count % 2), (0, words * WORD - inputs)))
    low, high = rows[:, 0::2], rows[:, 1::2]
    rows_per_pair = 2
    if np.any((high == -128) & (low < 0)):
        # Such a pair does not fit 16 bits. No converter makes it: its weights are symmetric, -127 to 127.
        low, high = rows[:, :count], np.zeros_like(rows[:, :count])
        rows_per_pair = 1
    pairs = 256 * high + low
    assert pairs.min() >= -(2**15) and pairs.max() < 2**15
    # [block, pair, word, parity, lane] → groups of two pairs: [block][word, parity, pair, lane]
    ordered = pairs.reshape(*pairs.shape[:2], words, WORD)[..., _WORD_ORDER].reshape(*pairs.shape[:2], words, 2, 2)
    groups = [
        block[i : i + 2].transpose(1, 2, 0, 3).ravel() for block in ordered for i in range(0, pairs.shape[1], 2)
    ]  # fmt: skip
    fits = 128 * int(np.abs(high).sum(axis=-1).max(initial=0)) < 2**23
    return PackedRows(
        np.concatenate(groups).astype(np.int16), rows_per_pair, words, words if fits else _SAFE_BLOCK_WORDS
    )  # fmt: skip


def pad_channels(weights: I8) -> I8:
    """weights[…, channels] with zeros up to a whole number of words."""
    return np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, -weights.shape[-1] % WORD)])


@dataclass(frozen=True)
class Rescaling:
    """What requantize() in fixed_point.hpp needs: constants of the layer, and rows[channels] of a Channel's numbers."""

    constants: dict[str, int]
    kind: str
    """C++ type of a row."""
    rows: I64


def rescaling(channels: Channels, zero_point: int) -> Rescaling:
    """Doubled bias and multiplier of each channel, and its own shift unless all have the same."""
    right = -channels.shift
    rows = np.stack([2 * channels.bias, channels.multiplier], axis=1)
    # One bit at least, for there is half a bit to add; 22 at most, for 128 << 22 and the half must fit with the sum.
    down = bool(np.all((right >= 1) & (right <= 22)))
    if down and np.all(right == right[0]):
        return Rescaling({"kRightShift": int(right[0])}, "Channel", rows)
    offset = (2 * zero_point + 1) << (right - 1) if down else np.zeros_like(right)
    rows = np.column_stack([rows, offset, right])
    return Rescaling({"kDownShifts": int(down)}, "ShiftedChannel", rows)
