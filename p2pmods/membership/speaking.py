"""Pings, answers and gossip, with as much news as each may carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.membership.actions import Datagram
from p2pmods.membership.chance import sample
from p2pmods.membership.messages import MAX_PADDING, NONCE_SIZE, Ack, Gossip, News, Ping
from p2pmods.membership.rumours import Rumours, fill
from p2pmods.membership.timing import GOSSIP_FANOUT, transmissions
from p2pmods.wire.codec import encode
from p2pmods.wire.seal import MAX_PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.membership.actions import Address
    from p2pmods.membership.core import Core
    from p2pmods.membership.rumours import Item

FIRST_CONTACT: Final = 700  # bytes of a first ping, so that the answer can bring a few records
_ROOM_FOR_COUNTS: Final = 8  # a list of more than 15, a padding of more than 255: a few bytes more of msgpack
_NOTHING: Final = News()
_NO_RUMOURS: Final = Rumours()


class Speaker:
    """Makes messages and puts them into the core's post."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def send(self, message: object, to: Address) -> None:
        self._core.datagrams.append(Datagram(self._core.seal(encode(message)), to))

    def ping(self, target: bytes, first: Iterable[Item] = (), *, rumours: bool) -> Ping:
        """With a new nonce. `target` is told first why it is suspected, or held dead, so that it can refute."""
        core = self._core
        bare = Ping(core.entropy.randbytes(NONCE_SIZE), core.own.public_key, target, core.table.digest(), _NOTHING)
        room = MAX_PLAIN - len(encode(bare)) - _ROOM_FOR_COUNTS
        return bare.carrying(self._news(room, [*self.charges(target), *first], rumours=rumours))

    def first_ping(self, target: bytes) -> Ping:
        """For one who may not know us: with our own record, and padding, which says so.

        Where we have an address only, there is room for an answer that brings records.
        """
        own = self._core.table.own
        ping = self.ping(target, [own.raw] if own else [], rumours=False)
        missing = 1 if target else FIRST_CONTACT - len(encode(ping))
        return ping.carrying(ping.news, bytes(min(max(missing, 1), MAX_PADDING)))

    def ack(self, ping: Ping, first: Iterable[Item], limit: int) -> Ack:
        """Of at most `limit` bytes, if that is at least what an answer without news takes."""
        core = self._core
        own, digest = core.own.public_key, core.table.digest()
        room = min(limit, MAX_PLAIN) - len(encode(Ack(ping.nonce, own, digest, _NOTHING))) - _ROOM_FOR_COUNTS
        news = self._news(room, [*first, *self.charges(ping.sender)], rumours=True)
        return Ack(ping.nonce, own, digest, news)

    def gossip(self, addresses: list[Address]) -> None:
        """To a few of them, or to none when there is nothing to tell."""
        room = MAX_PLAIN - len(encode(Gossip(_NOTHING))) - _ROOM_FOR_COUNTS
        for address in sample(self._core.entropy, addresses, GOSSIP_FANOUT):
            news = self._news(room, (), rumours=True)
            if news != _NOTHING:
                self.send(Gossip(news), address)

    def charges(self, node: bytes) -> tuple[Item, ...]:
        """Why the node is suspected or held dead here: one accusation is enough for it to refute.

        Of one that is dead its record as well: in another session than that it is outbid by it, and not accused.
        """
        member, gone = self._core.table.members.get(node), self._core.table.gone.get(node)
        if member is not None and member.suspicion is not None:
            return tuple(member.suspicion.accusations.values())[:1]
        return (gone.record.raw, *gone.accusations[:1]) if gone is not None else ()

    def _news(self, room: int, first: Iterable[Item], *, rumours: bool) -> News:
        core = self._core
        told = core.rumours if rumours else _NO_RUMOURS
        return fill(room, first, told, transmissions(len(core.table)))
