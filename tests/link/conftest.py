"""Links under test: real sockets and ptys, frames by pymavlink."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # link_senders

from link_senders import UdpSender

from px4_tinyml.link.connection import Link


@pytest.fixture
def udp() -> Iterator[Link]:
    """A link that listens on a free port."""
    with Link("udpin:127.0.0.1:0") as link:
        yield link


@pytest.fixture
def sender(udp: Link) -> Iterator[UdpSender]:
    """A vehicle's socket that sends to `udp`."""
    with UdpSender(udp.local_port) as opened:
        yield opened
