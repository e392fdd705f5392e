"""Which piece to ask of whom: rare ones first, of whoever has least to do for us, and late ones of others as well.

A machine without I/O for one object at one node. It knows neighbours by their node ids; what they have they say
themselves, and what they send is verified by its driver against the object's list before it is `arrived`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from p2pmods.swarm.bits import first_bits, run_length, some_piece, span
from p2pmods.swarm.pieces import MAX_SPAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.wire.entropy import Entropy

REQUESTS: Final = 3  # under way at one neighbour
PIECES_UNDER_WAY: Final = 128  # of one object: 8 MiB
LATE: Final = (
    2.0  # seconds without a piece after which what a request is still to bring is asked of somebody else too
)
LATE_AT_THE_END: Final = 0.25  # the same once nothing else is left to ask for
REST: Final = 0.5  # seconds until one who is busy is asked again
_ALIKE: Final = 6  # neighbours that have a piece, from which on it is no rarity
_SHARES: Final = 4  # requests that what a neighbour can give is spread over


@dataclass(frozen=True, slots=True)
class Request:
    """Ask `node` for `count` pieces from `first` on."""

    node: str
    first: int
    count: int


@dataclass(slots=True)
class _UnderWay:
    request: Request
    missing: int  # pieces that have not come
    last: float  # when it was made, or brought a piece


@dataclass(slots=True)
class _Neighbour:
    has: int = 0
    under_way: list[_UnderWay] = field(default_factory=list)
    rests_until: float = -math.inf
    pieces: int = 0  # that it gave

    @property
    def asked(self) -> int:
        bits = 0
        for one in self.under_way:
            bits |= one.missing
        return bits

    def is_late(self, now: float) -> bool:
        return any(now >= one.last + LATE for one in self.under_way)


class Download:
    """`have` are the pieces that are here, `known` how many pieces the list has so far."""

    def __init__(self, entropy: Entropy) -> None:
        self.have = 0
        self.known = 0
        self.is_list_complete = False
        self._entropy = entropy
        self._neighbours: dict[str, _Neighbour] = {}

    @property
    def is_complete(self) -> bool:
        """Whether all pieces are here."""
        return self.is_list_complete and not self.wanted

    @property
    def wanted(self) -> int:
        """Pieces whose hash is known and that are not here."""
        return first_bits(self.known) & ~self.have

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, and nobody has what is wanted."""
        wanted = self.wanted
        return not any(one.under_way or one.has & wanted for one in self._neighbours.values())

    def joined(self, node: str) -> None:
        """A neighbour, of whom nothing is known yet."""
        self._neighbours.setdefault(node, _Neighbour())

    def left(self, node: str) -> None:
        """It is asked for nothing more; its requests count as over."""
        self._neighbours.pop(node, None)

    def has(self, node: str, pieces: int) -> None:
        """It has these pieces as well."""
        neighbour = self._neighbours.get(node)
        if neighbour is not None:
            neighbour.has |= pieces

    def arrived(self, node: str, piece: int, *, now: float) -> list[Request]:
        """A right piece came from `node`. The requests of others that are of no use any more."""
        self.have |= 1 << piece
        useless: list[Request] = []
        for name, neighbour in self._neighbours.items():
            neighbour.pieces += name == node
            for one in neighbour.under_way:
                if one.missing >> piece & 1:
                    one.missing ^= 1 << piece
                    if name == node:
                        one.last = now
                    elif not one.missing:
                        useless.append(one.request)
        return useless

    def ended(self, request: Request) -> None:
        """It is over, whatever it brought."""
        neighbour = self._neighbours.get(request.node)
        if neighbour is not None:
            neighbour.under_way = [one for one in neighbour.under_way if one.request is not request]

    def busy(self, node: str, *, now: float) -> None:
        """It gives to others: ask it again a little later."""
        neighbour = self._neighbours.get(node)
        if neighbour is not None:
            neighbour.rests_until = now + REST

    def next(self, *, now: float) -> list[Request]:
        """What to ask for now."""
        requests: list[Request] = []
        while (request := self._one_more(now)) is not None:
            requests.append(request)
            missing = span(request.first, request.count) & self.wanted
            self._neighbours[request.node].under_way.append(_UnderWay(request, missing, now))
        return requests

    def next_timer(self, *, now: float) -> float:
        """When to call `next` though nothing has happened; math.inf when that changes nothing."""
        if not self.wanted:
            return math.inf
        late = LATE_AT_THE_END if self._is_end() else LATE
        moments = [one.last + late for neighbour in self._neighbours.values() for one in neighbour.under_way]
        moments += [neighbour.rests_until for neighbour in self._neighbours.values()]
        return min((moment for moment in moments if moment > now), default=math.inf)

    def givers(self) -> list[str]:
        """Neighbours that gave pieces and are still there, who gave most first."""
        gave = [(neighbour.pieces, node) for node, neighbour in self._neighbours.items() if neighbour.pieces]
        return [node for _, node in sorted(gave, reverse=True)]

    def _one_more(self, now: float) -> Request | None:
        wanted = self.wanted
        under_way = sum(neighbour.asked.bit_count() for neighbour in self._neighbours.values())
        if not wanted or under_way >= PIECES_UNDER_WAY:
            return None
        free = self._free()
        late = self._late(wanted, now) if not free or self._any_late(now) else 0
        for node, neighbour in self._by_load(now):
            candidates = neighbour.has & free or neighbour.has & late & ~neighbour.asked
            if candidates:
                return self._choose(node, neighbour, candidates)
        return None

    def _choose(self, node: str, neighbour: _Neighbour, candidates: int) -> Request:
        first = self._rare(candidates)
        able = max(1, sum(bool(other.has & candidates) for other in self._neighbours.values()))
        share = -(-candidates.bit_count() // (_SHARES * able))
        return Request(node, first, run_length(candidates, first, max(1, min(MAX_SPAN, share))))

    def _rare(self, candidates: int) -> int:
        """One of those that fewest neighbours have; beyond a few of them all are alike."""
        more_than = [0] * _ALIKE  # pieces that more than 0, 1, … neighbours have
        for neighbour in self._neighbours.values():
            for count in range(_ALIKE - 1, 0, -1):
                more_than[count] |= more_than[count - 1] & neighbour.has
            more_than[0] |= neighbour.has
        rare = next((found for common in more_than if (found := candidates & ~common)), candidates)
        return some_piece(rare, self._entropy)

    def _by_load(self, now: float) -> Iterable[tuple[str, _Neighbour]]:
        """Those who can be asked, who has least to do for us first, and then who gave most."""
        able = [
            (node, neighbour)
            for node, neighbour in self._neighbours.items()
            if len(neighbour.under_way) < REQUESTS and now >= neighbour.rests_until and not neighbour.is_late(now)
        ]
        able.sort(key=lambda item: (len(item[1].under_way), -item[1].pieces))
        return able

    def _any_late(self, now: float) -> bool:
        return any(neighbour.is_late(now) for neighbour in self._neighbours.values())

    def _is_end(self) -> bool:
        """Whether everything that is left is being asked for already."""
        return self.is_list_complete and not self._free()

    def _free(self) -> int:
        """Wanted pieces that nobody is asked for."""
        free = self.wanted
        for neighbour in self._neighbours.values():
            free &= ~neighbour.asked
        return free

    def _late(self, wanted: int, now: float) -> int:
        """Wanted pieces that somebody is late with, and that not too many are asked for."""
        patience = LATE_AT_THE_END if self._is_end() else LATE
        late, once, often = 0, 0, 0
        for neighbour in self._neighbours.values():
            for one in neighbour.under_way:
                late |= one.missing if now >= one.last + patience else 0
                often |= once & one.missing
                once |= one.missing
        return late & wanted & ~often
