"""Link addresses: URLs as pymavlink, MAVProxy and MAVSDK write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from px4_tinyml.errors import LinkError

Kind = Literal["udpin", "udpout", "tcp", "tcpin", "serial"]
DEFAULT_BAUD = 57600
EXAMPLES = (
    "udpin:0.0.0.0:14540 (PX4 sends to us), udpout:192.168.1.10:14580 (we send first), tcp:127.0.0.1:5760, "
    "tcpin:0.0.0.0:5760 (we are the server), serial:/dev/ttyACM0:57600, /dev/ttyUSB0"
)
_ALIASES = {"udp": "udpin", "tcpout": "tcp", "serial": "serial", **{k: k for k in ("udpin", "udpout", "tcp", "tcpin")}}


@dataclass(frozen=True)
class LinkAddress:
    """A parsed link URL. host and port for sockets (0: any free one to listen on), device and baud for serial links."""

    kind: Kind
    host: str = ""
    port: int = 0
    device: str = ""
    baud: int = DEFAULT_BAUD

    @classmethod
    def parse(cls, url: str) -> LinkAddress:
        """Read udpin|udpout|tcp|tcpin:HOST:PORT or serial:/dev/ttyX[:BAUD] ("://" and a bare /dev/tty… too).

        Raises LinkError with examples.
        """
        scheme, _, rest = url.strip().partition(":")
        if scheme.startswith("/dev/") or scheme.partition(",")[0].startswith("/"):
            scheme, rest = "serial", url.strip()
        kind = _ALIASES.get(scheme.lower())
        if kind is None:
            raise _refused(url, f"unknown kind of link “{scheme}”" if scheme else "it is empty")
        if kind == "serial":
            return cls._serial(url, rest)
        return cls._socket(url, cast(Kind, kind), rest)

    @classmethod
    def _serial(cls, url: str, rest: str) -> LinkAddress:
        if rest.startswith("//"):
            rest = rest[2:]
        match = re.fullmatch(r"(?P<device>/.*?[^/])(?:[:,](?P<baud>[0-9]+))?", rest)
        if match is None:
            raise _refused(url, "expected a device and optionally a baud rate")
        baud = int(match["baud"] or DEFAULT_BAUD)
        if not 300 <= baud <= 12_000_000:
            raise _refused(url, f"baud rate {baud}: expected 300…12000000")
        return cls("serial", device=match["device"], baud=baud)

    @classmethod
    def _socket(cls, url: str, kind: Kind, rest: str) -> LinkAddress:
        rest = rest.removeprefix("//")
        host, colon, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not port.isascii() or not port.isdigit():
            raise _refused(url, "expected HOST:PORT")
        lowest = 0 if kind in ("udpin", "tcpin") else 1
        if not lowest <= int(port) < 65536:
            raise _refused(url, f"port {port}: expected {lowest}…65535")
        if not host:
            if kind not in ("udpin", "tcpin"):
                raise _refused(url, "needs a host to send to")
            host = "0.0.0.0"
        return cls(kind, host=host, port=int(port))

    def __str__(self) -> str:
        if self.kind == "serial":
            return f"serial:{self.device}:{self.baud}"
        return f"{self.kind}:{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def _refused(url: str, why: str) -> LinkError:
    return LinkError(f"link {url!r}: {why}. Examples: {EXAMPLES}")
