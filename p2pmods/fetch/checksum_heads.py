"""Which signed tree head a node holds, and when it moves: as seldom as it can, and never without the tiles."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData, NotFound, SourceError, SumdbError, SumdbSecurityError, Unavailable
from p2pmods.fetch.checksum_remote import Here
from p2pmods.fetch.sharing import Sharing
from p2pmods.sumdb.tiles import right_edge, width_in
from p2pmods.sumdb.tlog import Head, open_head

if TYPE_CHECKING:
    from p2pmods.fetch.checksum_clients import LocalClients
    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.fetch.checksum_remote import LogSource
    from p2pmods.fetch.checksum_sources import Sources
    from p2pmods.sumdb.note import Verifier
    from p2pmods.sumdb.tiles import Tile

FRESH: Final = 5.0  # seconds for which the same question is not asked again on behalf of tiles that do not exist
_FAILURES: Final = (SourceError, SumdbError)


class Heads:
    """Finds the first head, follows the local clients' heads, and goes to a newer one when a record demands it."""

    def __init__(
        self,
        verifier: Verifier,
        log: CheckedLog,
        sources: Sources,
        clients: LocalClients,
        *,
        nursery: trio.Nursery,
    ) -> None:
        self._verifier = verifier
        self._log = log
        self._sources = sources
        self._here = Here(verifier.name)
        self._clients = clients
        self._sharing: Sharing[None] = Sharing(nursery, _FAILURES)
        self._covering = trio.Lock()
        self._refreshed = -math.inf
        self._tried: tuple[bytes, float] = (b"", -math.inf)
        self.problem: str | None = None

    async def need(self) -> Head:
        """S, with its right edge held. When there is none yet: a local client's, else the database's newest."""
        if self._log.head is None:
            await self._sharing.get("first", self._find_first)
        head = self._log.head
        assert head is not None
        for tile in right_edge(head.size)[:1]:  # the edge is proven as one
            await self._sources.use(partial(self._log.tile, tile.position))
        return head

    async def cover(self, record: int, head: Head, source: LogSource, *, here: bool) -> None:
        """Make S larger than `record`, which came with `head`; with `here`, from local tiles if that will do.

        One step serves many records: S goes to the newest head there is, not to the one of each answer.
        """
        if self._covers(record):
            self._log.compare(head)
            return
        async with self._covering:
            if self._covers(record) or (here and await self._merged_here(head)):
                return
            try:
                await self.refresh(source)
            except SumdbSecurityError:
                raise
            except _FAILURES:
                pass  # the head that came with the record will do
            if not self._covers(record):
                await self._log.merge(head, source)

    async def reach(self, tile: Tile) -> None:
        """Make S so new that it holds `tile`, for a client whose head is newer than S. NotFound when none is."""
        await self.need()
        if self._has(tile):
            return
        await self.follow_clients()
        if not self._has(tile) and trio.current_time() - self._refreshed >= FRESH:
            await self._sharing.get("refresh", lambda: self._sources.use(self.refresh))
        if not self._has(tile):
            theirs = self._clients.latest()
            if theirs is not None and self.problem and width_in(tile.position, theirs.size) >= tile.width:
                raise Unavailable(self._log.name, self.problem)
            size = self._log.head.size if self._log.head else 0
            raise NotFound(self._log.name, f"tile/{tile.path} is not in the tree of size {size}, the newest here")

    async def follow_clients(self, *, here: bool = False) -> None:
        """Put the head that a local go command holds into H, or move to it. With `here`, from local tiles only."""
        head = self._clients.latest()
        if head is None or self._is_known(head):
            self.problem = None
        elif not self._just_tried(head, here=here):
            await self._follow(head, here=here)
        if self._log.head is None:
            head = await trio.to_thread.run_sync(self._clients.newest_in_cache)
            if head is not None:
                await self._follow(head, here=True)

    async def refresh(self, source: LogSource) -> None:
        """Go to the newest head that `source` tells of; one that is not newer than S is only compared."""
        self._log.refuse_when_frozen()
        self._refreshed = trio.current_time()
        try:
            head = open_head(await source.latest(), self._verifier)
        except MalformedData as error:
            raise SumdbError(f"{self._log.name}: {error}") from error
        except NotFound as error:
            raise Unavailable(error.source, f"tells no latest tree head: {error.reason}") from error
        current = self._log.head
        if current is not None and head.size <= current.size:
            self._log.compare(head)
        else:
            await self._log.merge(head, source)

    async def _find_first(self) -> None:
        await self.follow_clients(here=True)
        if self._log.head is None:
            await self._sources.use(self.refresh)

    async def _follow(self, head: Head, *, here: bool) -> None:
        try:
            if not await self._merged_here(head) and not here:
                await self._sources.use(partial(self._log.merge, head))
            self.problem = None
        except _FAILURES as error:
            self.problem = f"a local client's tree head of size {head.size} cannot be joined: {error}"

    async def _merged_here(self, head: Head) -> bool:
        try:
            await self._log.merge(head, self._here)
        except Unavailable:
            return False
        return True

    def _covers(self, record: int) -> bool:
        return self._log.head is not None and record < self._log.head.size

    def _has(self, tile: Tile) -> bool:
        return self._log.head is not None and width_in(tile.position, self._log.head.size) >= tile.width

    def _is_known(self, head: Head) -> bool:
        return any(head.tree == known.tree for known in self._log.heads)

    def _just_tried(self, head: Head, *, here: bool) -> bool:
        note, at = self._tried
        if note == head.note and trio.current_time() - at < FRESH:
            return True
        if not here:
            self._tried = (head.note, trio.current_time())
        return False
