"""Script and record of the harness: the two binary files of shim/src/{main,record}.cpp."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import ToolchainError
from px4_tinyml.flight_log import I8, U64
from px4_tinyml.targets.px4.stand_in.shim import DECISIONS, Harness

_SCRIPT_MAGIC, _RECORD_MAGIC = b"PX4HOSTS", b"PX4HOSTR"
_ACTION = struct.Struct("<QHHI")
_RECORD = struct.Struct("<QIHHII")
_RESULT = struct.Struct("<qq")
_END = struct.Struct("<QQ")
_MODULE = "motion_classifier"


class _Do(IntEnum):
    PUBLISH, COMMAND, PARAMETER, HOLD, RUN, INFERENCE_TIME, WAIT = range(7)


class _Kind(IntEnum):
    PUBLICATION, WINDOW, TEXT, RESULT, END = range(5)


class Script:
    """Actions in the order they happen. Times are of the simulated clock, µs; it may run backwards."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._parts: list[bytes] = [_SCRIPT_MAGIC]
        self.count = 0
        """Actions so far: the index that the next one gets in the record."""

    def _add(self, clock_us: int, action: _Do, topic: int = 0, payload: bytes = b"") -> None:
        self._parts.append(_ACTION.pack(clock_us, action, topic, len(payload)) + payload)
        self.count += 1

    def command(self, clock_us: int, words: str) -> None:
        """`motion_classifier <words>`; the record has its exit code."""
        self._add(clock_us, _Do.COMMAND, payload=f"{_MODULE} {words}".encode())

    def parameter(self, clock_us: int, name: str, value: int | float) -> None:
        """Set a parameter and publish parameter_update."""
        number = self._harness.parameter(name)
        real = isinstance(self._harness.parameters[number].default, float)
        self._add(clock_us, _Do.PARAMETER, number, struct.pack("<f" if real else "<i", value))

    def hold(self, clock_us: int) -> None:
        """Stop the work queue: scheduled items wait."""
        self._add(clock_us, _Do.HOLD)

    def run(self, clock_us: int) -> None:
        """Run the waiting items and continue."""
        self._add(clock_us, _Do.RUN)

    def inference_time(self, clock_us: int, duration_us: int) -> None:
        """Set the duration of every run of the model (0 at first)."""
        self._add(clock_us, _Do.INFERENCE_TIME, payload=struct.pack("<I", duration_us))

    def wait(self, clock_us: int) -> None:
        """Advance the clock only."""
        self._add(clock_us, _Do.WAIT)

    def messages(self, topic: str, clock_us: U64, fields: dict[str, Any]) -> NDArray[np.void]:
        """Actions that publish messages of a topic, for `publish`; other fields are zero."""
        number, message = self._harness.topic(topic)
        head = [("clock_us", "<u8"), ("action", "<u2"), ("topic", "<u2"), ("size", "<u4")]
        actions = np.zeros(len(clock_us), np.dtype([*head, ("message", message.dtype())]))
        actions["clock_us"], actions["action"], actions["topic"] = clock_us, _Do.PUBLISH, number
        actions["size"] = message.size
        for name, values in fields.items():
            actions["message"][name] = values
        return actions

    def publish(self, *blocks: tuple[NDArray[np.void], NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """Publish blocks of `messages`, each with the ascending positions of its messages among all of them.

        At equal positions the earlier block goes first. Returns the index of every action, block by block.
        """
        order = np.argsort(np.concatenate([position for _, position in blocks]), kind="stable")
        block = np.repeat(np.arange(len(blocks)), [len(rows) for rows, _ in blocks])[order]
        taken = [0] * len(blocks)
        for run in np.split(block, np.flatnonzero(np.diff(block)) + 1):
            if len(run):
                i, first = int(run[0]), taken[run[0]]
                taken[i] += len(run)
                self._parts.append(blocks[i][0][first : taken[i]].tobytes())
        event = np.empty(len(order), np.int64)
        event[order] = np.arange(self.count, self.count + len(order))
        self.count += len(order)
        return np.split(event, np.cumsum([len(rows) for rows, _ in blocks])[:-1])

    def encode(self) -> bytes:
        """The script's file."""
        return b"".join(self._parts)


@dataclass(frozen=True, eq=False)
class Publications:
    """A topic's messages as the module published them: rows without padding, and the action that caused each."""

    clock_us: U64
    event: NDArray[np.int64]
    rows: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, field: str) -> NDArray[Any]:
        return self.rows[field]


@dataclass(frozen=True)
class CommandResult:
    """Exit code of a command, and the number of allocated memory blocks after it."""

    event: int
    code: int
    blocks: int


@dataclass(frozen=True, eq=False)
class Record:
    """Output of a run. windows: int8 input and output of the model for each motion_classification, in order.

    texts: (action, text on the console). runs: how often the work item ran; allocations: of memory, while it did.
    """

    topics: dict[str, Publications]
    windows: I8
    texts: list[tuple[int, str]]
    results: list[CommandResult]
    runs: int
    allocations: int

    @property
    def decisions(self) -> Publications:
        """Of motion_classification."""
        return self.topics[DECISIONS]

    def printed(self, event: int | None = None) -> str:
        """All printed text, or that of one action."""
        return "".join(text for action, text in self.texts if event in (None, action))


def decode_record(data: bytes, harness: Harness) -> Record:
    """Decode a record. Raises ToolchainError for a truncated one."""
    if not data.startswith(_RECORD_MAGIC):
        raise ToolchainError("px4-host wrote another format: it belongs to another version of px4-tinyml")
    found: dict[int, list[tuple[int, int, bytes]]] = {i: [] for i in range(len(harness.topics))}
    windows: list[bytes] = []
    texts: list[tuple[int, str]] = []
    results: list[CommandResult] = []
    place, end = len(_RECORD_MAGIC), None
    while place + _RECORD.size <= len(data) and end is None:
        clock_us, event, kind, topic, size, _ = _RECORD.unpack_from(data, place)
        payload = data[place + _RECORD.size : place + _RECORD.size + size]
        place += _RECORD.size + size
        if kind == _Kind.PUBLICATION:
            found[topic].append((clock_us, event, payload))
        elif kind == _Kind.WINDOW:
            windows.append(payload)
        elif kind == _Kind.TEXT:
            texts.append((event, payload.decode(errors="replace")))
        elif kind == _Kind.RESULT:
            results.append(CommandResult(event, *_RESULT.unpack(payload)))
        elif kind == _Kind.END:
            end = _END.unpack(payload)
    if end is None or place != len(data):
        raise ToolchainError(f"px4-host wrote {len(data)} bytes without a valid end: truncated")
    topics = {message.name: _publications(found[i], message.dtype(False)) for i, message in enumerate(harness.topics)}
    joined = np.frombuffer(b"".join(windows), np.int8)
    shaped = joined.reshape(len(windows), -1) if windows else joined.reshape(0, 0)
    return Record(topics, shaped, texts, results, *end)


def _publications(found: list[tuple[int, int, bytes]], dtype: np.dtype[Any]) -> Publications:
    return Publications(
        np.array([clock_us for clock_us, _, _ in found], np.uint64),
        np.array([event for _, event, _ in found], np.int64),
        np.frombuffer(b"".join(payload for _, _, payload in found), dtype),
    )
