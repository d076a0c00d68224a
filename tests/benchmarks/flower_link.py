"""A slow link on one machine: two network namespaces and what goes between them, as late and as slowly as over a line.

The SuperLink is on one side, all sites are on the other: they share the line, and messages wait for each other. Not
every kernel can delay packets by itself (tc netem), so threads here carry them from one tunnel to the other.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import fedlab_nb as fl
from fedlab_nb.flower.deploy import certificates
from fedlab_nb.flower.deploy.loopback import Loopback
from fedlab_nb.flower.deploy.processes import Program
from fedlab_nb.flower.rehearsal import Rehearsal
from tests.benchmarks.bench_flower import Trip, by_round, say, timed_project, trips

MBIT, ROUND_TRIP = 20.0, 0.050
HERE, THERE = "10.77.0.1", "10.77.0.2"
_TUNSETIFF, _TUN, _NO_INFO, _NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000
# What waits for the line beyond so many seconds is dropped, as a router does.
_QUEUE = 0.4


class Line:
    """One direction: each packet leaves when the one before has left, and arrives half a round trip later."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._way: deque[tuple[float, bytes]] = deque()
        self._more = threading.Event()
        self.bytes = 0
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _take(self) -> None:
        free = 0.0
        while True:
            packet = os.read(self._source, 1 << 16)
            now = time.monotonic()
            if free - now > _QUEUE:
                continue
            free = max(free, now) + len(packet) * 8 / (MBIT * 1e6)
            self.bytes += len(packet)
            self._way.append((free + ROUND_TRIP / 2, packet))
            self._more.set()

    def _give(self) -> None:
        while True:
            self._more.wait()
            self._more.clear()
            while self._way:
                due, packet = self._way.popleft()
                time.sleep(max(due - time.monotonic(), 0.0))
                os.write(self._sink, packet)


def ip(*arguments: str) -> None:
    """``ip`` with these arguments."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def tunnel(namespace: str, address: str) -> int:
    """The end of a tunnel in a namespace; what is written to it arrives there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as own, Path(f"/var/run/netns/{namespace}").open() as other:
        if libc.setns(other.fileno(), _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            end = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"line", _TUN | _NO_INFO))
        finally:
            libc.setns(own.fileno(), _NEWNET)
    ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "line")
    for device in ("line", "lo"):
        ip("-n", namespace, "link", "set", device, "up")
    return end


@contextmanager
def namespaces() -> Iterator[tuple[str, str, tuple[Line, Line]]]:
    """Two namespaces, joined by a line in each direction."""
    names = f"fedlab-{os.getpid()}-a", f"fedlab-{os.getpid()}-b"
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
        ends = [tunnel(name, address) for name, address in zip(names, (HERE, THERE), strict=True)]
        yield (*names, (Line(ends[0], ends[1]), Line(ends[1], ends[0])))


class Across(Loopback):
    """The SuperLink in one namespace, the sites in the other."""

    def __init__(self, *given: Any, names: tuple[str, str], **more: Any) -> None:
        super().__init__(*given, **more)
        self._names = names

    @property
    def address(self) -> str:
        """Where sites find the SuperLink."""
        return f"{HERE}:{self._port}"

    def _make_files(self) -> None:
        super()._make_files()
        for path in (self.certificate.certificate, self.certificate.key):
            path.unlink()
        self.certificate = certificates.make_server_certificate(self.authority, self.folder / "superlink", [HERE])

    def _start(self, name: str, title: str, command: list[str]) -> Program:
        if name == "superlink":
            command[command.index("--host") + 1] = "0.0.0.0"
        inside = self._names[name in self.sites]
        return super()._start(name, title, ["ip", "netns", "exec", inside, *command])


def missing() -> str:
    """Why there can be no such link here; "" if there can."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "it takes Linux and root to make network namespaces"
    if shutil.which("ip") is None:
        return "the program ip is not there"
    return "" if Path("/dev/net/tun").exists() else "there is no /dev/net/tun"


def over_a_link(owners: int = 3, rounds: int = 3) -> None:
    """Train the quickstart's model over the link, and print seconds a round beside bytes."""
    if why := missing():
        say(f"not measured: {why}")
        return
    federation = fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=owners, skew=0.5), encrypt=fl.CKKS())
    say(f"{owners} owners and a key holder behind one line of {MBIT:g} Mbit/s, {1000 * ROUND_TRIP:g} ms there and back")
    say(f"FedAvg(mlp), CKKS, {rounds} rounds; load of this machine: {os.getloadavg()[0]:.1f}")
    with namespaces() as (one, other, lines):
        lab = Rehearsal(federation, fl.FedAvg(fl.models.mlp()), num_rounds=rounds)
        try:
            timed_project(lab, empty=False)
            # This thread's own calls of Flower's command line are on the SuperLink's side.
            enter(one)
            variables = {"OMP_NUM_THREADS": "1"}
            lab._lab = Across(lab._sites, lab._folder / "network", variables=variables, names=(one, other))
            began = time.perf_counter()
            lab._lab.__enter__()
            say(f"start-up: {time.perf_counter() - began:.1f} s; {sum(line.bytes for line in lines):,} bytes")
            run = lab.run(patience=600.0)
            record = run.wait()[-1]
            found = trips(lab, run.number)
        finally:
            lab.close()
        say(f"{sum(line.bytes for line in lines):,} bytes in all went over the line; {dict(record.metrics)}")
    show(found)


def enter(namespace: str) -> None:
    """Let this thread, and what it starts, be in a namespace."""
    with Path(f"/var/run/netns/{namespace}").open() as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def show(found: list[Trip | int]) -> None:
    """Seconds of each round beside its bytes, and what the line alone takes for these."""
    say("\nround  trips  seconds  MB there  MB back  seconds that the line needs for them")
    for number, real in by_round(found):
        sent, came = sum(t.sent for t in real), sum(t.came for t in real)
        needed = (sent + came) * 8 / (MBIT * 1e6) + len(real) * ROUND_TRIP
        seconds = real[-1].ended - real[0].began
        say(f"{number:5} {len(real):6} {seconds:8.1f} {sent / 1e6:9.2f} {came / 1e6:8.2f} {needed:8.2f}")
