"""What a person is told of a mesh: who is there, and what went to them and came from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2pmods.identity.records import SignedRecord
    from p2pmods.mesh.mesh import Mesh
    from p2pmods.mesh.statistics import PeerStatistics
    from p2pmods.mesh.tallies import Tally


def peer_reports(mesh: Mesh) -> list[dict[str, Any]]:
    """Those to whom there is a link, and other directors: `node_id`, `address`, `state`, `swarm`, `rtt_ms` (None
    without a link), `linked`, `given` and `received` {`files`, `bytes`}, both since the start."""
    links = {peer.node_id: peer for peer in mesh.links.statistics().peers}
    members = mesh.members.machine.members()
    nodes = (links.keys() | members.keys()) - {mesh.node_id}
    return [_peer_report(mesh, node, links.get(node), members.get(node)) for node in sorted(nodes)]


def _peer_report(mesh: Mesh, node: str, link: PeerStatistics | None, record: SignedRecord | None) -> dict[str, Any]:
    return {
        "node_id": node,
        "address": _address(link, record),
        "state": _state(mesh, node),
        "swarm": mesh.swarm.name,
        "rtt_ms": None if link is None or link.round_trip is None else round(link.round_trip * 1e3, 2),
        "linked": link is not None,
        "given": _tally(mesh.giving.by_peer.of(node)),
        "received": _tally(mesh.receiving.by_peer.of(node) + mesh.peers.small_by_peer.of(node)),
    }


def _address(link: PeerStatistics | None, record: SignedRecord | None) -> str | None:
    """Where it says that it can be reached, else from where it came."""
    if record is not None and record.record.endpoints:
        return str(record.record.endpoints[0])
    return link.host if link is not None else None


def _state(mesh: Mesh, node: str) -> str:
    state = mesh.members.machine.state_of(node)
    if state is not None:
        return state.name.lower()
    return "leaf" if mesh.standing.is_director else "linked"


def mesh_report(mesh: Mesh) -> dict[str, Any]:
    """The mesh itself: `swarm`, `database`, `state` (`on`, `paused`), `problem` (None), `role` (`director`, `leaf`),
    `mdns`, `reluctance` (why nothing is given at the moment, though not paused; None), `upload_limit` (bytes a
    second, None), `offered` (files), `given`, `given_now` (bodies on their way), `received`, and `claims`: how often
    a zip was had in which way (claims.OUTCOMES); these three since the start."""
    given = mesh.giving.statistics()
    return {
        "state": "paused" if mesh.policy.paused else "on",
        "problem": None,
        "swarm": mesh.swarm.name,
        "database": mesh.policy.database,
        "role": "director" if mesh.standing.is_director else "leaf",
        "mdns": mesh.has_mdns,
        "reluctance": mesh.policy.reluctance,
        "upload_limit": mesh.giving.uploads.rate,
        "offered": len(mesh.offers.offered()),
        "given": {"files": given.files, "bytes": given.bytes},
        "given_now": given.now,
        "received": _tally(mesh.receiving.by_peer.total + mesh.peers.small_by_peer.total),
        "claims": dict(mesh.claiming.outcomes),
    }


def _tally(tally: Tally) -> dict[str, int]:
    return {"files": tally.files, "bytes": tally.bytes}
