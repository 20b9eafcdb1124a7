"""Fixtures: vehicles and clients."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # vehicle_field

from vehicle_field import Field


@pytest.fixture
def field() -> Iterator[Field]:
    with contextlib.ExitStack() as stack:
        yield Field(stack)


@pytest.fixture(scope="module")
def shared_field() -> Iterator[Field]:
    """For tests that do not change the vehicle."""
    with contextlib.ExitStack() as stack:
        yield Field(stack)
