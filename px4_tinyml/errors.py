"""Every error this package raises on purpose, and the exit code each one ends the command with.

A message says which file, what was found, what was expected and what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Px4TinymlError(Exception):
    """An error of ours: shown as one line, exit code 1."""

    exit_code = 1


class SpecError(Px4TinymlError):
    """A pipeline spec, option or column map that makes no sense: exit code 2."""

    exit_code = 2


class LogError(Px4TinymlError):
    """A log that cannot be used: not what its name says, cut, empty, or without an IMU."""


class UnusableLogError(LogError):
    """A readable log without a usable IMU. why: one clause; facts, warnings: shown by `inspect`."""

    def __init__(
        self, source: str, kind: str, why: str, facts: Mapping[str, Any] | None = None, warnings: Sequence[str] = ()
    ) -> None:
        self.source, self.kind, self.why = source, kind, why
        self.facts = dict(facts or {})
        topics: Mapping[str, int] = self.facts.get("topics") or {}
        most = sorted(topics, key=lambda name: -topics[name])[:4]
        super().__init__(f"{source}: {why}; it holds {', '.join(most) or 'no messages'}")
        self.warnings = tuple(warnings)


class LinkError(Px4TinymlError):
    """A MAVLink or serial link that cannot be opened or has gone."""


class DatasetError(Px4TinymlError):
    """A data set that is empty, leaks between its parts, or was made with another spec."""


class ConversionError(Px4TinymlError):
    """A model that cannot be quantized, read, or turned into C++."""


class ToolchainError(Px4TinymlError):
    """A compiler, emulator or optional Python package is missing or failed."""


class ParityError(Px4TinymlError):
    """Two engines disagree, or an acceptance gate failed: exit code 3."""

    exit_code = 3
