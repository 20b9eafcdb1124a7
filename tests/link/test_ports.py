"""Behaviour of other kernels: test doubles of a socket and of a name server."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import pytest
from link_senders import UdpSender, Vehicle, drain

from px4_tinyml.link import transports as ports
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


def test_ipv4_is_preferred_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test double of /etc/hosts: where localhost is ::1 first, a simulator that listens on 127.0.0.1 is reached."""

    def ipv6_first(host: str, port: int, type: int) -> list[Any]:
        four = (socket.AF_INET, type, 0, "", ("127.0.0.1", port))
        return [(socket.AF_INET6, type, 0, "", ("::1", port, 0, 0)), four] if host == "localhost" else [four]

    monkeypatch.setattr(socket, "getaddrinfo", ipv6_first)
    with Link("tcpin:127.0.0.1:0", system=1) as server, Link(f"tcp:localhost:{server.local_port}") as client:
        deadline = time.monotonic() + 5
        while not client.reachable:
            assert time.monotonic() < deadline, client.trouble
            client.receive(0.05)
