"""Link URLs."""

from __future__ import annotations

import pytest

from px4_tinyml.errors import LinkError
from px4_tinyml.link.address import LinkAddress


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("udpin:127.0.0.1:14540", "udpin:127.0.0.1:14540"),
        ("udp:0.0.0.0:14550", "udpin:0.0.0.0:14550"),
        ("udp://:14540", "udpin:0.0.0.0:14540"),
        ("udpout:gcs.local:14550", "udpout:gcs.local:14550"),
        ("tcp:127.0.0.1:5760", "tcp:127.0.0.1:5760"),
        ("tcpout://10.0.0.1:5760", "tcp:10.0.0.1:5760"),
        ("tcpin::5760", "tcpin:0.0.0.0:5760"),
        ("udpin:[::1]:14540", "udpin:[::1]:14540"),
        ("serial:/dev/ttyACM0", "serial:/dev/ttyACM0:57600"),
        ("serial:/dev/ttyUSB0:921600", "serial:/dev/ttyUSB0:921600"),
        ("serial:///dev/ttyS1:115200", "serial:/dev/ttyS1:115200"),
        ("/dev/ttyAMA0", "serial:/dev/ttyAMA0:57600"),
        ("/dev/ttyUSB0,115200", "serial:/dev/ttyUSB0:115200"),
        (
            "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0",
            "serial:/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0:57600",
        ),
    ],
)
def test_urls(url: str, plain: str) -> None:
    address = LinkAddress.parse(url)
    assert str(address) == plain
    assert LinkAddress.parse(plain) == address


@pytest.mark.parametrize(
    "url",
    ["", "udpin", "udpin:14540", "udpout::14550", "tcp:host:0", "tcp:host:65536", "tcp:host:port", "usb:/dev/ttyACM0",
     "serial:", "serial:ttyACM0", "serial:/dev/ttyACM0:9", "serial:/dev/", "udpin:0.0.0.0:٣", "14540"],
)  # fmt: skip
def test_an_invalid_url_is_an_error_with_examples(url: str) -> None:
    with pytest.raises(LinkError, match="Examples: udpin:") as error:
        LinkAddress.parse(url)
    assert repr(url) in str(error.value)
