"""Truncated and flipped logs: no hang, no unexpected exception, no wrong data without a warning.

collect_damage.py defines "wrong without a warning" for formats without checksums. PX4_TINYML_FLIPS sets the number of
flips (and half as many cuts); the default fits into a normal test run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from collect_damage import problem_of_cut, problem_of_flip
from collect_samples import small_dataflash, small_tlog, small_ulog

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import sniff

FLIPS = int(os.environ.get("PX4_TINYML_FLIPS", "400"))
LIMIT_CPU_S = 10.0

REAL = (
    "ulg/frrs_motor_failure.ulg", "ulg/pyulog_sample_log_small_vtol.ulg", "ulg/ascend_test.ulg",
    "bad/pyulog_sample_appended_multiple.ulg", "tlog/jschall_test.tlog", "tlog/eaics_flight.tlog",
    "bin/erle_0907_24.BIN", "bin/erle_1008_10.BIN", "bin/erle_1110_104.BIN",
)  # fmt: skip


@dataclass
class Case:
    """A complete log and its recordings."""

    path: Path
    data: bytes
    complete: list[FlightLog]


def read(path: Path, data: bytes) -> list[FlightLog]:
    """read_log without its last `except`, so that an unexpected exception fails the test."""
    return sniff(path, data).read(path, data, "0")


def case(path: Path, data: bytes) -> Case:
    return Case(path, data, read(path, data))


@pytest.fixture(scope="module")
def made() -> list[Case]:
    return [
        case(Path("made.ulg"), small_ulog(16.0, truth=True)),
        case(Path("made.bin"), small_dataflash(16.0)),
        case(Path("made.tlog"), small_tlog(16.0)),
        case(Path("v1.tlog"), small_tlog(8.0, version=1)),
    ]


@pytest.fixture(scope="module")
def real(shared: Path) -> list[Case]:
    paths = [shared / "data" / name for name in REAL]
    return [case(path, path.read_bytes()) for path in paths]


def flip(data: bytes, rng: random.Random, within: int | None = None) -> bytes:
    damaged = bytearray(data)
    damaged[rng.randrange(min(len(data), within or len(data)))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def flip_early(data: bytes, rng: random.Random) -> bytes:
    """A flip in the definitions, which can change the meaning of all later data."""
    return flip(data, rng, 4000)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def noise(data: bytes, rng: random.Random) -> bytes:
    """Hundreds of flips at once: any result is allowed, but only with a warning."""
    damaged = bytearray(data)
    for _ in range(rng.randrange(50, 500)):
        damaged[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(damaged)


def must_warn(complete: FlightLog, damaged: FlightLog) -> str | None:
    return None if set(damaged.warnings) - set(complete.warnings) else "no warning"


@pytest.mark.parametrize(
    ("cases", "rounds", "seed", "damage", "problem"),
    [
        ("made", FLIPS // 2, 11, flip, problem_of_flip),
        ("made", FLIPS // 2, 12, flip_early, problem_of_flip),
        ("made", FLIPS // 2, 13, cut, problem_of_cut),
        ("made", FLIPS // 8, 14, noise, must_warn),
        ("real", FLIPS, 1, flip, problem_of_flip),
        ("real", FLIPS // 2, 2, cut, problem_of_cut),
    ],
)
def test_random_damage(
    request: pytest.FixtureRequest, cases: str, rounds: int, seed: int,
    damage: Callable[[bytes, random.Random], bytes], problem: Callable[[FlightLog, FlightLog], str | None],
) -> None:  # fmt: skip
    logs, rng, with_data = request.getfixturevalue(cases), random.Random(seed), 0
    for number in range(rounds):
        chosen = rng.choice(logs)
        damaged = damage(chosen.data, rng)
        started = time.process_time()
        with_data += check_damaged(chosen, damaged, problem, number)
        assert time.process_time() - started < LIMIT_CPU_S
    assert with_data > rounds // 2


def check_damaged(
    chosen: Case, damaged: bytes, problem: Callable[[FlightLog, FlightLog], str | None], note: object
) -> bool:
    """Read a damaged log and check it. Returns whether it has data."""
    try:
        logs = read(chosen.path, damaged)
    except LogError as error:
        assert str(chosen.path) in str(error) and "\n" not in str(error)
        return False
    assert len(logs) == len(chosen.complete) or any(log.warnings for log in logs), (note, chosen.path)
    for complete, log in zip(chosen.complete, logs, strict=False):
        assert problem(complete, log) is None, (note, chosen.path, problem(complete, log), log.warnings)
    return True


def test_every_cut_near_the_start(made: list[Case]) -> None:
    """Headers and definitions, byte by byte."""
    for chosen in made:
        for size in range(1, 1200):
            check_damaged(chosen, chosen.data[:size], problem_of_cut, size)


@pytest.mark.parametrize(("name", "definitions", "step"), [("made.ulg", 3400, 31), ("made.bin", 700, 17)])
def test_every_bit_of_the_definitions(name: str, definitions: int, step: int) -> None:
    """One letter of a format can change the meaning of all later data. The long run flips every bit."""
    chosen = case(Path(name), small_ulog(6.0, truth=True) if name == "made.ulg" else small_dataflash(6.0))
    for place in range(0, definitions, 1 if FLIPS >= 2000 else step):
        for bit in range(8):
            damaged = bytearray(chosen.data)
            damaged[place] ^= 1 << bit
            check_damaged(chosen, bytes(damaged), problem_of_flip, (place, bit))
