"""Flights of PX4 SITL in simulated air, from an empty folder to a labelled log."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from px4_tinyml.errors import LinkError, ToolchainError
from px4_tinyml_sitl.flight import FlightPlan
from px4_tinyml_sitl.px4.hil_flight import Px4Flight
from px4_tinyml_sitl.px4.hil_link import HilLink
from px4_tinyml_sitl.px4.hil_loop import HilLoop
from px4_tinyml_sitl.px4.pilot import Pilot, load_mavsdk
from px4_tinyml_sitl.px4.px4_process import MODULE, Px4, Px4Build, claim_instance
from px4_tinyml_sitl.px4.truth import add_truth
from px4_tinyml_sitl.px4.tuning import ALWAYS, flight_parameters

log = logging.getLogger(__name__)

DEFAULT_SPEED = 4.0
"""Maximum speed, times real time."""
_TOPICS = (
    "sensor_combined 0 0", "vehicle_air_data 0 0", "vehicle_local_position 100 0",
    "vehicle_local_position_groundtruth 100 0", "vehicle_attitude 40 0", "vehicle_land_detected 0 0",
    "vehicle_status 0 0", "actuator_motors 100 0", "wind 1000 0", "failsafe_flags 1000 0",
    "motion_classification 0 0", "debug_vect 0 0", "debug_array 0 0",
)  # fmt: skip
"""Topics that `dataset` uses, at full rate, and those the module publishes."""
_AFTER_LANDING_S = 2.0


def check(build: Path) -> Px4Build:
    """Check the build and the packages needed to fly it. Raises ToolchainError for a missing one."""
    px4 = Px4Build.open(build)
    if not px4.has_module:
        log.warning("%s: this PX4 has no %s: its logs will have no decisions", px4.folder, MODULE)
    load_mavsdk()
    return px4


def fly_px4(plan: FlightPlan, build: Px4Build, out: Path, speed: float = DEFAULT_SPEED) -> None:
    """Fly a plan and write PX4's log, with the truth in it, to `out`.

    PX4's console output is written next to it, to `<out>.px4.txt`. A flight that PX4 ends early (tipped over, estimate
    lost) is kept, with a warning. Raises LinkError or ToolchainError without a flight; PX4's folder is kept then.
    """
    folder = out.with_name(f".{out.name}.px4")
    shutil.rmtree(folder, ignore_errors=True)
    flight = Px4Flight(plan)
    instance = claim_instance()
    try:
        link = HilLink(instance.listener, lag=1)
        parameters = {**ALWAYS, **flight_parameters(plan.vehicle), "SDLOG_PROFILE": 0}
        with Px4(build, instance, folder, parameters, _TOPICS) as px4, HilLoop(flight, link, px4.check, speed) as loop:
            started_s = time.monotonic()
            _mission(plan, px4, loop)
            px4.require("logger", "stop")
            took_s = time.monotonic() - started_s
            if not px4.stop():
                log.warning("%s: PX4 was killed: it did not stop on SIGTERM", out.name)
    except (LinkError, ToolchainError) as error:
        raise type(error)(f"{error}\n{_output_tail(folder)}") from error
    finally:
        instance.close()
    logs = px4.logs()
    if not logs:
        raise ToolchainError(f"PX4 wrote no log in {folder}\n{_output_tail(folder)}")
    add_truth(logs[0], out, plan, flight.rows)
    shutil.move(px4.output_file, out.with_name(f"{out.name}.px4.txt"))
    shutil.rmtree(folder)
    flown_s = (flight.time_us - flight.rows[0].time_s * 1e6) / 1e6
    late = f", {link.late} steps without PX4's answer" if link.late else ""
    log.info("%s: %.0f s in %.0f s, %.1f times real time%s", out.name, flown_s, took_s, flown_s / took_s, late)


def _mission(plan: FlightPlan, px4: Px4, loop: HilLoop) -> None:
    """Wait for boot, start the module, fly the mission, then stay on the ground for a moment."""
    loop.wait(lambda: loop.controls is not None, 60.0)
    px4.wait_booted()
    loop.raise_error()
    if px4.build.has_module:
        px4.require(MODULE, "start")
    with Pilot(px4.instance.onboard_port, loop) as pilot:
        try:
            pilot.fly(plan)
        except LinkError as error:
            loop.raise_error()
            if not pilot.airborne:
                raise
            log.warning("%s", error)
    loop.wait(lambda: False, _AFTER_LANDING_S)


def _output_tail(folder: Path) -> str:
    text = (folder / "px4.out").read_text(encoding="utf-8", errors="replace") if (folder / "px4.out").exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join([f"PX4's output is in {folder / 'px4.out'}; its last lines:", *lines[-15:]])
