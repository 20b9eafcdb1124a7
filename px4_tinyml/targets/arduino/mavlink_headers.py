"""MAVLink 2 headers in C for the sensor node: mavgen with a dialect of the messages it uses.

The message definitions are those of the installed pymavlink, not part of this project.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path

from px4_tinyml.errors import ToolchainError

DIALECT = "node"
MESSAGES = (
    "HEARTBEAT", "SYS_STATUS", "SYSTEM_TIME", "PARAM_REQUEST_READ", "PARAM_REQUEST_LIST", "PARAM_VALUE", "PARAM_SET",
    "COMMAND_LONG", "COMMAND_INT", "COMMAND_ACK", "HIGHRES_IMU", "TIMESYNC", "AUTOPILOT_VERSION", "DEBUG_VECT",
    "STATUSTEXT", "SETUP_SIGNING", "DEBUG_FLOAT_ARRAY",
)  # fmt: skip
ENUMS = (
    "MAV_AUTOPILOT", "MAV_TYPE", "MAV_STATE", "MAV_MODE_FLAG", "MAV_COMPONENT", "MAV_RESULT", "MAV_PARAM_TYPE",
    "MAV_SEVERITY", "MAV_SYS_STATUS_SENSOR", "MAV_PROTOCOL_CAPABILITY", "MAV_CMD",
)  # fmt: skip
COMMANDS = ("MAV_CMD_REQUEST_MESSAGE", "MAV_CMD_SET_MESSAGE_INTERVAL", "MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN")
SOURCES = ("minimal.xml", "standard.xml", "common.xml")
UNUSED = ("testsuite.h",)


@cache
def mavlink_headers() -> dict[str, str]:
    """Every header by path relative to a folder `mavlink`; include node/mavlink.h. The same pymavlink, the same text.

    Raises ToolchainError when the installed pymavlink has no message definitions or lacks a message.
    """
    from pymavlink.generator import mavgen

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        definition = work / f"{DIALECT}.xml"
        definition.write_bytes(_dialect())
        options = mavgen.Opts(output=str(work / "out"), wire_protocol="2.0", language="C", validate=False)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            ok = mavgen.mavgen(options, [str(definition)])
        if not ok:
            raise ToolchainError(f"pymavlink's mavgen failed: {output.getvalue().strip()}")
        out = work / "out"
        # Without the date of their generation.
        return {
            path.relative_to(out).as_posix(): re.sub(
                r'(#define MAVLINK_BUILD_DATE) ".*"', r'\1 ""', path.read_text(encoding="utf-8")
            )
            for path in sorted(out.rglob("*.h"))
            if path.name not in UNUSED
        }


def _dialect() -> bytes:
    """XML of the messages and enums above, extracted from pymavlink's."""
    import pymavlink.dialects.v20 as dialects

    root = ElementTree.Element("mavlink")
    ElementTree.SubElement(root, "version").text = "3"
    ElementTree.SubElement(root, "dialect").text = "0"
    enums, messages = (ElementTree.SubElement(root, name) for name in ("enums", "messages"))
    place = Path(next(iter(dialects.__path__)))
    for name in SOURCES:
        try:
            tree = ElementTree.parse(place / name)
        except (OSError, ElementTree.ParseError) as error:
            raise ToolchainError(f"{place / name}: {error}; install pymavlink 2.4.40 or newer from PyPI") from error
        enums.extend(_enum(element) for element in tree.iter("enum") if element.get("name") in ENUMS)
        messages.extend(element for element in tree.iter("message") if element.get("name") in MESSAGES)
    found = {element.get("name") for element in messages}
    missing = sorted(set(MESSAGES) - found)
    if missing:
        raise ToolchainError(f"{place}: {', '.join(missing)} not found in {', '.join(SOURCES)}; update pymavlink")
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _enum(element: ElementTree.Element) -> ElementTree.Element:
    if element.get("name") == "MAV_CMD":
        for entry in [entry for entry in element.findall("entry") if entry.get("name") not in COMMANDS]:
            element.remove(entry)
    return element
