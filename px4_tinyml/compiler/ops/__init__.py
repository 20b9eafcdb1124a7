"""The operators of the compiled engine, one file each. A new one is a file, its kernel in C++, and a line here."""

from __future__ import annotations

from px4_tinyml.compiler.operator import OperatorEntry
from px4_tinyml.compiler.ops import (
    add,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    lookup,
    mean,
    pool_2d,
    reshape,
    softmax,
)

OPERATORS: dict[str, OperatorEntry] = {
    entry.name: entry
    for module in (add, conv_2d, depthwise_conv_2d, fully_connected, lookup, mean, pool_2d, reshape, softmax)
    for entry in module.ENTRIES
}
"""By name in the schema."""
