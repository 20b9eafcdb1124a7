"""A link to vehicles: frames in, messages out, and back again after whatever happens to the wire."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
import time
from types import TracebackType
from typing import Any

from px4_tinyml.errors import LinkError
from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.serial_device import SerialDevice, available
from px4_tinyml.link.transports import Peer, Port, SerialPort, TcpPort, TcpServerPort, UdpPort
from px4_tinyml.logs.tlog.tlog_file import definitions
from px4_tinyml.mavlink.framer import Frame, Framer
from px4_tinyml.mavlink.signing import SigningKey, Verdict
from px4_tinyml.mavlink.statistics import OUTAGE_US, LinkStatistics, SenderStatistics

__all__ = ["Frame", "Link", "LinkStatistics"]

log = logging.getLogger(__name__)

COMPANION = 191
"""MAV_COMP_ID_ONBOARD_COMPUTER."""
FIRST_RETRY_S, LAST_RETRY_S = 0.2, 2.0
CLOCK_STEP_US = 5_000_000
MAX_FRAMERS = 64
"""Senders whose half frames are remembered: programs that come and go each leave one."""
# Waiting does not mend these: another program has the port, or the address is not this machine's.
_HOPELESS = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EBUSY}


class Link:
    """One wire, any number of vehicles. Use as a context manager; one thread receives, any may send.

    Raises LinkError when the address cannot work; what may still come (a server not up yet, a device not plugged
    in) is waited for, unless reconnect is False. gather_s: wait this long for company before frames are handed
    out, which saves waking up for each.
    """

    def __init__(
        self,
        address: LinkAddress | str,
        *,
        signing: SigningKey | None = None,
        system: int = 245,
        component: int = COMPANION,
        reconnect: bool = True,
        gather_s: float = 0.0,
    ) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self.address = LinkAddress.parse(address) if isinstance(address, str) else address
        self.statistics = LinkStatistics()
        self.trouble = ""
        """Why there is no connection, when there is none."""
        self._signing, self._reconnect, self._gather_s = signing, reconnect, gather_s
        self._mavlink = ardupilotmega.MAVLink(None, system, component)
        self._known = definitions()
        self._sending = threading.Lock()
        self._serial = SerialDevice(self.address.device) if self.address.kind == "serial" else None
        self._device = ""
        """Serial device that was opened and not heard yet."""
        self._framers: dict[Peer, Framer] = {}
        self._routes: dict[int, Peer] = {}
        self._unread: list[Frame] = []
        self._start_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000
        self._heard_us = 0
        self._silence_told = self._signed_told = self._clock_told = self._was_open = self._busy = False
        self._retry_s, self._retry_at = FIRST_RETRY_S, 0.0
        self._poll = select.poll()
        self._polled = 0
        self._port: Port | None = None
        try:
            self._open()
        except OSError as error:
            if not reconnect or _hopeless(error):
                raise LinkError(self._explain(error)) from error
            self._lost(error)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the wire."""
        if self._port is not None:
            self._port.close()
            self._port = None

    @property
    def connected(self) -> bool:
        """Whether the wire is up and frames came in the last three seconds."""
        return self._port is not None and self._port.open and 0 <= self.silent_s < OUTAGE_US / 1e6

    @property
    def reachable(self) -> bool:
        """Whether there is anybody to send to."""
        return self._port is not None and self._port.open

    @property
    def silent_s(self) -> float:
        """Seconds since a frame was received; infinite before the first."""
        return (self.now_us() - self._heard_us) / 1e6 if self._heard_us else float("inf")

    @property
    def local_port(self) -> int:
        """Port a udpin or tcpin link listens on."""
        if isinstance(self._port, UdpPort | TcpServerPort):
            return self._port.local_port
        raise LinkError(f"{self.address} listens on no port")

    @property
    def system(self) -> int:
        """Our MAVLink system id; settable, as a companion takes its vehicle's."""
        return int(self._mavlink.srcSystem)

    @system.setter
    def system(self, number: int) -> None:
        self._mavlink.srcSystem = number

    @property
    def component(self) -> int:
        """Our MAVLink component id."""
        return int(self._mavlink.srcComponent)

    def now_us(self) -> int:
        """µs since 1970 on the clock of received_us: the system's at the start, never set back afterwards."""
        return time.monotonic_ns() // 1000 + self._start_us

    def receive(self, timeout_s: float) -> list[Frame]:
        """Frames in the order they came: waits until there are some or the time is up. LinkError without reconnect."""
        if self._unread:
            frames, self._unread = self._unread, []
            return frames
        deadline = time.monotonic() + timeout_s
        while True:
            port = self._port_now()
            if port is None:
                time.sleep(max(0.0, min(deadline, self._retry_at) - time.monotonic()))
            elif frames := self._wait_and_read(port, deadline):
                return frames
            self._tell_silence()
            if time.monotonic() >= deadline:
                return []

    def unread(self, frames: list[Frame]) -> None:
        """Put frames back: the next receive() gives them again (and nothing is counted twice)."""
        self._unread = frames + self._unread

    def send(self, message: Any) -> bool:
        """Send a pymavlink message, signed when there is a key; to its target_system's peer where that is known.

        Never waits: False (and counted) when there is no room or nobody to send it to.
        """
        with self._sending:
            port = self._port
            if self._signing is not None:
                self._signing.apply(self._mavlink)
            data = bytes(message.pack(self._mavlink))
            try:
                sent = port is not None and port.write(data, self._routes.get(getattr(message, "target_system", 0)))
            except OSError:
                sent = False  # receive() finds out why
            if sent:
                self._mavlink.seq = (self._mavlink.seq + 1) % 256
                self.statistics.sent += 1
            else:
                self.statistics.send_dropped += 1
            return sent

    def _open(self) -> None:
        """Open the wire. OSError when that fails now."""
        address = self.address
        if self._serial is not None:
            device = self._serial.present()
            self._port = SerialPort(device, address.baud)
            self._device = device
            if device != address.device:
                log.warning("%s: the device has come back as %s", address, device)
        elif address.kind == "tcp":
            self._port = TcpPort(address)
        elif address.kind == "tcpin":
            self._port = TcpServerPort(address)
        else:
            self._port = UdpPort(address)
        self._polled = 0

    def _port_now(self) -> Port | None:
        """The wire, opened again when its time has come."""
        if self._port is None and time.monotonic() >= self._retry_at:
            try:
                self._open()
            except OSError as error:
                self._lost(error)
        return self._port

    def _lost(self, error: OSError) -> None:
        """The wire is gone: say so once, and try again a little later."""
        was_open = self._was_open
        if self._port is not None:
            self._poll_forget()
            self._port.close()
            self._port = None
        for framer in self._framers.values():
            framer.reset()
        self._framers.clear()
        self._routes.clear()
        self._was_open = False
        explained = self._explain(error)
        if not self._reconnect:
            raise LinkError(explained) from error
        if was_open or explained != self.trouble:
            log.warning("%s; trying again", explained)
        self.trouble = explained
        self._retry_s = FIRST_RETRY_S if was_open else min(self._retry_s * 1.5, LAST_RETRY_S)
        self._retry_at = time.monotonic() + self._retry_s

    def _explain(self, error: OSError) -> str:
        """Which link, what happened, what to do."""
        why = error.strerror or str(error)
        address = self.address
        if error.errno == errno.EADDRINUSE:
            why = f"port {address.port} is in use by another program (QGroundControl, MAVProxy?): end it or use another"
        elif error.errno == errno.EADDRNOTAVAIL:
            why = f"{address.host} is no address of this machine: 0.0.0.0 listens on all"
        elif error.errno in (errno.EACCES, errno.EPERM) and address.kind == "serial":
            why = f"no permission for {address.device}: `sudo adduser $USER dialout` and log in again"
        elif error.errno in (errno.EBUSY, errno.EAGAIN) and address.kind == "serial":
            why = f"{address.device} is in use by another program (ModemManager, a ground station?)"
        elif error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO) and address.kind == "serial":
            why = f"there is no {address.device} (there is: {', '.join(available()) or 'no serial device'})"
        return f"{address}: {why}"

    def _wait_and_read(self, port: Port, deadline: float) -> list[Frame]:
        """Frames, or none when the time is up or what came was something else."""
        if self._gather_s and self._busy:
            # On a busy link: sleep once instead of waking up for each frame.
            time.sleep(max(0.0, min(self._gather_s, deadline - time.monotonic())))
            frames = self._read(port)
            if frames or self._port is not port:
                return frames
        return self._read(port) if self._ready(port, deadline - time.monotonic()) else []

    def _ready(self, port: Port, timeout_s: float) -> bool:
        """Wait for bytes (or for a connection to come up)."""
        wanted = select.POLLIN | (select.POLLOUT if port.wants_to_write else 0)
        if wanted != self._polled:
            self._poll.register(port.fileno(), wanted)
            self._polled = wanted
        return bool(self._poll.poll(max(0.0, timeout_s * 1000.0)))

    def _poll_forget(self) -> None:
        self._poll = select.poll()
        self._polled = 0

    def _read(self, port: Port) -> list[Frame]:
        """Everything that is there, framed, counted and, on a signed link, checked."""
        try:
            chunks = port.read()
        except OSError as error:
            self._lost(error)
            return []
        if port.open and not self._was_open:
            self._came_up()
        now_us = self.now_us()
        senders, routes, known = self.statistics.senders, self._routes, self._known
        believed: list[Frame] = []
        for chunk in chunks:
            framer = self._framers.get(chunk.peer)
            if framer is None:
                framer = self._framers[chunk.peer] = Framer(port.datagrams, self.statistics)
                if len(self._framers) > MAX_FRAMERS:
                    del self._framers[next(iter(self._framers))]
            if chunk.dropped:
                self.statistics.note_kernel_drop(chunk.dropped)
            for frame in framer.feed(chunk.data, now_us - chunk.age_us):
                who = frame.system, frame.component
                sender = senders.get(who) or self.statistics.sender(*who)
                if self._signing is None:
                    if frame.signed and not self._signed_told:
                        self._tell_signed(frame)
                elif not self._believe(frame, sender, self._signing):
                    continue
                checked = frame.message_id in known
                # A datagram has a checksum of its own, a serial line has none.
                sender.note(frame.sequence, frame.received_us, len(frame.data), checked or port.datagrams)
                if not checked:
                    self.statistics.note_unknown(sender, frame.message_id)
                believed.append(frame)
                routes[frame.system] = chunk.peer
        if isinstance(port, TcpServerPort):
            self._forget_peers(port)
        self._busy = bool(believed)
        if believed:
            self._heard(believed)
        return believed

    def _came_up(self) -> None:
        self._was_open = True
        self._retry_s = FIRST_RETRY_S
        self.trouble = ""
        if self._heard_us:
            self.statistics.reconnects += 1
            for sender in self.statistics.senders.values():
                sender.reconnect()
            log.info("%s: connected again", self.address)

    def _believe(self, frame: Frame, sender: SenderStatistics, key: SigningKey) -> bool:
        """On a signed link: whether the signature is right. What is not believed is counted."""
        verdict = key.judge(frame.data)
        if verdict is Verdict.GOOD:
            return True
        name = {Verdict.UNSIGNED: "unsigned", Verdict.BAD: "bad_signature", Verdict.REPLAYED: "replayed"}[verdict]
        setattr(sender, name, getattr(sender, name) + 1)
        self._tell_unbelieved(frame, verdict)
        return False

    def _tell_signed(self, frame: Frame) -> None:
        self._signed_told = True
        log.warning(
            "%s: system %d signs its messages and we have no key: it will ignore what we ask of it "
            "and what we report. Give its key with --signing-key FILE",
            self.address,
            frame.system,
        )

    def _tell_unbelieved(self, frame: Frame, verdict: Verdict) -> None:
        """Warn once that a link with a key hears what it does not believe."""
        if self._signed_told:
            return
        self._signed_told = True
        what = {
            Verdict.UNSIGNED: "sends unsigned messages: they are not believed. Set the key on the vehicle, "
            "or leave out --signing-key",
            Verdict.BAD: "signs with another key than ours: its messages are not believed",
            Verdict.REPLAYED: "sent messages whose signing time is behind: repeated by somebody, or its clock or "
            "ours is wrong. They are not believed",
        }
        log.warning("%s: system %d %s", self.address, frame.system, what[verdict])

    def _forget_peers(self, port: TcpServerPort) -> None:
        for peer in port.gone:
            if peer in self._framers:
                self._framers.pop(peer).reset()
            self._routes = {system: at for system, at in self._routes.items() if at != peer}
        port.gone.clear()

    def _heard(self, frames: list[Frame]) -> None:
        """Note when the link was heard, and silences that end."""
        if self._serial is not None and self._device:
            self._serial.remember(self._device)
            self._device = ""
        statistics = self.statistics
        silence_us = frames[0].received_us - self._heard_us
        if self._heard_us and silence_us > OUTAGE_US:
            statistics.outages += 1
            statistics.outage_s += silence_us / 1e6
            log.warning("%s: heard again after %.1f s", self.address, silence_us / 1e6)
        self._silence_told = False
        self._heard_us = frames[-1].received_us
        clock_step_us = time.time_ns() // 1000 - self.now_us()
        if abs(clock_step_us) > CLOCK_STEP_US and not self._clock_told:
            self._clock_told = True
            log.warning(
                "%s: this computer's clock was set by %+.0f s; times go on as they began, so that none is twice",
                self.address,
                clock_step_us / 1e6,
            )

    def _tell_silence(self) -> None:
        if self._heard_us and not self._silence_told and self._was_open and self.silent_s > OUTAGE_US / 1e6:
            self._silence_told = True
            log.warning("%s: nothing heard for %.0f s", self.address, self.silent_s)


def _hopeless(error: OSError) -> bool:
    """Whether waiting will not help."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_NONAME
    return error.errno in _HOPELESS
