"""What no kernel here does: test doubles of a socket and of a name server; the rest is real."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from link_senders import UdpSender, Vehicle, drain

from px4_tinyml.link import ports
from px4_tinyml.link.connection import Link


class OtherKernelSocket(socket.socket):
    """A test double: a socket whose kernel stamps datagrams with a time of another size, as 32-bit Linux does."""

    def recvmsg_into(self, *arguments: Any) -> Any:
        size, extra, flags, peer = super().recvmsg_into(*arguments)
        stamps = [(level, kind, struct.pack("@ii", 1, 2)) for level, kind, _ in extra if kind == ports._SO_TIMESTAMPNS]
        return size, stamps, flags, peer


def test_a_kernel_whose_times_have_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", OtherKernelSocket)
    with Link("udpin:127.0.0.1:0") as link, UdpSender(link.local_port) as sender:
        sender.send(Vehicle().heartbeat())
        assert len(drain(link)) == 1
