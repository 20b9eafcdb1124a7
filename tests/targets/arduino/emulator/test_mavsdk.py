"""The emulated node on a serial port, for MAVSDK: everything by mavlink_direct."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from mavsdk import ComponentType
from mavsdk.asyncio import Configuration, Mavsdk
from mavsdk.asyncio.plugins.mavlink_direct import MavlinkDirectAsync
from mavsdk.plugins.mavlink_direct import MavlinkMessage
from node_talk import NODE, as_bytes, motion, playing, setup_signing, whole
from pymavlink.dialects.v20 import common as mavlink

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.targets.arduino.emulator.emulator import EmulatedNode

SPEED = 8.0
Fields = dict[str, Any]


class Direct:
    """mavlink_direct, messages as dictionaries."""

    def __init__(self, plugin: MavlinkDirectAsync) -> None:
        self.plugin = plugin

    async def send(self, name: str, **fields: Any) -> None:
        target = {"target_system": 1, "target_component": NODE}
        await self.plugin.send_message(MavlinkMessage(name, 245, 190, 1, NODE, json.dumps({**target, **fields})))

    async def request(self, message_id: int) -> None:
        rest = {f"param{i}": 0.0 for i in range(2, 8)}
        await self.send("COMMAND_LONG", command=512, confirmation=0, param1=float(message_id), **rest)

    @contextlib.asynccontextmanager
    async def hearing(self, name: str) -> AsyncIterator[Callable[..., Any]]:
        """Gives a function that waits for the next message of that name for which ok(fields)."""
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def listen() -> None:
            async for message in self.plugin.subscribe_message(name):
                queue.put_nowait(message)

        async def take(ok: Callable[[Fields], bool] = lambda fields: True, seconds: float = 30.0) -> Fields:
            async with asyncio.timeout(seconds):
                while True:
                    message = await queue.get()
                    fields: Fields = json.loads(message.fields_json)
                    if message.component_id == NODE and ok(fields):
                        return fields

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.05)
        try:
            yield take
        finally:
            task.cancel()


@pytest.fixture
async def connected(image: Path) -> AsyncIterator[tuple[Direct, EmulatedNode]]:
    with EmulatedNode(image, pty=True, usb=True) as node, playing(node, motion(900.0), SPEED):
        mavsdk = Mavsdk(Configuration.create_with_component_type(ComponentType.GROUND_STATION))
        try:
            await mavsdk.add_any_connection(f"serial://{node.telemetry_path}:57600")
            async with asyncio.timeout(30.0):
                while not (systems := await mavsdk.get_systems()):
                    await asyncio.sleep(0.1)
            yield Direct(MavlinkDirectAsync(systems[0])), node
        finally:
            mavsdk.destroy()


async def test_mavsdk(connected: tuple[Direct, EmulatedNode], bundle: ModelBundle) -> None:
    direct, node = connected
    async with direct.hearing("HEARTBEAT") as heartbeat:
        beat = await heartbeat(lambda fields: fields["system_status"] == mavlink.MAV_STATE_ACTIVE)
        assert (beat["type"], beat["autopilot"]) == (mavlink.MAV_TYPE_IMU, mavlink.MAV_AUTOPILOT_INVALID)

    async with direct.hearing("DEBUG_FLOAT_ARRAY") as array, direct.hearing("DEBUG_VECT") as vector:
        report = await array()
        assert (report["name"], report["array_id"]) == ("MOTION", 77)
        assert int(report["data"][3]) == bundle.spec.hash24
        assert report["data"][0] in (-1, 0, 1, 2, 3) and 0 < report["data"][1] < 1
        assert sum(report["data"][8:12]) == pytest.approx(1, abs=0.03)
        assert (await vector())["name"] == "MOTION"

    async with direct.hearing("PARAM_VALUE") as value:
        await direct.send("PARAM_REQUEST_LIST")
        names = {(await value())["param_id"] for _ in range(9)}
        assert len(names) == 9 and {"MN_ROT", "MN_RATE", "MN_ENTER"} <= names
        await direct.send("PARAM_SET", param_id="MN_RATE", param_value=as_bytes(4), param_type=6)
        assert whole((await value(lambda fields: fields["param_id"] == "MN_RATE"))["param_value"]) == 4

    async with direct.hearing("AUTOPILOT_VERSION") as version:
        await direct.request(148)
        assert bytes((await version())["flight_custom_version"]).hex() == bundle.spec.hash[:16]

    # Signed, it is heard but does not listen; and as before when the key is taken out.
    assert node.usb is not None
    async with direct.hearing("STATUSTEXT") as text:
        node.usb.sendall(setup_signing(hashlib.sha256(b"a key for tests").digest()))
        await text(lambda fields: fields["text"] == "Signing is on")
        async with direct.hearing("AUTOPILOT_VERSION") as version, direct.hearing("DEBUG_VECT") as vector:
            await direct.request(148)
            await vector()
            with pytest.raises(TimeoutError):
                await version(seconds=2.0)
        node.usb.sendall(setup_signing(bytes(32)))
        await text(lambda fields: fields["text"] == "Signing is off")
        async with direct.hearing("AUTOPILOT_VERSION") as version:
            await direct.request(148)
            await version()
