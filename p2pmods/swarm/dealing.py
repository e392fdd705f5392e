"""Who is told first of the pieces that arrive at a fetcher: each goes to one follower, and the others get it there.

A machine without I/O for one object. While its own link is what limits the room, a fetcher that sends no piece twice
is as fast as can be. So a piece is dealt to one follower, and shown to the others only once a second one holds it
and nothing waits here; one that its receiver keeps to itself is dealt again.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

HAND: Final = 8  # pieces dealt to a follower that have not gone to it
LATE: Final = 4.0  # seconds without taking one of them, after which they are dealt to others too
BUSY: Final = 1.0  # seconds that a piece waits when this node has more to give than it can
SPREAD: Final = 3.0  # seconds in which whoever got a piece passes it on
PASSED_OVER: Final = 12  # pieces that a follower takes instead of one in its hand, which is then for others, too
_ROUNDS: Final = 2  # pieces to every follower, in which each that asks has its turn


@dataclass(slots=True)
class _Dealt:
    at: float
    passed_over: int = 0  # pieces that its follower took since


@dataclass(slots=True)
class _Follower:
    has: int = 0
    shown: int = 0
    hand: dict[int, _Dealt] = field(default_factory=dict)
    last: float = -math.inf  # when it was dealt one into an empty hand, or took one
    gone_before: int = 0  # how many had gone to anybody then
    is_late: bool = False  # what is in its hand was dealt again


class Dealing:
    """Of a list that grows. Followers are known by their node ids."""

    def __init__(self) -> None:
        self._followers: dict[str, _Follower] = {}
        self._pool: deque[int] = deque()  # to be dealt
        self._pooled = 0  # the same as a set
        self._fresh: dict[
            int, float
        ] = {}  # pieces that are with somebody, and since when, until they should be with more
        self._ripe = 0  # that several hold
        self._open = 0  # that everybody may know of
        self._known = 0
        self._gone = 0  # how many went to somebody
        self._last_gone = -math.inf

    def grew(self, known: int, *, now: float) -> None:
        """The first `known` pieces are here."""
        self._to_be_dealt(range(self._known, known))
        self._known = known
        self.advance(now=now)

    def joined(self, node: str, *, now: float) -> None:
        """One more wants them."""
        self._followers.setdefault(node, _Follower())
        self.advance(now=now)

    def left(self, node: str, *, now: float) -> None:
        """What is with nobody now is dealt again."""
        follower = self._followers.pop(node, None)
        if follower is None:
            return
        held = reduce(or_, [one.has for one in self._followers.values()], 0)
        lost = [piece for piece in self._fresh if not held >> piece & 1]
        for piece in lost:
            del self._fresh[piece]
        self._to_be_dealt([*lost, *([] if follower.is_late else follower.hand)], first=True)
        self.advance(now=now)

    def holds(self, node: str, pieces: int, *, now: float) -> None:
        """It says that it has these, from wherever."""
        follower = self._followers.get(node)
        if follower is None or not pieces & ~follower.has:
            return
        follower.has |= pieces
        for piece in [piece for piece in follower.hand if pieces >> piece & 1]:
            del follower.hand[piece]
            self._fresh.setdefault(piece, now)
        self.advance(now=now)

    def sent(self, node: str, piece: int, *, now: float) -> None:
        """One went to this follower."""
        self._gone += 1
        self._last_gone = now
        follower = self._followers.get(node)
        if follower is not None:
            follower.last, follower.gone_before = now, self._gone
            if follower.is_late:
                follower.is_late = False
                follower.hand = {piece: _Dealt(now)} if piece in follower.hand else {}
            for dealt in follower.hand.values():
                dealt.passed_over += 1
            self.holds(node, 1 << piece, now=now)

    def shown_to(self, node: str) -> int:
        """What this follower may know of."""
        follower = self._followers.get(node)
        return self._open | (follower.shown if follower is not None else 0)

    def next_timer(self) -> float:
        """When to call `advance` though nothing has happened; math.inf for never."""
        moments = [
            max(min(one.last, *[dealt.at for dealt in one.hand.values()]) + LATE, self._last_gone + BUSY)
            for one in self._followers.values()
            if one.hand and not one.is_late
        ]
        if self._fresh:
            moments.append(next(iter(self._fresh.values())) + SPREAD)
        return min(moments, default=math.inf)

    def advance(self, *, now: float) -> None:
        """Deal what there is to deal, and open what may be opened."""
        for follower in self._followers.values():
            if self._became_late(follower, now):
                follower.is_late = True
                self._to_be_dealt(follower.hand, first=True)
            elif not follower.is_late:
                self._take_back(follower, now)
        self._see_who_passes_on(now)
        if self._ripe and not self._is_busy(now):
            self._open |= self._ripe
            self._ripe = 0
        self._deal(now)

    def _became_late(self, follower: _Follower, now: float) -> bool:
        """Whether it takes nothing, though it could: others had their turns, or nobody else wants one."""
        if not follower.hand or follower.is_late or now < follower.last + LATE:
            return False
        gone = self._gone - follower.gone_before
        return gone >= _ROUNDS * len(self._followers) or now >= self._last_gone + BUSY

    def _take_back(self, follower: _Follower, now: float) -> None:
        """What it leaves lying while it takes others, or could: whoever keeps one piece from all has hindered all."""
        is_idle = now >= self._last_gone + BUSY
        left = [
            piece
            for piece, dealt in follower.hand.items()
            if dealt.passed_over >= PASSED_OVER or (is_idle and now >= dealt.at + LATE)
        ]
        for piece in left:
            del follower.hand[piece]
        self._to_be_dealt(left, first=True)

    def _see_who_passes_on(self, now: float) -> None:
        while self._fresh:
            piece, since = next(iter(self._fresh.items()))
            if now < since + SPREAD:
                return
            del self._fresh[piece]
            if self._holders(piece) > 1:
                self._ripe |= 1 << piece
            else:
                self._to_be_dealt([piece])

    def _is_busy(self, now: float) -> bool:
        """Whether something that was dealt still waits to go."""
        return any(
            now >= dealt.at + BUSY
            for one in self._followers.values()
            if not one.is_late
            for dealt in one.hand.values()
        )

    def _to_be_dealt(self, pieces: Iterable[int], *, first: bool = False) -> None:
        """Put them at the end of the pool, or before all others."""
        fresh = list(pieces)
        if first:
            self._pool.extendleft(reversed(fresh))
        else:
            self._pool.extend(fresh)
        for piece in fresh:
            self._pooled |= 1 << piece

    def _deal(self, now: float) -> None:
        kept: list[int] = []
        due = self._due()
        while self._pooled & due:
            piece = self._pool.popleft()
            self._pooled &= ~(1 << piece)
            if piece in self._fresh:
                continue
            if not due >> piece & 1:
                kept.append(piece)
            elif self._holders(piece) > 1:
                self._fresh[piece] = now
            else:
                self._give(piece, now)
                due = self._due()
        self._to_be_dealt(kept, first=True)

    def _due(self) -> int:
        """Pieces with which something can be done now; a long pool is not gone through for nothing."""
        once, often, everybody, lacked = 0, 0, -1, 0
        punctual, lacked_late = -1, 0  # what all others than the late ones have seen, and what a late one has not
        for one in self._followers.values():
            seen = one.has | one.shown
            often |= once & one.has
            once |= one.has
            everybody &= seen
            not_dealt = ~seen if len(one.hand) < HAND else 0
            if one.is_late:
                lacked_late |= not_dealt
            else:
                punctual &= seen
                lacked |= not_dealt
        lacked |= lacked_late & punctual
        return often | everybody | lacked if lacked else 0

    def _give(self, piece: int, now: float) -> None:
        """Deal it to whoever of those without it has least in hand: what is due, one with a free hand lacks.

        A late one is dealt nothing, as what is in its hand was dealt again already: what only such lack is open.
        """
        followers = [one for one in self._followers.values() if not one.is_late]
        without = [one for one in followers if not (one.has | one.shown) >> piece & 1]
        if not without:
            self._open |= 1 << piece
            return
        follower = min(without, key=lambda one: len(one.hand))
        if not follower.hand:
            follower.last, follower.gone_before = now, self._gone
        follower.shown |= 1 << piece
        follower.hand[piece] = _Dealt(now)

    def _holders(self, piece: int) -> int:
        return sum(one.has >> piece & 1 for one in self._followers.values())
