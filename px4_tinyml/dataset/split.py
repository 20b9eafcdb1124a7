"""Split by airframe or by flight, never by window; and the check that no flight is in two parts."""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Part, SplitBy
from px4_tinyml.errors import DatasetError
from px4_tinyml.flight_log import F32

PARTS: tuple[Part, ...] = get_args(Part)
SHARES = (0.6, 0.2, 0.2)
AIRFRAMES_FOR_A_SPLIT = 5
"""With at least this many airframes whole airframes are held out; with fewer, whole flights."""
DRAWS = 400


def split(
    vehicles: Sequence[str], flights: Sequence[str], class_counts: NDArray[np.int64], seed: int
) -> tuple[list[Part], SplitBy]:
    """Part of each recording, and what was kept together.

    vehicles[R], flights[R]: airframe and flight of each recording; class_counts[R,L]: its windows by label. Of many
    seeded draws the one is taken whose class shares are nearest to 60 / 20 / 20, with every class in every part if
    possible.
    """
    airframes = sorted(set(vehicles))
    by: SplitBy = "airframe" if len(airframes) >= AIRFRAMES_FOR_A_SPLIT else "flight"
    keys = list(vehicles if by == "airframe" else flights)
    groups = sorted(set(keys), key=keys.index)
    if len(groups) < len(PARTS):
        raise DatasetError(
            f"{len(groups)} flight(s) with labelled windows found, at least {len(PARTS)} needed to train, "
            "validate and test on different flights: add logs"
        )
    member = np.array([groups.index(k) for k in keys])
    counts = np.zeros((len(groups), class_counts.shape[1]))
    np.add.at(counts, member, class_counts)

    rng = np.random.default_rng(seed)
    best: tuple[float, NDArray[np.int64]] | None = None
    for _ in range(DRAWS):
        part = _draw(rng, len(groups))
        score = _misfit(counts, part)
        if best is None or score < best[0] - 1e-12:
            best = (score, part)
    assert best is not None
    return [PARTS[best[1][m]] for m in member], by


def _draw(rng: np.random.Generator, groups: int) -> NDArray[np.int64]:
    """A random part for each group, every part used, numbers near the shares."""
    sizes = [max(1, round(share * groups)) for share in SHARES[1:]]
    part = np.zeros(groups, np.int64)
    order = rng.permutation(groups)
    part[order[: sizes[0]]] = 1
    part[order[sizes[0] : sum(sizes)]] = 2
    return part


def _misfit(counts: NDArray[np.float64], part: NDArray[np.int64]) -> float:
    """How far the class shares are from SHARES; a class missing from a part weighs most."""
    totals = counts.sum(axis=0)
    present = totals > 0
    misfit = 0.0
    for index, share in enumerate(SHARES):
        have = counts[part == index].sum(axis=0)[present]
        misfit += float(np.abs(have / totals[present] - share).sum()) + 10.0 * float((have == 0).sum())
    return misfit


def by_hash(keys: Iterable[str], fill: bool = True) -> dict[str, Part]:
    """Part of each key by its SHA-256: a key is in the same part whichever others there are.

    fill: an empty part takes the key nearest by hash from a part with several.
    """
    place = {key: int(hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest(), 16) / 2**256 for key in keys}
    edges = list(itertools.accumulate(SHARES[:-1]))
    number = {key: bisect.bisect_right(edges, at) for key, at in place.items()}
    middles = [(low + high) / 2 for low, high in itertools.pairwise([0.0, *edges, 1.0])]
    for empty in (part for part in range(len(PARTS)) if part not in number.values()):
        count = Counter(number.values())
        spare = [key for key, part in number.items() if count[part] > 1]
        if fill and spare:
            number[min(spare, key=lambda key: (abs(place[key] - middles[empty]), key))] = empty
    return {key: PARTS[part] for key, part in number.items()}


def by_rank(keys: Iterable[str]) -> dict[str, Part]:
    """Parts of a fixed set of keys near the shares: the keys in the order of their SHA-256."""
    order = sorted(set(keys), key=lambda key: hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest())
    edges = [round(edge * len(order)) for edge in itertools.accumulate(SHARES[:-1])]
    return {key: PARTS[bisect.bisect_right(edges, place)] for place, key in enumerate(order)}


def check_leakage(parts: Sequence[str], sources: Sequence[str], windows: Iterable[F32]) -> None:
    """DatasetError when a window's content is in two parts (the same flight under two names, a copy, a cut).

    windows: [W,T,C] of each flight, or [W,1,F] log energies. A window in which nothing moves (a dead sensor, a
    simulator at rest) looks the same in any flight: it is skipped.
    """
    seen: dict[bytes, int] = {}
    for flight, x in enumerate(windows):
        for window in x:
            imu = np.ascontiguousarray(_imu_content(window))
            if (imu == imu[0]).all():
                continue
            key = hashlib.blake2b(imu.tobytes(), digest_size=16).digest()
            other = seen.setdefault(key, flight)
            if parts[other] != parts[flight]:
                raise DatasetError(
                    f"leakage: {sources[other]} ({parts[other]}) and {sources[flight]} ({parts[flight]}) "
                    "hold the same window: they are the same flight; remove one of them"
                )


def _imu_content(window: F32) -> F32:
    """What of a window is from the IMU, with equal rows where nothing moves.

    The altitude and the vertical speed would hide a copy made with another barometer rate.
    """
    if len(window) > 1:
        return window[:, :6]
    energies = window[0, : len(window[0]) // 4 * 4]
    return energies.reshape(2, -1).T  # accelerometer and gyroscope: each has its floor
