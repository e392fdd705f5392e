"""The tree heads that other nodes hold: compared with ours, and connected with it while there is an upstream.

Two nodes that met online can then help each other offline: whoever has the newer head holds what leads there from the
older one. And a database that shows them two histories is found out.

Only the database can sign a head, but it signed very many, and a peer may name any of them. So what heads of peers
may cost is bounded: each peer gets one turn a minute, and all together have an allowance. No list of them is kept.
What stays of an older head is the full tiles above its last record, which are good for every later head too.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData, PeerError, SourceError, SumdbError, SumdbSecurityError
from p2pmods.sumdb.note import trim_note
from p2pmods.sumdb.tlog import open_head

if TYPE_CHECKING:
    from p2pmods.fetch.checksum_heads import Heads
    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.fetch.checksum_sources import Sources
    from p2pmods.sumdb.note import Verifier
    from p2pmods.sumdb.tlog import Head

MAX_JOINS: Final = 64  # older heads of peers connected at once, each with some tiles of 8 KiB
JOIN_EVERY: Final = 900.0  # seconds until one more may be
MAX_ADVANCES: Final = 16  # newer heads of peers that S goes to at once
ADVANCE_EVERY: Final = 600.0
TURN: Final = 60.0  # seconds between two heads of one peer that cost something
MAX_TURNS: Final = 1024  # peers whose last turn is remembered
MAX_WAITING: Final = 8  # heads that wait for their turn


class PeerHead(StrEnum):
    """What came of a peer's head."""

    KNOWN = "known"  # a node with this head can be led to ours already
    JOINED = "joined"  # it can from now on
    ADVANCED = "advanced"  # ours is that one now
    LATER = "later"  # no upstream or too many heads just now: tell again in some minutes
    FROZEN = "frozen"  # the database contradicts itself; the alarm was raised, now or before


@dataclass(slots=True)
class Allowance:
    """At most `most` at once, and one more for every `every` seconds."""

    most: int
    every: float
    left: float = 0.0
    counted: float = -math.inf

    def is_left(self, *, now: float) -> bool:
        self.left = min(float(self.most), self.left + (now - self.counted) / self.every)
        self.counted = now
        return self.left >= 1

    def take(self) -> None:
        self.left -= 1


class PeerHeads:
    """Takes the heads of peers, one after the other."""

    def __init__(self, verifier: Verifier, log: CheckedLog, heads: Heads, sources: Sources) -> None:
        self._verifier = verifier
        self._log = log
        self._heads = heads
        self._sources = sources
        self._working = trio.Lock()
        self._joins = Allowance(MAX_JOINS, JOIN_EVERY)
        self._advances = Allowance(MAX_ADVANCES, ADVANCE_EVERY)
        self._turns: OrderedDict[str, float] = OrderedDict()

    async def note(self, note: bytes, node_id: str) -> PeerHead:
        """The peer holds the head `note`. PeerError when the database did not sign it."""
        if self._log.alarm is not None:
            return PeerHead.FROZEN
        try:
            head = open_head(trim_note(note, self._verifier), self._verifier)
        except MalformedData as error:
            raise PeerError(node_id, f"holds a tree head that is none: {error}") from error
        try:
            return await self._meet(head, node_id)
        except SumdbSecurityError:
            return PeerHead.FROZEN
        except (SourceError, SumdbError):
            return PeerHead.LATER

    async def _meet(self, head: Head, node_id: str) -> PeerHead:
        await self._heads.need()
        self._log.compare(head)
        if self._is_known(head):
            return PeerHead.KNOWN
        if self._working.statistics().tasks_waiting >= MAX_WAITING:
            return PeerHead.LATER
        async with self._working:
            if self._is_known(head):
                return PeerHead.KNOWN
            is_newer = self._is_newer(head)
            allowance = self._advances if is_newer else self._joins
            if not self._is_turn(node_id) or not allowance.is_left(now=trio.current_time()):
                return PeerHead.LATER
            outcome = await (self._advance(head) if is_newer else self._join(head))
            allowance.take()
            self._turn_taken(node_id)
            return outcome

    async def _join(self, head: Head) -> PeerHead:
        await self._sources.with_upstream(partial(self._log.join, head))
        return PeerHead.JOINED

    async def _advance(self, head: Head) -> PeerHead:
        try:
            await self._sources.with_upstream(partial(self._log.merge, head))
        except SumdbSecurityError:
            raise
        except SumdbError:
            # The tiles of the upstream are not those of this signed head: its newest head will tell why.
            await self._sources.with_upstream(self._heads.refresh)
            return PeerHead.LATER if self._is_newer(head) else await self._join(head)
        return PeerHead.ADVANCED

    def _is_newer(self, head: Head) -> bool:
        return self._log.head is None or head.size > self._log.head.size

    def _is_known(self, head: Head) -> bool:
        return not self._is_newer(head) and self._log.joins(head)

    def _is_turn(self, node_id: str) -> bool:
        return trio.current_time() - self._turns.get(node_id, -math.inf) >= TURN

    def _turn_taken(self, node_id: str) -> None:
        self._turns[node_id] = trio.current_time()
        self._turns.move_to_end(node_id)
        if len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)
