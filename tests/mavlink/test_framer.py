"""Frames from bytes, cut anywhere and with garbage between them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_senders import Vehicle, mavlink

from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import STALE_US, Frame, Framer
from px4_tinyml.mavlink.statistics import LinkStatistics

UNKNOWN = 54321


def some_frames(number: int, seed: int = 0) -> list[bytes]:
    """Frames of both versions, of many lengths, with magics in their payloads."""
    rng = random.Random(seed)
    one, two = Vehicle(1, 1, version=1), Vehicle(2, 1)
    frames = []
    for n in range(number):
        text = rng.choice([b"\xfd\xfe", b"hello", b"\xfe\x09\x00\x01\x01\x00" * 3, b"\xfd" * 40])
        kind = rng.randrange(4)
        if kind == 0:
            frames.append(one.attitude(n))
        elif kind == 1:
            frames.append(two.pack(mavlink.MAVLink_statustext_message(6, text)))
        elif kind == 2:
            frames.append(two.pack(mavlink.MAVLink_logging_data_message(1, 1, n, 249, 0, list(rng.randbytes(249)))))
        else:
            frames.append(two.heartbeat())
    return frames


def unknown_frame(payload: bytes = b"12345") -> bytes:
    """A frame of an unknown message, whose checksum cannot be checked."""
    return bytes((0xFD, len(payload), 0, 0, 7, 9, 1)) + UNKNOWN.to_bytes(3, "little") + payload + b"\xab\xcd"


def fed(data: bytes, cuts: list[int], datagrams: bool = False) -> tuple[list[Frame], LinkStatistics]:
    """All frames of a stream received in pieces."""
    statistics = LinkStatistics()
    framer = Framer(datagrams, statistics)
    frames: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        frames += framer.feed(data[start:end], 1000)
    return frames, statistics


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([0, 30]), st.lists(st.integers(0, 4000), max_size=40))
def test_any_cut_and_garbage_between_frames_cost_no_frame(seed: int, longest: int, cuts: list[int]) -> None:
    rng = random.Random(seed)
    sent = some_frames(25, seed)
    garbage = [bytes(rng.choices([0, 0x55, 0xAA, 0xFF, 0xFC], k=rng.randint(0, longest))) for _ in sent]
    data = b"".join(rubbish + frame for rubbish, frame in zip(garbage, sent, strict=True))
    frames, statistics = fed(data, sorted(cut % (len(data) + 1) for cut in cuts))
    assert [frame.data for frame in frames] == sent
    assert statistics == LinkStatistics(garbage_bytes=sum(map(len, garbage)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_garbage_that_looks_like_frames_costs_no_frame(seed: int) -> None:
    """Random bytes with magics: apparent frames may delay frames, but never replace them."""
    rng = random.Random(seed)
    sent = some_frames(20, seed)
    data = b"".join(rng.randbytes(rng.randint(0, 40)) + rng.choice([b"\xfd", b"\xfe", b""]) + f for f in sent)
    later = Vehicle(99)
    data += b"".join(later.attitude(n) for n in range(20))  # nothing waits for more bytes after these
    frames, _ = fed(data, sorted(rng.randrange(len(data)) for _ in range(20)))
    assert [frame.data for frame in frames if frame.system in (1, 2) and frame.data in set(sent)] == sent


def test_wrong_checksums_are_counted_by_message() -> None:
    vehicle = Vehicle()
    data = bytearray()
    for n in range(10):
        frame = bytearray(vehicle.attitude(n))
        if n % 2:
            frame[-1] ^= 0x40
        data += frame
    frames, statistics = fed(bytes(data), [17, 100])
    assert [frame.fields.time_boot_ms for frame in frames] == [0, 2, 4, 6, 8]
    assert statistics.bad_crc == {30: 5}
    assert statistics.garbage_bytes == 0


def test_a_frame_cut_short_costs_itself_only() -> None:
    vehicle = Vehicle()
    frames = [vehicle.attitude(n) for n in range(6)]
    received, statistics = fed(frames[0] + frames[1][:-9] + b"".join(frames[2:]), [])
    assert [frame.sequence for frame in received] == [0, 2, 3, 4, 5]
    assert statistics.garbage_bytes == len(frames[1]) - 9


def test_unknown_messages_are_frames() -> None:
    vehicle = Vehicle()
    data = vehicle.attitude() + unknown_frame() + vehicle.attitude() + unknown_frame(b"")
    frames, statistics = fed(data, [])
    assert [frame.message_id for frame in frames] == [30, UNKNOWN, 30, UNKNOWN]
    assert frames[1].name == f"UNKNOWN_{UNKNOWN}"
    assert (frames[1].system, frames[1].component, frames[1].sequence) == (9, 1, 7)
    assert frames[1].message.get_type().startswith("UNKNOWN")
    assert statistics.garbage_bytes == 0


def test_unknown_messages_with_a_magic_inside() -> None:
    """A possible frame start inside delays a frame on a stream for a limited time, on datagrams never."""
    heartbeat = Vehicle().heartbeat()
    unknown = unknown_frame(b"12" + heartbeat[:15])
    assert [f.message_id for f in Framer(True).feed(unknown, 0)] == [UNKNOWN]
    framer = Framer(False)
    assert framer.feed(unknown, 0) == []
    assert [f.message_id for f in framer.feed(Vehicle().attitude(), 10)] == [UNKNOWN, 30]
    assert framer.feed(unknown, 20) == []
    assert [f.message_id for f in framer.feed(heartbeat[:4], 30 + STALE_US)] == [UNKNOWN]


def test_a_false_frame_start_is_given_up() -> None:
    """A lone magic must not delay heartbeats of a slow link for minutes."""
    vehicle = Vehicle()
    statistics = LinkStatistics()
    framer = Framer(False, statistics)
    assert framer.feed(bytes((0xFD, 255, 0, 0, 1, 1, 1, 30, 0, 0)), 0) == []
    assert framer.feed(vehicle.heartbeat(), 1000) == []  # it could be the rest of that long frame
    frames = framer.feed(vehicle.heartbeat(), STALE_US + 2)
    assert [frame.sequence for frame in frames] == [0, 1]
    assert statistics.garbage_bytes == 10


def test_a_frame_completed_late_is_accepted() -> None:
    """This program did not run between two reads of one frame."""
    frame = Vehicle().attitude()
    framer = Framer()
    assert framer.feed(frame[:20], 0) == []
    assert [f.data for f in framer.feed(frame[20:], 100 * STALE_US)] == [frame]


def test_a_datagram_that_starts_with_a_good_frame_does_not_continue_the_one_before() -> None:
    vehicle = Vehicle()
    frames = [vehicle.attitude(n) for n in range(3)]
    statistics = LinkStatistics()
    framer = Framer(True, statistics)
    assert framer.feed(frames[0][:20], 0) == []
    assert [f.sequence for f in framer.feed(frames[1], 1)] == [1]
    assert statistics.garbage_bytes == 20
    # but the rest of a frame does (bridges cut a serial stream anywhere)
    assert framer.feed(frames[2][:20], 2) == []
    assert [f.sequence for f in framer.feed(frames[2][20:], 3)] == [2]


@pytest.mark.parametrize("version", [1, 2])
def test_the_header_and_fields_of_a_frame(version: int) -> None:
    data = Vehicle(7, 9, version).imu(123456)
    (frame,) = Framer().feed(data, 42)
    assert (frame.version, frame.system, frame.component, frame.sequence) == (version, 7, 9, 0)
    assert (frame.received_us, frame.message_id, frame.name, frame.signed) == (42, 105, "HIGHRES_IMU", False)
    assert frame.fields.time_usec == 123456
    assert frame.fields.zacc == pytest.approx(-9.8)
    assert frame.data == data


def test_an_empty_datagram_after_a_cut_one() -> None:
    frame = Vehicle().attitude()
    framer = Framer(True)
    assert framer.feed(frame[:20], 0) == []
    assert framer.feed(b"", 1) == []
    assert [f.data for f in framer.feed(frame[20:], 2)] == [frame]


def test_a_good_frame_inside_an_unknown_one_survives_any_cut() -> None:
    """Random bytes that look like an unknown frame around a heartbeat: only the heartbeat is taken."""
    heartbeat = Vehicle().heartbeat()
    junk = unknown_frame(b"12" + heartbeat + b"34")
    for cut in range(len(junk) + 1):
        frames, _ = fed(junk + heartbeat, [cut])
        assert [frame.data for frame in frames] == [heartbeat, heartbeat], cut


def test_version_1_frames_are_not_longer_than_their_message() -> None:
    """MAVLink 1 has no extensions: a longer one does not hold back what follows."""
    heartbeat = Vehicle().heartbeat()
    frames, statistics = fed(b"\xfe\xff\x00\x01\x01\x00" + heartbeat, [])
    assert [frame.data for frame in frames] == [heartbeat]
    assert statistics.garbage_bytes == 6


class Work:
    """Cost of framing: headers read, checksums computed, bytes in them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.headers = self.checksums = self.bytes = 0
        header_at, crc = dialect.header_at, dialect.crc_hqx

        def counted_header_at(data: bytes, offset: int) -> dialect.Header | None:
            self.headers += 1
            return header_at(data, offset)

        def counted_crc(data: bytes, value: int) -> int:
            self.checksums += value == 0xFFFF
            self.bytes += len(data)
            return crc(data, value)

        monkeypatch.setattr(dialect, "header_at", counted_header_at)
        monkeypatch.setattr(dialect, "crc_hqx", counted_crc)


def repeated(*pattern: int) -> bytes:
    return bytes(pattern) * (1400 // len(pattern) + 1)


HOSTILE = {
    "unknown in known": repeated(0xFE, 0xFE, 0xC6, 0x01, 0xBB, 0xFE),
    "all v1 magics": repeated(0xFE),
    "all v2 magics": repeated(0xFD),
    "v2, unknown": repeated(0xFD, 0xFD, 0, 0, 0xFD, 1, 0xFD, 0x31, 0xD4, 0),
    "v2, signed": repeated(0xFD, 0xFE, 1, 0, 0xFE, 0xFE, 0xFE),
    "v1, unknown and long": repeated(0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xD0),
    "v1, known and long": repeated(0xFE, 0xF8),
    "short unknown frames": repeated(0xFE, 0, 1, 1, 1, 0xCA, 0xFD, 0xFE),
    "good frames in unknown ones": unknown_frame(Vehicle().heartbeat() * 11) * 6,
    **{f"random {seed}": random.Random(seed).randbytes(1400) for seed in range(3)},
    **{f"magics {seed}": bytes(random.Random(seed).choices(b"\xfe\xfd\x00\x01\x1e", k=1400)) for seed in range(5)},
}


@pytest.mark.parametrize("datagrams", [False, True], ids=["serial", "datagrams"])
@pytest.mark.parametrize("piece", [3, 50, 1 << 16])
@pytest.mark.parametrize("pattern", HOSTILE)
def test_the_work_is_linear_in_the_bytes(
    pattern: str, piece: int, datagrams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any bytes cost at most three headers and one checksum for each offset."""
    spent = []
    for data in (HOSTILE[pattern], HOSTILE[pattern] * 8):
        with monkeypatch.context() as patch:
            work, framer = Work(patch), Framer(datagrams)
            for start in range(0, len(data), piece):
                framer.feed(data[start : start + piece], 1000)
        feeds = -(-len(data) // piece)
        assert work.headers <= 3 * len(data) + 2 * feeds
        assert work.checksums <= len(data) + datagrams * feeds
        assert work.bytes <= (len(data) + datagrams * feeds) * 280
        spent.append(work)
    once, eight_times = spent
    rest = 300  # the last bytes may wait for more
    assert eight_times.headers <= 8 * (once.headers + 2 * rest)
    assert eight_times.checksums <= 8 * (once.checksums + rest)
    assert eight_times.bytes <= 8 * (once.bytes + rest * 280)
