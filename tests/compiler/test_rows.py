"""Packed weights and rescalings: the properties that the kernels rely on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.ops.depthwise_conv_2d import pad_channels
from px4_tinyml.compiler.ops.rows import WORD, PackedRows, pack_rows
from px4_tinyml.compiler.requantize import Clamp, Requantization


def sums(packed: PackedRows, rows: int, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every row times x, as rows.hpp defines it; sums of more than 32 bits are an error."""
    x = np.pad(x, (0, -len(x) % WORD)).reshape(-1, WORD)[:, [0, 2, 1, 3]].reshape(-1, 2, 2)
    values, results = packed.values.astype(np.int64), []
    for first in range(0, -(-rows // packed.rows_per_pair), 2):
        pairs = min(2, -(-rows // packed.rows_per_pair) - first)
        size = packed.words * WORD * pairs
        group, values = values[:size].reshape(packed.words, 2, pairs, 2), values[size:]
        low_bytes = group.astype(np.int8).astype(np.int64)
        for pair in range(pairs):
            low = high = 0
            for start in range(0, packed.words, packed.block_words):
                block = slice(start, start + packed.block_words)
                products = np.sum(group[block, :, pair] * x[block])
                block_low = np.sum(low_bytes[block, :, pair] * x[block])
                assert abs(products) < 2**31 and (products - block_low) % 256 == 0
                low, high = low + block_low, high + (products - block_low) // 256
            results += [low, high] if packed.rows_per_pair == 2 else [low]
    assert len(values) == 0
    return np.array(results[:rows])


@pytest.mark.parametrize("lowest", [-127, -128])
def test_packed_rows_give_exact_sums(lowest: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(100):
        rows, inputs = int(rng.integers(1, 10)), int(rng.choice([1, 4, 30, 503, 504, 505, 1100]))
        weights = rng.choice(np.array([lowest, -1, 0, 127], np.int8), (rows, inputs), p=[0.4, 0.1, 0.1, 0.4])
        packed = pack_rows(weights)
        assert packed.values.dtype == np.int16 and packed.words == -(-inputs // WORD)
        for x in (np.full(inputs, -128), np.full(inputs, 127), np.where(weights[0] < 0, -128, 127)):
            x = x.astype(np.int64)
            assert np.array_equal(sums(packed, rows, x), weights.astype(np.int64) @ x)


def test_two_rows_share_a_weight_where_it_fits() -> None:
    both = np.array([[-5], [-128]], np.int8)
    assert pack_rows(both).rows_per_pair == 1
    assert pack_rows(both[::-1]).rows_per_pair == 2
    assert pack_rows(np.array([[5], [-128]], np.int8)).values[0] == -128 * 256 + 5


def test_blocks_of_rows_follow_one_another() -> None:
    blocks = np.random.default_rng(1).integers(-127, 128, (3, 5, 6)).astype(np.int8)
    together = pack_rows(blocks)
    assert np.array_equal(together.values, np.concatenate([pack_rows(block).values for block in blocks]))


def test_channels_are_padded_to_words() -> None:
    padded = pad_channels(np.ones((2, 3, 5), np.int8))
    assert padded.shape == (2, 3, 8) and padded.sum() == 30 and (padded[..., 5:] == 0).all()


def requantize(numbers: NDArray[np.int64], accumulator: NDArray[np.int64], relu: bool) -> NDArray[np.int64]:
    """requantize_down() of fixed_point.hpp for a ShiftedChannel, without the bias and the clamp."""
    _, multiplier, offset, right_shift = numbers
    x = (2 * accumulator * multiplier + 2**31) >> 32
    assert np.abs(x + offset).max() < 2**31
    return np.asarray((x + (0 if relu else x >> 31) + offset) >> right_shift)


def test_short_rescaling_equals_the_definition() -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        shift = rng.integers(-22, 0, 2)
        multiplier = rng.integers(2**30, 2**31, 2)
        zero_point = int(rng.integers(-128, 128))
        constants, channels = Requantization(np.zeros(2, np.int64), multiplier, shift, Clamp(zero_point)).constants()
        x = rng.integers(-(2**30) + 1, 2**30, 2000)
        x[:1000] >>= rng.integers(0, 30, 1000)
        # Sums on a half and next to it.
        half = ((2 * np.arange(-100, 100) + 1) << (31 - shift[0] - 1)) // multiplier[0]
        x = np.concatenate([x, *(half[np.abs(half) < 2**30] + d for d in (-1, 0, 1))])
        for i, row in enumerate(channels.values):
            if channels.type == "Channel":
                offset = (2 * zero_point + 1) << (constants["kRightShift"] - 1)
                row = np.array([*row, offset, constants["kRightShift"]])
            expected = fp.multiply(x, multiplier[i], shift[i]) + zero_point
            assert np.array_equal(requantize(row, x, relu=False), expected)
            relu = np.maximum(requantize(row, x, relu=True), zero_point)
            assert np.array_equal(relu, np.maximum(expected, zero_point))


@pytest.mark.parametrize("shifts", [[-8, 0], [-23, -9], [3, 3]])
def test_shifts_outside_the_short_form(shifts: list[int]) -> None:
    constants, _ = Requantization(np.zeros(2, np.int64), np.full(2, 2**30), np.array(shifts), Clamp(0)).constants()
    assert constants["kDownShifts"] == 0 and "kRightShift" not in constants
