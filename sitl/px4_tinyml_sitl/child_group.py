"""Child processes that are killed with this Python process, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess


class ChildGroup:
    """A process group for children and their children: `Popen(…, process_group=group.number)`.

    A shell in the group reads from a pipe that only this object holds open, and kills the group at its end: also when
    Python is killed. Linux's parent-death signal reaches the child only, and not if the parent ends before it is set.
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
        """Kill all processes of the group. Call it once: the number may be reused."""
        os.killpg(self.number, signal.SIGKILL)
        self._guard.communicate()
