"""A laptop that sleeps for an hour, or changes its network: how long until a peer serves it again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from simulations.bench.children import BenchFailed
from simulations.bench.workshop import python
from simulations.lab.breakages import build
from simulations.lab.machines import API_PORT, SECRET, Machine, control, wait_until
from simulations.lab.outside import CODE_HOST, names_outside, running_outside
from simulations.lab.room import LOCAL_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from simulations.bench.children import Child
    from simulations.lab.netns import Host, Lab

ENOUGH: Final = 5.0  # seconds
PATIENCE: Final = 30.0  # seconds until it is given up
PAUSE: Final = 4.0  # seconds without a network, or of quiet before the next change
MET: Final = 30.0
PROVEN: Final = 60.0
OTHER: Final = "10.78.0"  # the other network


@dataclass(frozen=True, slots=True)
class Served:
    """Seconds from the moment that there is a network again, or that the machine woke, to a peer's zip."""

    change: str
    seconds: float


class Laptop:
    """What happens to the machine at `host`, whose node runs as `node`."""

    def __init__(self, lab: Lab, host: Host, node: Child, is_forgotten: Callable[[], bool]) -> None:
        self._lab = lab
        self._host = host
        self._node = node
        self._is_forgotten = is_forgotten
        self._port = f"port{lab.hosts.index(host) + 1}"

    def change_address(self) -> None:
        """In the same network."""
        self._host.run("ip", "addr", "flush", "dev", "eth0")
        self._host.run("ip", "addr", "add", "10.77.0.99/24", "dev", "eth0")
        self._host.plug_in()

    def lose_link(self) -> None:
        self._host.run("ip", "link", "set", "eth0", "down")
        time.sleep(PAUSE)
        self._host.plug_in()

    def move_away(self) -> None:
        """To another network, from which the first can be reached."""
        self._move("other", f"{OTHER}.12", f"{OTHER}.1")

    def move_home(self) -> None:
        self._move("room", self._host.address, self._lab.router.address)

    def sleep(self) -> None:
        self._sleep(lambda: None)

    def sleep_and_wake_elsewhere(self) -> None:
        self._sleep(self.move_away)

    def _move(self, bridge: str, address: str, gateway: str) -> None:
        self._host.run("ip", "link", "set", "eth0", "down")
        self._lab.router.run("ip", "link", "set", self._port, "master", bridge)
        self._host.run("ip", "addr", "flush", "dev", "eth0")
        self._host.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self._host.run("ip", "link", "set", "eth0", "up")
        self._host.run("ip", "route", "replace", "default", "via", gateway)

    def _sleep(self, carry: Callable[[], None]) -> None:
        """Until the neighbours have given it up; then an hour is over."""
        self._host.run("ip", "link", "set", "eth0", "down")
        os.killpg(self._node.pid, signal.SIGSTOP)
        try:
            wait_until(self._is_forgotten, PATIENCE, 1.0)
            carry()
            self._host.run("ip", "link", "set", "eth0", "up")
            os.killpg(self._node.pid, signal.SIGUSR1)
        finally:
            os.killpg(self._node.pid, signal.SIGCONT)


CHANGES: Final[Mapping[str, Callable[[Laptop], None]]] = {
    "nothing": lambda _: None,
    "another address in the same network": Laptop.change_address,
    "the link was down": Laptop.lose_link,
    "another network": Laptop.move_away,
    "back in the first network": Laptop.move_home,
    "slept for an hour": Laptop.sleep,
    "slept for an hour, woke in another network": Laptop.sleep_and_wake_elsewhere,
}
_WANTED: Final = [ModuleVersion(f"{CODE_HOST}/acme/lib{i}", "v1.0.0") for i in range(len(CHANGES))]


def serve_after_each(lab: Lab, base: Path, go: Path, environ: Mapping[str, str]) -> list[Served]:
    """One change after the other, the laptop's node never started anew; each time it wants a zip that it has not."""
    giver, taker = (Machine(host, base / f"h{i}", go, environ) for i, host in enumerate(lab.hosts[:2], start=1))
    lab.router.run("ip", "link", "add", "other", "type", "bridge", "mcast_snooping", "0")
    lab.router.run("ip", "addr", "add", f"{OTHER}.1/24", "dev", "other")
    lab.router.run("ip", "link", "set", "other", "up")
    with names_outside(lab), running_outside(lab, base / "outside", giver, environ, recorded=_WANTED) as outside:
        settings = ["--listen", f"127.0.0.1:{API_PORT}", *outside.node_settings, "--swarm", f"lab:{SECRET}"]
        with giver.node(*settings, environ=outside.environ):
            if complaint := build(giver, outside.modules).complaint:
                raise BenchFailed(complaint)
            wait_until(lambda: control(giver, "status")["held"]["unproven"] == 0, PROVEN)
            lab.cut_uplink()
            with taker.node(*settings, environ=outside.environ, module="simulations.lab.sleepy") as node:
                wait_until(lambda: _knows_somebody(taker), MET)
                laptop = Laptop(lab, taker.host, node, lambda: not _knows_somebody(giver))
                return [
                    _measure(taker, laptop, name, change, wanted)
                    for (name, change), wanted in zip(CHANGES.items(), _WANTED, strict=True)
                ]


def _knows_somebody(machine: Machine) -> bool:
    return any(peer["state"] == "alive" for peer in control(machine, "status")["peers"])


def _measure(
    machine: Machine, laptop: Laptop, name: str, change: Callable[[Laptop], None], wanted: ModuleVersion
) -> Served:
    time.sleep(PAUSE)
    change(laptop)
    start = time.monotonic()
    url = f"{LOCAL_URL}/{FileKey(wanted, FileKind.ZIP).url_path}"
    command = machine.host.command(*python("-c", _ASK, url, str(PATIENCE)))
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=2 * PATIENCE)
    return Served(name, float(done.stdout) - start)


_ASK: Final = """
import sys, time, urllib.request
url, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            if answer.read() and answer.headers["P2pmods-Source"] == "peer":
                break
    except OSError:
        time.sleep(0.1)
print(time.monotonic())
"""


def table(rows: Sequence[Served]) -> list[tuple[str, ...]]:
    """Cells, a head first."""
    cells: list[tuple[str, ...]] = [("change", "served by a peer again after", "")]
    for row in rows:
        remark = "" if row.seconds <= ENOUGH else f"more than {ENOUGH:.0f} s"
        cells.append((row.change, f"{row.seconds:.1f} s", remark))
    return cells
