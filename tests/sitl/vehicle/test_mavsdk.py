"""MAVSDK, unmodified: connects, flies, sets parameters, downloads and streams logs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from mavsdk import Autopilot, ComponentType
from mavsdk.asyncio import Configuration, Mavsdk
from mavsdk.asyncio.plugins.action import ActionAsync
from mavsdk.asyncio.plugins.info import InfoAsync
from mavsdk.asyncio.plugins.log_files import LogFilesAsync
from mavsdk.asyncio.plugins.log_streaming import LogStreamingAsync
from mavsdk.asyncio.plugins.mavlink_direct import MavlinkDirectAsync
from mavsdk.asyncio.plugins.param import ParamAsync
from mavsdk.asyncio.plugins.telemetry import TelemetryAsync
from mavsdk.plugins.action import ActionError
from mavsdk.plugins.telemetry import FlightMode, LandedState
from pyulog import ULog

from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle


async def first(values: AsyncIterator[Any], ok: Callable[[Any], bool] = lambda v: True, seconds: float = 60.0) -> Any:
    """The first value for which ok(value)."""
    async with asyncio.timeout(seconds), contextlib.aclosing(values):
        async for value in values:
            if ok(value):
                return value


@pytest.fixture
async def connected() -> AsyncIterator[tuple[Any, EmbeddedVehicle]]:
    vehicle = EmbeddedVehicle("udpin:127.0.0.1:0", speed=5)
    mavsdk = Mavsdk(Configuration.create_with_component_type(ComponentType.COMPANION_COMPUTER))
    try:
        with vehicle:
            await mavsdk.add_any_connection(f"udpout://127.0.0.1:{vehicle.wires[0].local_port}")
            system = await mavsdk.first_autopilot(60.0)
            assert system is not None
            yield system, vehicle
    finally:
        mavsdk.destroy()


async def test_identity_and_telemetry(connected: tuple[Any, EmbeddedVehicle]) -> None:
    system, _ = connected
    assert await system.autopilot_type() == Autopilot.PX4
    info, telemetry = InfoAsync(system), TelemetryAsync(system)
    version = await info.get_version()
    assert (version.flight_sw_major, version.flight_sw_minor) == (1, 17)
    assert await first(telemetry.subscribe_health_all_ok())
    position = await first(telemetry.subscribe_position())
    assert (position.latitude_deg, position.longitude_deg) == pytest.approx((47.0, 8.0), abs=1e-4)
    await telemetry.set_rate_imu(100.0)
    imu = await first(telemetry.subscribe_imu())
    assert imu.acceleration_frd.down_m_s2 == pytest.approx(-9.8, abs=0.8)
    raw = await first(MavlinkDirectAsync(system).subscribe_message("HIGHRES_IMU"))
    assert raw.message_name == "HIGHRES_IMU"
    assert '"fields_updated"' in raw.fields_json


async def test_parameters(connected: tuple[Any, EmbeddedVehicle]) -> None:
    system, vehicle = connected
    parameters = ParamAsync(system)
    assert await parameters.get_param_int("MAV_SYS_ID") == 1
    await parameters.set_param_int("BAT1_N_CELLS", 6)
    assert await parameters.get_param_int("BAT1_N_CELLS") == 6
    await parameters.set_param_float("SIM_TURB_EDR", 0.35)
    everything = await parameters.get_all_params()
    assert len(everything.int_params) + len(everything.float_params) == len(vehicle.state.parameters)
    assert vehicle.state.flight.weather.edr == pytest.approx(0.35)


async def test_flight_and_its_log(connected: tuple[Any, EmbeddedVehicle], tmp_path: Path) -> None:
    system, vehicle = connected
    action, telemetry = ActionAsync(system), TelemetryAsync(system)
    await action.set_takeoff_altitude(6.0)
    await action.arm()
    await action.takeoff()
    await first(telemetry.subscribe_flight_mode(), lambda mode: mode == FlightMode.HOLD)
    assert (await first(telemetry.subscribe_position())).relative_altitude_m == pytest.approx(6.0, abs=1.5)
    with pytest.raises(ActionError):
        await action.disarm()
    await action.return_to_launch()
    await action.hold()
    await action.land()
    await first(telemetry.subscribe_landed_state(), lambda state: state == LandedState.ON_GROUND)
    await first(telemetry.subscribe_armed(), lambda armed: not armed)

    files = LogFilesAsync(system)
    entries = await files.get_entries()
    assert len(entries) == 1
    target = tmp_path / "flight.ulg"
    async for _ in files.download_log_file(entries[0], str(target)):
        pass
    assert target.read_bytes() == vehicle.log.paths()[0].read_bytes()


async def test_log_streaming(connected: tuple[Any, EmbeddedVehicle], tmp_path: Path) -> None:
    system, _ = connected
    streaming = LogStreamingAsync(system)
    received = bytearray()

    async def collect() -> None:
        async for raw in streaming.subscribe_log_streaming_raw():
            received.extend(base64.b64decode(raw.data_base64))

    task = asyncio.create_task(collect())
    await asyncio.sleep(0.1)
    await streaming.start_log_streaming()
    async with asyncio.timeout(60.0):
        while len(received) < 60_000:
            await asyncio.sleep(0.1)
    await streaming.stop_log_streaming()
    task.cancel()
    path = tmp_path / "streamed.ulg"
    path.write_bytes(bytes(received))
    log = ULog(str(path))
    assert len(log.get_dataset("sensor_combined").data["timestamp"]) > 300
    assert log.msg_info_dict["sys_name"] == "PX4"
