"""How the mesh is told of to a person."""

from __future__ import annotations

from typing import Any, Final

from p2pmods.cli.output import plural, size
from p2pmods.errors import printable

SHORT: Final = 8  # characters of a node id: enough to tell a few thousand nodes apart
LIVING: Final = ("alive", "suspect", "leaf", "linked")
ALONE: Final = "no other node is there: one on this network is found by mDNS, any other with --peer HOST:PORT"
SHARED: Final = (
    "asked: whatever no private pattern matches",
    "offered: only what the checksum database proves",
)


def short(node_id: str) -> str:
    """The beginning of a node id, as it is shown."""
    return printable(node_id[:SHORT])


def living(peers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the peers that are there."""
    return [peer for peer in peers if peer["state"] in LIVING]


def mesh_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Of `status`: the swarm, who is there, and where they find this node; or why there is no mesh."""
    mesh = report["mesh"]
    if mesh["state"] == "off":
        return [("mesh", f"off: {printable(mesh['problem'] or '')}")]
    rows = [
        (
            "swarm",
            f"{printable(mesh['swarm'])}{', paused: nothing is given or offered' * (mesh['state'] == 'paused')}",
        ),
        ("peers", peers_text(report["peers"])),
        ("found at", f"{printable(report['peer'] or 'nowhere')} ({reach(mesh)})"),
        ("offered", f"{plural(mesh['offered'], 'file')} (p2pmods offered)"),
    ]
    if mesh.get("reluctance"):
        rows.append(("gives", f"nothing now: {printable(mesh['reluctance'])}"))
    if seed := mesh.get("seed"):
        rows.append(("seed", seed_text(seed)))
    received = mesh["received"]
    return [*rows, ("received", f"{plural(received['files'], 'file')}, {size(received['bytes'])} since the start")]


def seed_text(seed: dict[str, Any]) -> str:
    """What a seed has done and has to do, and why it does nothing at the moment."""
    problem = f"; copies nothing now: {printable(seed['problem'])}" if seed["problem"] else ""
    return f"{plural(seed['copied'], 'module')} copied, {seed['waiting']:,} waiting{problem}"


def peers_text(peers: list[dict[str, Any]]) -> str:
    """How many are there, and the nearest few."""
    there = living(peers)
    if not there:
        return ALONE
    gone = len(peers) - len(there)
    return f"{len(there)} there{f', {gone} gone' * bool(gone)} (p2pmods peers)"


def reach(mesh: dict[str, Any]) -> str:
    """Whether others reach this node."""
    if mesh["role"] == "director":
        return "another node has reached it there"
    return "no other node has reached it there yet: it gives and asks over connections that it makes"
