"""Flights of a real PX4 in our simulated air: everything from an empty folder to a labelled log."""

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
"""Times real time, where the computer keeps up."""
_TOPICS = (
    "sensor_combined 0 0", "vehicle_air_data 0 0", "vehicle_local_position 100 0",
    "vehicle_local_position_groundtruth 100 0", "vehicle_attitude 40 0", "vehicle_land_detected 0 0",
    "vehicle_status 0 0", "actuator_motors 100 0", "wind 1000 0", "failsafe_flags 1000 0",
    "motion_classification 0 0", "debug_vect 0 0", "debug_array 0 0",
)  # fmt: skip
"""What `dataset` uses, in full, and what the module publishes."""
_AFTER_LANDING_S = 2.0


def check(build: Path) -> Px4Build:
    """The build and the Python packages it takes to fly it; ToolchainError says what is missing."""
    found = Px4Build.open(build)
    if not found.has_module:
        log.warning("%s: this PX4 has no %s; it flies, but decides nothing", found.folder, MODULE)
    load_mavsdk()
    return found


def fly_px4(plan: FlightPlan, build: Px4Build, out: Path, speed: float = DEFAULT_SPEED) -> None:
    """Fly a plan and write PX4's log, with the truth in it, to `out`.

    What PX4 prints goes to a file beside it, `<out>.px4.txt`. A flight that PX4 ends early (it fell over, it lost its
    estimate) is kept, with a warning. LinkError or ToolchainError when nothing came of it: its folder is left then.
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
                log.warning("%s: PX4 did not end by itself", out.name)
    except (LinkError, ToolchainError) as error:
        raise type(error)(f"{error}\n{_last_words(folder)}") from error
    finally:
        instance.close()
    logs = px4.logs()
    if not logs:
        raise ToolchainError(f"PX4 has written no log in {folder}\n{_last_words(folder)}")
    add_truth(logs[0], out, plan, flight.rows)
    shutil.move(px4.output_file, out.with_name(f"{out.name}.px4.txt"))
    shutil.rmtree(folder)
    flown_s = (flight.time_us - flight.rows[0].time_s * 1e6) / 1e6
    late = f", {link.late} steps without PX4's answer" if link.late else ""
    log.info("%s: %.0f s in %.0f s, %.1f times real time%s", out.name, flown_s, took_s, flown_s / took_s, late)


def _mission(plan: FlightPlan, px4: Px4, loop: HilLoop) -> None:
    """Start-up, the module, the mission, and a moment on the ground."""
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


def _last_words(folder: Path) -> str:
    text = (folder / "px4.out").read_text(encoding="utf-8", errors="replace") if (folder / "px4.out").exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join([f"PX4's output is in {folder / 'px4.out'}; its last lines:", *lines[-15:]])
