"""`p2pmods peers`, `offered`, `pause` and `resume`: the mesh of the running node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.client import find_node
from p2pmods.cli.context import data_directory
from p2pmods.cli.meshtext import ALONE, living, reach, short
from p2pmods.cli.output import plural, say, say_json, size, table
from p2pmods.errors import UserError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.cli.client import RunningNode

NO_NODE: Final = "no node runs"


def peers(data: Path | None, *, as_json: bool) -> None:
    """Print who is there. Never starts a node."""
    node = find_node(data_directory(data))
    nothing = {"mesh": {"state": "off", "problem": NO_NODE}, "peers": []}
    report = nothing if node is None else node.get("peers")
    if as_json:
        say_json(report)
        return
    for line in human_peers(report, node.peer if node is not None else None):
        say(line)


def human_peers(report: dict[str, Any], own: str | None) -> list[str]:
    """`report` for a person. `own`: the address of this node."""
    mesh, found = report["mesh"], report["peers"]
    if mesh["state"] == "off":
        hint = ": p2pmods up starts one" if mesh["problem"] == NO_NODE else ""
        return [f"no mesh: {printable(mesh['problem'])}{hint}"]
    place = f"swarm {printable(mesh['swarm'])}, this node at {printable(own or 'no address')}"
    lines = [f"{place}: {reach(mesh)}"]
    if mesh["state"] == "paused":
        lines.append("paused: nothing is given or offered until p2pmods resume")
    elif mesh.get("reluctance"):
        lines.append(f"nothing is given or offered now: {printable(mesh['reluctance'])}")
    if not found:
        return [*lines, ALONE if mesh["mdns"] else f"{ALONE}; mDNS is off here"]
    head = ("node", "state", "address", "round trip", "given", "received")
    ordered = sorted(found, key=lambda peer: (peer not in living(found), peer["rtt_ms"] is None, peer["rtt_ms"]))
    return [*lines, "", *table([head, *map(_peer_row, ordered)])]


def _peer_row(peer: dict[str, Any]) -> tuple[str, ...]:
    return (
        short(peer["node_id"]),
        printable(peer["state"]),
        printable(peer["address"] or "-"),
        "-" if peer["rtt_ms"] is None else f"{peer['rtt_ms']:.1f} ms",
        _counts(peer["given"]),
        _counts(peer["received"]),
    )


def _counts(counts: dict[str, int]) -> str:
    return f"{plural(counts['files'], 'file')}, {size(counts['bytes'])}" if counts["bytes"] else "-"


def offered(data: Path | None, *, as_json: bool) -> None:
    """Print what peers can get from the running node. UserError when none runs."""
    report = _running(data).get("offered")
    if as_json:
        say_json(report)
        return
    for line in human_offered(report):
        say(line)


def human_offered(report: dict[str, Any]) -> list[str]:
    """A line for each module version with its kinds and bytes, then the sum; or why there is nothing."""
    mesh, files = report["mesh"], report["files"]
    if mesh["state"] == "off":
        return [f"nothing is offered: no mesh: {printable(mesh['problem'] or '')}"]
    if mesh["state"] == "paused":
        return ["nothing is offered: paused until p2pmods resume"]
    if mesh.get("reluctance"):
        return [f"nothing is offered now: {printable(mesh['reluctance'])}"]
    if not files:
        return [f"nothing is offered yet: nothing that is held here has a proof of {printable(mesh['database'])}"]
    kinds: dict[tuple[str, str], list[str]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for file in files:
        module = (file["module"], file["version"])
        kinds.setdefault(module, []).append(file["kind"])
        sizes[module] = sizes.get(module, 0) + file["bytes"]
    rows = [(printable("@".join(module)), " ".join(names), size(sizes[module])) for module, names in kinds.items()]
    proof = f"each proven by {printable(mesh['database'])}"
    return [*table(rows), f"{plural(len(files), 'file')}, {size(report['bytes'])}, {proof}"]


def pause(data: Path | None, *, paused: bool, as_json: bool) -> None:
    """Stop or go on giving. UserError when no node runs, or one without a mesh."""
    mesh = _running(data).post("pause", {"paused": paused})["mesh"]
    if mesh["state"] == "off":
        raise UserError(f"there is nothing to pause: no mesh: {printable(mesh['problem'] or '')}")
    if as_json:
        say_json({"mesh": mesh})
    elif paused:
        say("paused: nothing is given or offered until p2pmods resume, or until the node is started again;")
        say("this node goes on asking the others")
    else:
        say("resumed: what the checksum database proves is offered and given again")


def _running(data: Path | None) -> RunningNode:
    node = find_node(data_directory(data))
    if node is None:
        raise UserError("no node runs: p2pmods up starts one")
    return node
