"""PX4 SITL as a child process: its folder, parameters, ports, console and shutdown.

The binary is the user's: any px4_sitl build of v1.17 or later.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.errors import LinkError, ToolchainError
from px4_tinyml_sitl.child_group import ChildGroup

MODULE = "motion_classifier"
MODEL = "none_iris"
"""The airframe script without a simulator; parameters describe the vehicle."""
SIMULATOR_PORT = 4560
ONBOARD_PORT, GCS_PORT = 14540, 14550
_LOCAL_UDP_PORTS = (14580, 18570, 14280, 13030)
"""Where an instance's four MAVLink links listen (px4-rc.mavlink), plus the instance number."""
_LOCK = "/tmp/px4_lock-{}"
"""PX4's lock file: a running instance holds a record lock (fcntl) on it."""
INSTANCES = range(10)
"""PX4 instances from 10 on share the port of their onboard link."""
_START_SIMULATOR = f"simulator_mavlink start -c $(({SIMULATOR_PORT}+px4_instance))\n"
"""Replaces PX4's px4-rc.mavlinksim, which sets SENS_IMU_MODE and EKF2_MULTI_IMU for several IMUs. With those
the estimator, and the logger that follows it, run ahead of sensor_combined, and every tenth sample is not logged."""
_BOOTED, _BOOT_FAILED = "Startup script returned successfully", "Startup script returned with return value"
_STOP_S, _KILL_S = 15.0, 5.0
_COMMAND_S = 30.0
_TAIL_LINES = 25


@dataclass(frozen=True)
class Px4Build:
    """A PX4 SITL build folder, for example PX4-Autopilot/build/px4_sitl_default."""

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Px4Build:
        """Check that a folder is a build. Raises ToolchainError with the missing file."""
        folder = folder.resolve()
        for needed in ("bin/px4", "etc/init.d-posix/rcS", f"etc/init.d-posix/airframes/10016_{MODEL}"):
            if not (folder / needed).exists():
                raise ToolchainError(
                    f"{folder}: no {needed} in it; expected a PX4 SITL build folder, "
                    "PX4-Autopilot/build/px4_sitl_default after `make px4_sitl` (docs/px4_sitl.md)"
                )
        return cls(folder)

    @property
    def has_module(self) -> bool:
        """Whether motion_classifier was built into it."""
        return (self.folder / "bin" / f"px4-{MODULE}").exists()

    def require_module(self) -> None:
        """Raise ToolchainError unless motion_classifier was built into it."""
        if not self.has_module:
            raise ToolchainError(
                f"{self.folder}: this PX4 has no {MODULE}; build it with "
                "`make px4_sitl EXTERNAL_MODULES_LOCATION=<a tree of px4-tinyml generate px4>` (docs/px4_sitl.md)"
            )


class Instance:
    """A free PX4 instance number, reserved by listening on the simulator's TCP port."""

    def __init__(self, number: int, listener: socket.socket) -> None:
        self.number, self.listener = number, listener

    @property
    def onboard_port(self) -> int:
        """UDP port this instance sends its onboard (API) link to."""
        return ONBOARD_PORT + self.number

    def close(self) -> None:
        """Release the number."""
        self.listener.close()


def claim_instance(numbers: Sequence[int] = INSTANCES) -> Instance:
    """Claim the first free instance number. Raises LinkError when all are in use."""
    for number in numbers:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", SIMULATOR_PORT + number))
            listener.listen(1)
        except OSError:
            listener.close()
            continue
        if _running(number) or not all(_udp_free(port + number) for port in _LOCAL_UDP_PORTS):
            listener.close()
            continue
        return Instance(number, listener)
    raise LinkError(
        f"no PX4 instance is free: TCP {SIMULATOR_PORT + min(numbers)} to {SIMULATOR_PORT + max(numbers)} and "
        "the MAVLink ports with them are in use; end other simulations"
    )


def _running(number: int) -> bool:
    try:
        with Path(_LOCK.format(number)).open("r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _udp_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


class Px4:
    """One run of PX4. A context manager; the simulator must run meanwhile, because it is PX4's clock.

    folder: PX4's file system: parameters, `log/`, and its console output `px4.out`.
    """

    def __init__(
        self, build: Px4Build, instance: Instance, folder: Path, parameters: Mapping[str, int | float],
        topics: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """topics: lines of etc/logging/logger_topics.txt (v1.17 logs these only, v1.18 these too)."""
        self.build, self.instance, self.folder = build, instance, folder.resolve()
        self.output_file = self.folder / "px4.out"
        self._parameters = dict(parameters)
        self._topics = list(topics)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Px4:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_etc()
        environment = {**os.environ, "PX4_SIM_MODEL": MODEL, "HEADLESS": "1"}
        # PX4's start-up script looks for its parts along PATH, in the build last.
        environment["PATH"] = f"{self.folder / 'scripts'}{os.pathsep}{environment.get('PATH', '')}"
        environment |= {f"PX4_PARAM_{name}": f"{value:.9g}" for name, value in self._parameters.items()}
        self._group = ChildGroup()
        with self.output_file.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    str(self.build.folder / "bin" / "px4"), "-d", "-i", str(self.instance.number),
                    "-w", str(self.folder), "-s", "etc/init.d-posix/rcS",
                ],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment, process_group=self._group.number,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make_etc(self) -> None:
        """Link PX4's etc/ file by file, so that files can be added without changing the build, and add scripts/."""
        (self.folder / "scripts").mkdir(exist_ok=True)
        (self.folder / "scripts" / "px4-rc.mavlinksim").write_text(_START_SIMULATOR, encoding="utf-8")
        etc = self.folder / "etc"
        etc.mkdir(exist_ok=True)
        for entry in (self.build.folder / "etc").iterdir():
            link = etc / entry.name
            if not link.exists():
                link.symlink_to(entry)
        if self._topics:
            (etc / "logging").mkdir(exist_ok=True)
            (etc / "logging" / "logger_topics.txt").write_text("\n".join(self._topics) + "\n", encoding="utf-8")

    @property
    def pid(self) -> int:
        return self._running_process().pid

    def check(self) -> None:
        """Raise ToolchainError with PX4's last lines when it has ended."""
        code = self._running_process().poll()
        if code is not None:
            raise ToolchainError(f"PX4 has ended with {code}. Its last lines:\n{self.tail()}")

    def wait_booted(self, timeout_s: float = 60.0) -> None:
        """Wait for the startup script to end. Raises ToolchainError when it fails or times out."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            self.check()
            text = self.output()
            if _BOOTED in text:
                return
            if _BOOT_FAILED in text:
                raise ToolchainError(f"PX4's startup script failed. Its last lines:\n{self.tail()}")
            time.sleep(0.05)
        raise ToolchainError(f"PX4 did not start up within {timeout_s:.0f} s. Its last lines:\n{self.tail()}")

    def command(self, *words: str, timeout_s: float = _COMMAND_S) -> tuple[int, str]:
        """Run a console command, as `bin/px4-<command> --instance N` does: (exit code, output)."""
        program = self.build.folder / "bin" / f"px4-{words[0]}"
        if not program.exists():
            raise ToolchainError(f"{program}: this PX4 has no command {words[0]}")
        try:
            done = subprocess.run(
                [str(program), "--instance", str(self.instance.number), *words[1:]],
                cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ToolchainError(f"PX4 did not finish `{' '.join(words)}` after {timeout_s:.0f} s") from error
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def require(self, *words: str) -> str:
        """Output of a console command. Raises ToolchainError when it fails."""
        code, text = self.command(*words)
        if code != 0:
            raise ToolchainError(f"PX4's `{' '.join(words)}` ended with {code}: {text.strip()}")
        return text

    def output(self) -> str:
        """Everything PX4 has printed."""
        return self.output_file.read_text(encoding="utf-8", errors="replace") if self.output_file.exists() else ""

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines PX4 printed."""
        return "\n".join(self.output().splitlines()[-lines:])

    def logs(self) -> list[Path]:
        """Its ULogs, oldest first."""
        return sorted((self.folder / "log").rglob("*.ulg"), key=lambda path: path.stat().st_mtime_ns)

    def stop(self, patience_s: float = _STOP_S) -> bool:
        """Stop PX4; True when it exits on SIGTERM, for which its clock must run; it is killed after the timeout."""
        process = self._process
        if process is None:
            return True
        self._process = None
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)
        clean = process.poll() is not None
        self._group.kill()  # the startup script's shell and its clients, too
        process.wait(_KILL_S)
        return clean

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ToolchainError("PX4 is not running")
        return self._process
