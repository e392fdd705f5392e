"""Who is let in: bounds on connections that others open, by address and in all."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.mesh.limits import LinkLimits
    from p2pmods.mesh.link import Link


class Door:
    """Keeps count of the accepted links. `make_room` gives up an idle link of the node, or returns False."""

    def __init__(self, limits: LinkLimits, make_room: Callable[[], bool]) -> None:
        self._limits = limits
        self._make_room = make_room
        self._half_open: dict[Link, str] = {}  # with where from; the oldest first
        self._links = Counter[str]()  # by where from, half-open ones too
        self._waiting = Counter[str]()  # of them the half-open ones

    @property
    def half_open(self) -> int:
        return len(self._half_open)

    def has_room(self, host: str, links: int) -> bool:
        """Another connection from `host` may come in, beside the `links` that there are."""
        where = block_of(host)
        if self._links[where] >= self._limits.links_per_address:
            return False
        if self._waiting[where] >= self._limits.half_open_per_address:
            return False
        return links < self._limits.links or self._make_room()

    def enter(self, link: Link) -> None:
        """A connection was accepted. The oldest of those that have not shown who they are may have to go for it."""
        where = block_of(link.host)
        self._links[where] += 1
        self._waiting[where] += 1
        self._half_open[link] = where
        if len(self._half_open) > self._limits.half_open:
            oldest = next(iter(self._half_open))
            self.opened(oldest)
            oldest.end("too many connections that say nothing")

    def opened(self, link: Link) -> None:
        """It is a peer, or it is over."""
        where = self._half_open.pop(link, None)
        if where is not None:
            _less(self._waiting, where)

    def left(self, link: Link) -> None:
        """An accepted link is over."""
        self.opened(link)
        _less(self._links, block_of(link.host))


def _less(counter: Counter[str], where: str) -> None:
    counter[where] -= 1
    if counter[where] <= 0:
        del counter[where]


def block_of(host: str) -> str:
    """What one party has of addresses: one of IPv4, a /64 of IPv6."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
