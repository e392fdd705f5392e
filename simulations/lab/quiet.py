"""Nodes that come one after the other and then have nothing to do: how soon each is known, what the mesh costs."""

from __future__ import annotations

import struct
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from simulations.bench.children import BenchFailed, Child
from simulations.bench.workshop import ROOT
from simulations.lab.machines import SECRET, capturing, control, wait_until
from simulations.lab.room import common, processors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from simulations.lab.machines import Machine, Project

JOIN: Final = 30.0  # seconds until it is given up
CALM: Final = 90.0  # seconds until what idle nodes put off has been put off
MEASURED: Final = 60.0  # seconds
JOIN_REACH: Final = 3.0  # seconds
TRAFFIC_REACH: Final = 500.0  # bytes a second
MEMORY_REACH: Final = 110e6  # bytes
_MDNS_PORT: Final = 5353


@dataclass(frozen=True, slots=True)
class Quiet:
    """`joins` are seconds from the start of a process until a node that was there knows it as alive.

    `sent` and `received` are bytes a second of each machine at rest, Ethernet headers included; `kinds` those of the
    first machine, both ways, by what they are; `memory` bytes resident of each node.
    """

    joins: tuple[float, ...]
    sent: tuple[float, ...]
    received: tuple[float, ...]
    kinds: Mapping[str, float]
    memory: tuple[int, ...]
    cpu: float


def rest(machines: Sequence[Machine], project: Project, base: Path, environ: Mapping[str, str]) -> Quiet:
    """Each starts when the one before has been met."""
    joins: list[float] = []
    nodes: list[Child] = []
    with ExitStack() as stack:
        for machine in machines:
            start = time.monotonic()
            nodes.append(
                stack.enter_context(
                    machine.node(*common(project), "--module-cache", "off", "--swarm", f"lab:{SECRET}")
                )
            )
            if machine is not machines[0]:
                _wait_known(machines[0], machine)
                joins.append(time.monotonic() - start)
        time.sleep(CALM)
        before = [_counters(machine) for machine in machines]
        with processors() as cpu, capturing(machines[0].host, base / "frames", environ):
            time.sleep(MEASURED)
        after = [_counters(machine) for machine in machines]
        usages = [node.usage() for node in nodes]
    rates = [
        [(b - a) / MEASURED for a, b in zip(old, new, strict=True)] for old, new in zip(before, after, strict=True)
    ]
    return Quiet(
        tuple(joins),
        tuple(sent for sent, _ in rates),
        tuple(received for _, received in rates),
        {kind: count / MEASURED for kind, count in _count(base / "frames").items()},
        tuple(usage.resident for usage in usages if usage is not None),
        cpu[0],
    )


def _wait_known(by: Machine, machine: Machine) -> None:
    node = control(machine, "status")["node_id"]
    known = lambda: any(p["node_id"] == node and p["state"] == "alive" for p in control(by, "peers")["peers"])  # noqa: E731
    wait_until(known, JOIN, 0.02)


def _counters(machine: Machine) -> tuple[int, int]:
    """Bytes that its interface has sent and received."""
    names = [f"/sys/class/net/eth0/statistics/{name}_bytes" for name in ("tx", "rx")]
    with Child(machine.host.command("cat", *names), directory=ROOT, environ={}, deadline=20.0) as child:
        sent, received = map(int, child.finish().split())
    return sent, received


def _difference(before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int]:
    return after[0] - before[0], after[1] - before[1]


def _count(file: Path) -> Counter[str]:
    """Bytes of frames by what they carry."""
    data, at = file.read_bytes(), 0
    found: Counter[str] = Counter()
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        found[_kind(data[at + 4 : at + 4 + size])] += size
        at += 4 + size
    return found


def _kind(frame: bytes) -> str:
    if len(frame) < 34 or frame[12:14] != b"\x08\x00":
        return "other"
    start = 14 + 4 * (frame[14] & 15)
    if frame[23] == 6:
        return "links"
    if frame[23] == 17 and len(frame) >= start + 4:
        ports = struct.unpack_from(">HH", frame, start)
        return "mDNS" if _MDNS_PORT in ports else "membership"
    return "other"


def table(found: Quiet) -> list[tuple[str, ...]]:
    """Cells, a head first."""
    both = [sent + received for sent, received in zip(found.sent, found.received, strict=True)]
    if not found.memory:
        raise BenchFailed("no /proc here")
    return [
        ("what", "median", "worst", "to reach"),
        ("join seen", f"{median(found.joins):.2f} s", f"{max(found.joins):.2f} s", f"{JOIN_REACH:.0f} s"),
        ("sent, idle", f"{median(found.sent):.0f} B/s", f"{max(found.sent):.0f} B/s", f"{TRAFFIC_REACH:.0f} B/s"),
        ("sent and received", f"{median(both):.0f} B/s", f"{max(both):.0f} B/s", ""),
        *((f"  {kind}", f"{rate:.0f} B/s", "", "") for kind, rate in sorted(found.kinds.items())),
        (
            "memory",
            f"{median(found.memory) / 1e6:.0f} MB",
            f"{max(found.memory) / 1e6:.0f} MB",
            f"{MEMORY_REACH / 1e6:.0f} MB",
        ),
    ]
