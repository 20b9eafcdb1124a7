"""The simulation loop under PX4, in a thread: PX4's clock runs while other threads send commands to PX4."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from px4_tinyml.errors import Px4TinymlError
from px4_tinyml_sitl.px4.hil_link import Controls, HilLink

_AHEAD_S = 0.01


class Source(Protocol):
    """Source of sensor samples for PX4: a simulated vehicle, or a recorded flight."""

    @property
    def time_us(self) -> int:
        """PX4's time of the next step."""

    def send(self, link: HilLink) -> None:
        """Add the messages of the next step."""

    def advance(self, controls: Controls | None) -> None:
        """Advance by one step under PX4's newest motor outputs."""


class HilLoop(threading.Thread):
    """Steps a source until stop(). A context manager around everything that needs PX4's clock."""

    def __init__(self, source: Source, link: HilLink, check: Callable[[], None], speed: float) -> None:
        """check: raises when PX4 has ended. speed: maximum, times real time."""
        super().__init__(name="hil", daemon=True)
        self._source, self._link, self._check, self._speed = source, link, check, speed
        self._ending = threading.Event()
        self.error: Exception | None = None
        self.controls: Controls | None = None
        self.time_us = source.time_us

    def __enter__(self) -> HilLoop:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Run until stop(); an error ends the loop and is kept."""
        try:
            self._link.accept(self._check)
            self._loop()
        except Exception as error:  # raised again in the thread that waits
            self.error = error
        finally:
            self._link.close()

    def _loop(self) -> None:
        source, link = self._source, self._link
        wall_s, simulated_us = time.monotonic(), source.time_us
        while not self._ending.is_set():
            now_us = source.time_us
            source.send(link)
            self.controls = link.exchange(now_us)
            source.advance(self.controls)
            self.time_us = source.time_us
            elapsed_s, flown_s = time.monotonic() - wall_s, (self.time_us - simulated_us) / 1e6
            if flown_s / self._speed > elapsed_s + _AHEAD_S:
                self._ending.wait(flown_s / self._speed - elapsed_s)
            if elapsed_s >= 1.0:
                wall_s, simulated_us = time.monotonic(), self.time_us

    def stop(self) -> None:
        self._ending.set()
        if self.is_alive():
            self.join()

    def raise_error(self) -> None:
        """Raise the error that ended the loop, if there is one."""
        if self.error is not None:
            if isinstance(self.error, Px4TinymlError):
                raise self.error
            raise RuntimeError("the simulation under PX4 failed") from self.error

    def wait(self, done: Callable[[], bool], simulated_s: float, poll_s: float = 0.005) -> bool:
        """Wait until done(), or for so much simulated time. Returns whether it is done."""
        until_us = self.time_us + round(simulated_s * 1e6)
        while not done():
            self.raise_error()
            if self.time_us >= until_us:
                return False
            time.sleep(poll_s)
        return True
