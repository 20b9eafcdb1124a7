"""Settings in memory: kept, checked, and never lost to a cut in the middle of writing."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from pc_node import MEMORY_BYTES, USB, PcNode, Sender
from pymavlink.dialects.v20 import common as mavlink

NODE = 25
BLOCK = 128
GCS = Sender()


def set_rate(node: PcNode, rate: int) -> None:
    value = struct.unpack("<f", struct.pack("<i", rate))[0]
    node.receive(USB, GCS.pack(mavlink.MAVLink_param_set_message(1, NODE, b"MN_RATE", value, 6)))
    node.run(0.5)


def rate(node: PcNode) -> int:
    read = mavlink.MAVLink_param_request_read_message(1, NODE, b"MN_RATE", -1)
    (answer,) = node.ask(USB, GCS.pack(read), "PARAM_VALUE")
    return int(struct.unpack("<i", struct.pack("<f", answer.param_value))[0])


def blocks(memory: bytes) -> list[bytes]:
    return [memory[i : i + BLOCK] for i in range(0, MEMORY_BYTES, BLOCK)]


def test_settings_survive_a_power_cycle(node: PcNode) -> None:
    set_rate(node, 11)
    node.power_cycle()
    assert rate(node) == 11


def test_changes_in_a_row_are_one_write(node: PcNode) -> None:
    for value in (3, 4, 5):
        packed = struct.unpack("<f", struct.pack("<i", value))[0]
        node.receive(USB, GCS.pack(mavlink.MAVLink_param_set_message(1, NODE, b"MN_RATE", packed, 6)))
        node.run(0.05)
    node.run(0.5)
    assert node.take().writes == 1
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
        node.set_memory(b"".join(before))
        node.power_cycle()
        assert rate(node) == value


def test_a_write_that_fails_is_tried_on_the_next_block(node: PcNode) -> None:
    set_rate(node, 9)
    node.cut_next_write(50)
    set_rate(node, 10)
    taken = node.take()
    assert taken.writes == 3
    node.power_cycle()
    assert rate(node) == 10


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
        node.set_memory(bytes(damaged))
        node.power_cycle()
        assert rate(node) == (20 if bytes(damaged) == memory else 2)
    node.set_memory(rng.randbytes(MEMORY_BYTES))
    node.power_cycle()
    assert rate(node) == 2


def rewritten(block: bytes, offset: int, new: bytes) -> bytes:
    """The block with other bytes and a valid checksum."""
    changed = bytearray(block)
    changed[offset : offset + len(new)] = new
    changed[116:120] = struct.pack("<I", zlib.crc32(bytes(changed[:116])))
    return bytes(changed)


def test_a_block_of_another_version_is_not_read(node: PcNode) -> None:
    set_rate(node, 20)
    first, *rest = blocks(node.take().memory)
    assert rewritten(first, 4, first[4:6]) == first
    node.set_memory(rewritten(first, 4, struct.pack("<H", 2)) + b"".join(rest))
    node.power_cycle()
    assert rate(node) == 2


def test_invalid_values_in_memory_are_rejected(node: PcNode) -> None:
    set_rate(node, 20)
    first, *rest = blocks(node.take().memory)
    values = 12 + 8  # the fourth is MN_RATE
    for value in (float("nan"), 51.0, 2.5, float("inf")):
        node.set_memory(rewritten(first, values + 12, struct.pack("<f", value)) + b"".join(rest))
        node.power_cycle()
        assert rate(node) == 2
    # A later firmware's block may have more of them, an earlier one's fewer.
    node.set_memory(rewritten(first, 6, bytes([3])) + b"".join(rest))
    node.power_cycle()
    assert rate(node) == 2
    node.set_memory(rewritten(first, 6, bytes([200])) + b"".join(rest))
    node.power_cycle()
    assert rate(node) == 20
