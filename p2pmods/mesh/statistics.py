"""What a node's links have done and do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.mesh.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatistics:
    """One link. Counts since it was made; `round_trip` in seconds, None until it is measured."""

    node_id: str
    host: str
    is_dialler: bool  # this node dialled
    round_trip: float | None
    sent: int  # bytes on the network
    received: int
    asked: int  # requests of this node
    answered: int  # requests and notices of the peer

    @classmethod
    def of(cls, link: Link) -> PeerStatistics:
        asked, answered = link.traffic
        return cls(
            node_id=link.peer,
            host=link.host,
            is_dialler=link.is_dialler,
            round_trip=link.mux.round_trip,
            sent=link.socket.sent,
            received=link.socket.received,
            asked=asked,
            answered=answered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksStatistics:
    """All links. `links`, `half_open`, `held` and `peers` are of this moment, the rest counts since the start."""

    links: int
    half_open: int  # accepted, and not yet shown to be a peer's
    dialled: int
    accepted: int
    turned_away: int  # no room
    failed: int  # ended before they were links
    held: int  # bytes of bodies promised or received, of the node's budget
    peers: tuple[PeerStatistics, ...]
