"""Fixtures: vehicles and clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vehicle_field import Field


@pytest.fixture
def field() -> Iterator[Field]:
    with Field() as field:
        yield field
