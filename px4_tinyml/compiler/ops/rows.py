"""Rows of weights as engine/kernels/rows.hpp reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.operator import ConstantArray
from px4_tinyml.compiler.requantize import Requantization
from px4_tinyml.flight_log import I8

WORD = 4
"""Bytes of activations that kernels load at once."""
_WORD_ORDER = [0, 2, 1, 3]
"""How SXTB16 splits a word: the even bytes, then the odd ones."""
_SAFE_BLOCK_WORDS = 126
"""With so few words the high sum fits 24 bits for all weights and inputs."""


@dataclass(frozen=True)
class PackedRows:
    """values: int16, group after group of two pairs of rows; in a group word after word.

    rows_per_pair: 2, or 1 with an empty high half. words: length of a row. block_words: how many of them can be
    summed at once.
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
        # Such a pair does not fit 16 bits. Converters do not write it: their weights are symmetric, -127 to 127.
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


def row_constants(weights: I8, requantization: Requantization) -> tuple[dict[str, int], dict[str, ConstantArray]]:
    """Constants of the Shape and arrays, for weights[…, outputs, inputs]."""
    packed = pack_rows(weights)
    constants, channels = requantization.constants()
    shape = {
        "kOutputs": weights.shape[-2], "kWords": packed.words, "kBlockWords": packed.block_words,
        "kRowsPerPair": packed.rows_per_pair, **constants,
    }  # fmt: skip
    return shape, {"Weights": ConstantArray("int16_t", packed.values), "Channels": channels}
