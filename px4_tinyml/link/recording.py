"""One recording of a link: its vehicles, the .tlog, and the log streams of the vehicles."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from px4_tinyml.link.connection import Frame, Link
from px4_tinyml.link.log_stream import UlogStream
from px4_tinyml.link.recorder import Recorder, new_recording
from px4_tinyml.link.streams import Fleet
from px4_tinyml.link.vehicle import explain_absence

log = logging.getLogger(__name__)

STEP_S = 0.25


class Recording:
    """Call step() until `over`, then close().

    out: a folder, or a .tlog to append to. rate_hz: IMU messages per second, None for all that fit. system: ID of the
    only vehicle to ask. wait_s: timeout for the first vehicle. seconds: length, None without an end. ulog: also stream
    each vehicle's own log.
    """

    def __init__(
        self,
        link: Link,
        out: Path,
        *,
        rate_hz: float | None = None,
        system: int | None = None,
        wait_s: float = 30.0,
        seconds: float | None = None,
        ulog: bool = False,
    ) -> None:
        self._link, self._out = link, out
        self._system, self._wait_s, self._length_s, self._with_ulog = system, wait_s, seconds, ulog
        self._fleet = Fleet(link, rate_hz, system)
        self._recorder: Recorder | None = None
        self._ulogs: dict[int, UlogStream] = {}
        self._first_us = 0
        self._began = time.monotonic()

    @property
    def started(self) -> bool:
        """Whether the file is open: a frame was received."""
        return self._recorder is not None

    @property
    def over(self) -> bool:
        """Whether it has the length asked for."""
        return self._length_s is not None and self.seconds >= self._length_s

    @property
    def seconds(self) -> float:
        """Since the first frame."""
        return (self._link.now_us() - self._first_us) / 1e6 if self._first_us else 0.0

    @property
    def failed(self) -> bool:
        """Whether a log could not be streamed to its file."""
        return any(ulog.failed for ulog in self._ulogs.values())

    def step(self) -> None:
        """Receive for at most STEP_S and record. Raises LinkError without a vehicle, LogError when the disk is full."""
        self._write(self._link.receive(STEP_S))
        if not self._fleet.streams and time.monotonic() - self._began > self._wait_s:
            raise explain_absence(self._link, self._fleet.others.values(), self._system, self._wait_s)

    def _write(self, frames: list[Frame]) -> None:
        if frames and self._recorder is None:
            self._recorder = self._open(frames[0].received_us)
        vehicles = self._fleet.watch(frames)
        if self._recorder is None:
            return
        for vehicle in vehicles:
            log.info("%s: %s", self._link.address, vehicle)
            if self._with_ulog:
                if replaced := self._ulogs.pop(vehicle.system, None):
                    replaced.close()
                several = f"_system{vehicle.system}" if self._ulogs else ""
                stem = self._recorder.path.with_suffix("")
                self._ulogs[vehicle.system] = UlogStream(self._link, vehicle, stem.with_name(stem.name + several))
        for ulog in self._ulogs.values():
            frames = ulog.watch(frames)
        self._recorder.write(frames)

    def _open(self, received_us: int) -> Recorder:
        path = self._out if self._out.suffix == ".tlog" else new_recording(self._out, received_us)
        recorder = Recorder(path, self._session)
        self._first_us = received_us
        log.info("%s %s", "appending to" if recorder.resumed else "recording to", path)
        return recorder

    def close(self) -> None:
        """Reset the vehicles' message rates and close the files."""
        self._fleet.release()
        for ulog in self._ulogs.values():
            ulog.close()
        if self._recorder is not None:
            self._recorder.close()

    def _session(self) -> dict[str, Any]:
        """This session's part of the sidecar."""
        return {
            "link": str(self._link.address),
            "vehicles": [
                {
                    "system": number,
                    "vehicle": str(s.vehicle),
                    "reboots": s.reboots,
                    "lost": s.statistics.lost,
                    "rates_hz": {name: round(hz, 2) for name, hz in s.rates.items()},
                }
                for number, s in sorted(self._fleet.streams.items())
            ],
            "ulog": [
                {"files": [path.name for path in u.files], "bytes": u.bytes, "lost": u.lost, "dropouts": u.dropouts}
                for u in self._ulogs.values()
            ],
            "statistics": self._link.statistics.as_json(),
        }

    def facts(self) -> dict[str, Any]:
        """What was recorded (`record --json`, docs/links.md)."""
        recorder = self._recorder
        return {
            "tlog": str(recorder.path) if recorder else None,
            "sidecar": str(recorder.sidecar) if recorder else None,
            "seconds": round(self.seconds, 3),
            "frames": recorder.frames if recorder else 0,
            "bytes": recorder.bytes if recorder else 0,
            **self._session(),
        }

    def status_line(self) -> str:
        """Time, rates, losses, size."""
        # A vehicle forwards only some messages of other components: gaps in their sequence numbers are no loss.
        vehicles = [s.statistics for s in self._fleet.streams.values()]
        lost, frames = sum(v.lost for v in vehicles), sum(v.frames for v in vehicles)
        parts = [f"{self.seconds:.0f} s"]
        for number, streams in sorted(self._fleet.streams.items()):
            rates = streams.rates
            shown = [f"{name} {rates.get(name, 0.0):.1f}" for name in streams.requested]
            parts.append(f"{f'system {number} ' if len(self._fleet.streams) > 1 else ''}{', '.join(shown)} Hz")
        parts.append(f"lost {lost} of {lost + frames} ({100.0 * lost / max(1, lost + frames):.1f} %)")
        parts += [f"{u.bytes / 1e6:.2f} MB .ulg" for u in self._ulogs.values()]
        if self._recorder:
            parts.append(f"{self._recorder.bytes / 1e6:.2f} MB")
        if not self._link.connected:
            parts.append("NO DATA" if self._link.reachable else "NOT CONNECTED")
        return " · ".join(parts)

    def log_result(self) -> None:
        """Log each file with its size and losses."""
        if self._recorder is None:
            log.info("nothing received, nothing recorded")
            return
        log.info("%s: %s", self._recorder.path, self.status_line())
        for ulog in self._ulogs.values():
            for path in ulog.files:
                log.info("%s: %d messages lost, %d dropouts noted", path, ulog.lost, ulog.dropouts)
