"""README, docs and --help are in words that a PX4 developer would grep for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from px4_tinyml.cli.main import COMMANDS, build_parser

REPOSITORY = Path(__file__).resolve().parents[2]
READ = (
    "*.md",
    "*/*.md",
    "px4_tinyml/**/*.md.j2",
    "px4_module/**/*.msg",
    "px4_module/**/*Console.cpp",
    "px4_module/**/*.yaml",
)
"""Pages, generated pages, and the module's own help and parameters."""
PAGES = sorted(page for pattern in READ for page in REPOSITORY.glob(pattern))
BANNED = re.compile(
    r"\b(told|tells?|anew|nobody|somebody|whoever|whatever|spoilt|twin"
    r"|go(es|ne|ing)? on|passed over|(is|are) none|(is|are) said"
    r"|come(s)? (out again|from)|those who|stands? (beside|for)|T[B]D|DESIGN [§])\b",
    re.IGNORECASE,
)
"""Report, log, warn, resume, append, skip, drop, reject, restart: say which."""


def offences(text: str) -> list[str]:
    return [
        f"line {number}: {match.group()!r} in {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        for match in BANNED.finditer(line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_pages_avoid_the_banned_phrases(page: Path) -> None:
    assert offences(page.read_text(encoding="utf-8")) == []


def test_help_avoids_the_banned_phrases(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ((), *((name,) for name in COMMANDS)):
        with pytest.raises(SystemExit):
            build_parser(*command).parse_args([*command, "--help"])
        assert offences(capsys.readouterr().out) == [], command
