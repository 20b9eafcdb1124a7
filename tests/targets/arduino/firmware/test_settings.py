"""Settings in memory: kept, checked, and never lost to a cut in the middle of writing."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from node_talk import as_bytes, param_read, param_set, whole
from pc_node import MEMORY_BYTES, USB, PcNode

BLOCK = 128


def set_rate(node: PcNode, rate: int, seconds: float = 0.5) -> None:
    node.receive(USB, param_set("MN_RATE", as_bytes(rate), 6))
    node.run(seconds)


def rate(node: PcNode) -> int:
    (answer,) = node.ask(USB, param_read("MN_RATE"), "PARAM_VALUE")
    return whole(answer.param_value)


def rate_after_restart(node: PcNode, memory: bytes | None = None) -> int:
    """With other bytes in the memory, if any."""
    if memory is not None:
        node.set_memory(memory)
    node.power_cycle()
    return rate(node)


def blocks(memory: bytes) -> list[bytes]:
    return [memory[i : i + BLOCK] for i in range(0, MEMORY_BYTES, BLOCK)]


def test_settings_survive_a_power_cycle(node: PcNode) -> None:
    set_rate(node, 11)
    assert rate_after_restart(node) == 11


def test_changes_in_a_row_are_one_write(node: PcNode) -> None:
    for value in (3, 4, 5):
        set_rate(node, value, 0.05)
    assert node.after(0.5).writes == 1
    set_rate(node, 5)  # nothing new
    assert node.take().writes == 1


@pytest.mark.parametrize("after", [0, 1, 4, 8, 11, 12, 60, 118, 119])
def test_a_power_loss_keeps_the_previous_settings(node: PcNode, after: int) -> None:
    for value in range(1, 12):  # the ring of eight blocks wraps
        set_rate(node, value)
        before = blocks(node.take().memory)
        set_rate(node, 40)
        written = blocks(node.take().memory)
        (at,) = [i for i in range(8) if before[i] != written[i]]
        assert before[at][8:12] != max(block[8:12] for block in before if block[:4] == b"MNOD"), "not the newest"
        # The power goes in the middle of it.
        before[at] = written[at][:after] + b"\xff" * (BLOCK - after)
        assert rate_after_restart(node, b"".join(before)) == value


def test_a_write_that_fails_is_tried_on_the_next_block(node: PcNode) -> None:
    set_rate(node, 9)
    node.cut_next_write(50)
    set_rate(node, 10)
    assert node.take().writes == 3
    assert rate_after_restart(node) == 10


@pytest.mark.parametrize("seed", range(3))
def test_damaged_memory_is_rejected(node: PcNode, seed: int) -> None:
    rng = random.Random(seed)
    set_rate(node, 20)
    memory = node.take().memory
    assert sum(block != b"\xff" * BLOCK for block in blocks(memory)) == 1
    for _ in range(200):
        damaged = bytearray(memory)
        for _ in range(rng.choice((1, 1, 5, 300))):
            damaged[rng.randrange(120)] ^= 1 << rng.randrange(8)
        assert rate_after_restart(node, bytes(damaged)) == (20 if bytes(damaged) == memory else 2)
    assert rate_after_restart(node, rng.randbytes(MEMORY_BYTES)) == 2


def rewritten(block: bytes, offset: int, new: bytes) -> bytes:
    """The block with other bytes and a valid checksum."""
    changed = bytearray(block)
    changed[offset : offset + len(new)] = new
    changed[116:120] = struct.pack("<I", zlib.crc32(bytes(changed[:116])))
    return bytes(changed)


@pytest.mark.parametrize(
    "offset, new, expected",
    [
        (4, struct.pack("<H", 2), 2),  # another version
        *((32, struct.pack("<f", value), 2) for value in (float("nan"), 51.0, 2.5, float("inf"))),  # MN_RATE
        # A later firmware's block may have more values, an earlier one's fewer.
        (6, bytes([3]), 2),
        (6, bytes([200]), 20),
    ],
)
def test_a_block_with_invalid_values_is_rejected(node: PcNode, offset: int, new: bytes, expected: int) -> None:
    set_rate(node, 20)
    first, *rest = blocks(node.take().memory)
    assert rewritten(first, 4, first[4:6]) == first
    assert rate_after_restart(node, rewritten(first, offset, new) + b"".join(rest)) == expected
