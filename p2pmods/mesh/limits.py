"""The bounds and deadlines of a node's links. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p2pmods.swarm.messages import GetFile

HELD_FLOOR: Final = 64 << 10  # bytes a second of what a peer holds, and
GROWING_FLOOR: Final = 4 << 10  # of what it still receives itself: many may share a slow line to the upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Every default is for a node in a network of strangers; tests pass smaller ones."""

    links: int = 512  # of all peers, half-open ones too
    links_per_address: int = 64  # that were dialled from there (of IPv6: from a /64)
    half_open: int = 64  # that have not yet proved to be peers; a newcomer takes the place of the oldest
    half_open_per_address: int = 16
    handlers: int = 128  # under way for one peer at once, notices among them
    handshake: float = 5.0  # from the connection to the other side's preface
    dial: float = 8.0  # from the first address to a link, whoever waits for it
    stall: float = 60.0  # that the other side may take nothing of what is sent
    linger: float = 2.0  # from our last byte to the other side's
    idle: float = 300.0  # without a request, unless the link is pinned
    tick: float = 10.0  # how often idle links are looked for
    accept_pause: float = 0.1  # when the process is out of file descriptors


def floor_of(wanted: GetFile) -> int:
    """How slow the answer may be, in bytes a second."""
    return HELD_FLOOR if wanted.token is None else GROWING_FLOOR
