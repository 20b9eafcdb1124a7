"""Child processes that do not outlive this Python, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess


class ChildGroup:
    """A process group for children and all they start: `Popen(…, process_group=group.number)`.

    A shell in it waits for the end of a pipe that only this object holds, and then kills the group: when Python is
    killed without a chance to clean up, nothing of it is left. Linux's parent-death signal would reach the child
    alone, and not if its parent is gone before it has asked for one.
    """

    def __init__(self) -> None:
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", "read line; kill -KILL 0"], process_group=0,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def number(self) -> int:
        """Process group id."""
        return self._guard.pid

    def kill(self) -> None:
        """End everything that is left in it. Once only: the number may be another group's then."""
        os.killpg(self.number, signal.SIGKILL)
        self._guard.communicate()
