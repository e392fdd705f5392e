"""Machines on one machine: a network namespace each, a router with a slow uplink, and one upstream behind it.

    upstream 198.51.100.1 ── tbf ── router ── bridge 10.77.0.1 ── eth0 of each host, 10.77.0.11 …

Everything made here carries a prefix of its own, and goes when the block ends; nothing else is touched.
"""

from __future__ import annotations

import math
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulations.bench.children import BenchFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UPSTREAM: Final = "198.51.100.1"
_ROUTER_OUTSIDE: Final = "198.51.100.2"
_ROUTER_INSIDE: Final = "10.77.0.1"
COMMAND_DEADLINE: Final = 20.0  # seconds for one `ip` or `tc`


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace with one interface, `eth0`, that has this address."""

    namespace: str
    address: str

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs inside."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def plug_in(self) -> None:
        """Its interface is up again, with its way out, which went when it was down."""
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "replace", "default", "via", _ROUTER_INSIDE)

    def run(self, *arguments: str) -> None:
        """Run it inside. Raises BenchFailed when it fails."""
        _run(*self.command(*arguments))


@dataclass(frozen=True, slots=True)
class Lab:
    """`upstream` is outside; `hosts` are in one room and reach it through the uplink.

    Rates are in Mbit/s, the same both ways; `lan_mbit` is that of each host's own cable, infinite when nothing slows
    it.
    """

    prefix: str
    uplink_mbit: float
    lan_mbit: float
    upstream: Host
    router: Host
    hosts: tuple[Host, ...]

    def shortest(self, size: int, machines: int) -> float:
        """Seconds until so many machines can have `size` bytes each, at best: the fluid bound."""
        uplink, lan = self.uplink_mbit * 1e6 / 8, self.lan_mbit * 1e6 / 8
        together = machines * size / (uplink + machines * lan) if machines > 1 else 0.0
        return max(size / uplink, size / lan, together)

    def cut_uplink(self) -> None:
        """Nothing outside can be reached from now on."""
        _run(*self.router.command("ip", "link", "set", "outside", "down"))

    def restore_uplink(self) -> None:
        _run(*self.router.command("ip", "link", "set", "outside", "up"))

    def admit_replies_only(self, host: Host) -> None:
        """A firewall before this host: nobody can dial it or send it datagrams, but for multicast DNS.

        What matches is sent to a bridge without ports: not every kernel has a filter action that drops.
        """
        port = f"port{self.hosts.index(host) + 1}"
        tc = ("tc", "-n", self.router.namespace)
        _run("ip", "-n", self.router.namespace, "link", "add", "nowhere", "type", "bridge")
        _run("ip", "-n", self.router.namespace, "link", "set", "nowhere", "up")
        _run(*tc, "qdisc", "add", "dev", port, "clsact")
        drop = "action mirred egress redirect dev nowhere"
        rules = (
            f"ip prio 1 u32 match ip protocol 6 0xff match u8 0x02 0x12 at 33 {drop}",  # SYN without ACK
            "ip prio 2 u32 match ip protocol 17 0xff match ip dport 5353 0xffff flowid 1:1",
            f"ip prio 3 u32 match ip protocol 17 0xff {drop}",
            f"ipv6 prio 4 u32 match u32 0 0 {drop}",
        )
        for rule in rules:
            _run(*tc, "filter", "add", "dev", port, "egress", "protocol", *rule.split())

    def separate(self, some: Sequence[Host], others: Sequence[Host]) -> None:
        """Nothing but multicast gets from any of `some` to any of `others`, or back."""
        self._between(some, others, "add")

    def rejoin(self, some: Sequence[Host], others: Sequence[Host]) -> None:
        """Undo `separate`."""
        self._between(some, others, "del")

    def _between(self, some: Sequence[Host], others: Sequence[Host], verb: str) -> None:
        for host, there in [(a, b) for a in some for b in others] + [(b, a) for a in some for b in others]:
            _run("ip", "-n", host.namespace, "route", verb, "blackhole", there.address)

    def isolate(self, host: Host) -> None:
        """Pull the plug of one machine."""
        _run(*host.command("ip", "link", "set", "eth0", "down"))


def _slow_down(namespace: str, device: str, mbit: float) -> None:
    """What leaves there leaves at this rate."""
    if mbit != math.inf:
        rate = ["rate", f"{mbit}mbit", "burst", "32kb", "latency", "100ms"]
        _run("tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", "tbf", *rate)


def why_not() -> str | None:
    """Why no lab can be made here, or None."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    try:
        probe = f"p2plab-{os.getpid()}-probe"
        _run("ip", "netns", "add", probe)
        _run("ip", "netns", "del", probe)
    except BenchFailed as error:
        return str(error)
    return None


@contextmanager
def open_lab(machines: int, *, uplink_mbit: float, lan_mbit: float = math.inf) -> Iterator[Lab]:
    """The room with so many hosts. Raises BenchFailed when the system lacks something."""
    prefix = f"p2plab-{os.getpid()}-"
    names = [f"{prefix}{name}" for name in ("upstream", "router", *(f"h{i}" for i in range(1, machines + 1)))]
    try:
        for name in names:
            _run("ip", "netns", "add", name)
            _run("ip", "netns", "exec", name, "ip", "link", "set", "lo", "up")
        upstream, router, *hosts = names
        _outside(upstream, router)
        room = [_host(router, name, i) for i, name in enumerate(hosts, start=1)]
        cables = [(upstream, "eth0", uplink_mbit), (router, "outside", uplink_mbit)]
        for i, name in enumerate(hosts, start=1):
            cables += [(name, "eth0", lan_mbit), (router, f"port{i}", lan_mbit)]
        for name, device, mbit in cables:
            _slow_down(name, device, mbit)
        yield Lab(prefix, uplink_mbit, lan_mbit, Host(upstream, UPSTREAM), Host(router, _ROUTER_INSIDE), tuple(room))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=COMMAND_DEADLINE)


def _outside(upstream: str, router: str) -> None:
    _run("ip", "link", "add", "eth0", "netns", upstream, "type", "veth", "peer", "outside", "netns", router)
    _configure(upstream, "eth0", f"{UPSTREAM}/24")
    _configure(router, "outside", f"{_ROUTER_OUTSIDE}/24")
    _run("ip", "-n", upstream, "route", "add", "default", "via", _ROUTER_OUTSIDE)
    _run("ip", "-n", router, "link", "add", "room", "type", "bridge", "mcast_snooping", "0")
    _configure(router, "room", f"{_ROUTER_INSIDE}/24")
    _run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def _host(router: str, name: str, number: int) -> Host:
    port, address = f"port{number}", f"10.77.0.{10 + number}"
    _run("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", port, "netns", router)
    _run("ip", "-n", router, "link", "set", port, "master", "room", "up")
    _configure(name, "eth0", f"{address}/24")
    _run("ip", "-n", name, "route", "add", "default", "via", _ROUTER_INSIDE)
    return Host(name, address)


def _configure(namespace: str, device: str, address: str) -> None:
    _run("ip", "-n", namespace, "addr", "add", address, "dev", device)
    _run("ip", "-n", namespace, "link", "set", device, "up")


def _run(*arguments: str) -> None:
    try:
        done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=COMMAND_DEADLINE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchFailed(f"{arguments[0]}: {error}") from error
    if done.returncode:
        raise BenchFailed(f"{_shown(arguments)}: {done.stderr.strip() or done.returncode}")


def _shown(arguments: Sequence[str]) -> str:
    return " ".join(arguments)[:160]
