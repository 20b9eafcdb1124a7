"""The error of a log that was read but holds nothing to classify, with what it does hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from px4_tinyml.errors import LogError


class UnusableLogError(LogError):
    """A sound file without a usable IMU. why: one clause; facts, warnings: what `inspect` shows besides."""

    def __init__(
        self, source: str, kind: str, why: str, facts: Mapping[str, Any] | None = None, warnings: Sequence[str] = ()
    ) -> None:
        self.source, self.kind, self.why = source, kind, why
        self.facts = dict(facts or {})
        topics: Mapping[str, int] = self.facts.get("topics") or {}
        most = sorted(topics, key=lambda name: -topics[name])[:4]
        super().__init__(f"{source}: {why}; it holds {', '.join(most) or 'no messages'}")
        self.warnings = tuple(warnings)
