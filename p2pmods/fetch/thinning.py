"""Keeps the store within its limit: looks now and then, and lets zips go that nobody uses when it holds too much."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import StoreError
from p2pmods.store.thinning import enough, in_order, is_above, last_copies_last, surplus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable
    from pathlib import Path

    from p2pmods.config.values import DiskLimit
    from p2pmods.gomod.module import FileKey
    from p2pmods.store.store import Store
    from p2pmods.store.thinning import HeldZip
    from p2pmods.upstream.route import UpstreamStatistics

SETTLE_IN: Final = 10.0  # seconds after start: short, for many a node lives no longer than one build
PACE: Final = 60.0  # seconds between two looks …
STUCK_PACE: Final = 600.0  # … and after one that left too much, since all of it is in use
HEARD_OF: Final = 3600.0  # seconds since an upstream gave something; idle ones are not known to be out of reach
LOCATED: Final = 512  # zips that the directory is asked about at once
LOCATE_TIME: Final = 30.0  # seconds for all its answers; what it has not said by then nobody else has
TOGETHER: Final = 16  # zips removed before a build gets its turn

log = structlog.get_logger()


def limit_on(limit: DiskLimit, data: Path) -> int | None:
    """The limit in bytes for a store in directory `data`; None when there is none, or the disk cannot be asked."""
    total = None
    if limit.share is not None:
        try:
            total = shutil.disk_usage(data).total
        except OSError:
            return None
    return limit.of(total)


def is_cut_off(upstream: UpstreamStatistics, *, now: float) -> bool:
    """Whether the upstream may be unable to give again what goes now, Unix time: it was not heard of lately."""
    last = upstream.last_success
    return upstream.state != "online" or upstream.is_captive or last is None or not 0 <= now - last <= HEARD_OF


class Thinning:
    """Of one node. `is_cut_off` tells whether the upstream may be unable to give again what has gone; `locate` which
    zips other nodes are known to hold; `calm` returns when no build is in a hurry. `clock` is in Unix seconds."""

    def __init__(
        self,
        store: Store,
        limit: Callable[[], int | None],
        *,
        is_cut_off: Callable[[], bool],
        locate: Callable[[Iterable[FileKey]], Awaitable[Collection[FileKey]]],
        calm: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._limit = limit
        self._is_cut_off = is_cut_off
        self._locate = locate
        self._calm = calm
        self._clock = clock
        self.is_stuck = False  # the last look left the store above high water

    def why_full(self, more: int = 0) -> str | None:
        """Why the store should not get `more` bytes that nobody here asked for; None when it may."""
        limit, held = self._limit(), self._store.statistics().bytes
        if limit is None or not (held + more >= limit or (self.is_stuck and is_above(held, limit))):
            return None
        return f"the store holds {held / 1e9:.3g} GB of the {limit / 1e9:.3g} GB that it may"

    async def run(self) -> None:
        """Until cancelled. A failing disk makes it try again later."""
        await trio.sleep(SETTLE_IN)
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.warning("the store cannot be kept within disk_limit", error=str(error))
            await trio.sleep(STUCK_PACE if self.is_stuck else PACE)

    async def look(self) -> None:
        """Remove what is too much and may go. Raises StoreError when the index cannot be used."""
        limit = self._limit()
        held = await self._held()
        if limit is not None and is_above(held, limit):
            await self._calm()
            await self._thin(held, limit)
            held = await self._held()
        self.is_stuck = limit is not None and is_above(held, limit)

    async def _held(self) -> int:
        return (await trio.to_thread.run_sync(self._store.statistics)).bytes

    async def _thin(self, held: int, limit: int) -> None:
        files = size = 0
        reason = f"disk_limit: {held} bytes were held, {limit} may be"
        chosen = await self._choose(surplus(held, limit))
        try:
            for start in range(0, len(chosen), TOGETHER):
                await self._calm()
                for gone in await trio.to_thread.run_sync(self._evict, chosen[start : start + TOGETHER], reason):
                    files, size = files + 1, size + gone
        finally:
            if files:
                log.warning(
                    "removed the zips that were not asked for for longest, to stay within disk_limit",
                    files=files,
                    bytes=size,
                    held=held,
                    limit=limit,
                )

    async def _choose(self, size: int) -> list[HeldZip]:
        self._store.flush()
        zips = await trio.to_thread.run_sync(self._zips)
        ordered = in_order(zips, now=self._clock())
        if self._is_cut_off():
            ordered = last_copies_last(ordered, await self._elsewhere(ordered, size))
        return enough(ordered, size)

    def _zips(self) -> list[HeldZip]:
        page, after = self._store.zips_page(None)
        found = page
        while after is not None:
            page, after = self._store.zips_page(after)
            found += page
        return found

    async def _elsewhere(self, ordered: list[HeldZip], size: int) -> set[FileKey]:
        """Which of them other nodes are known to hold: as many as are needed, and no private name is asked about."""
        found: set[FileKey] = set()
        size -= sum(one.size for one in ordered if one.is_cached)
        rest = [one for one in ordered if not one.is_cached]
        with trio.move_on_after(LOCATE_TIME):
            while rest and size > 0:
                batch, rest = rest[:LOCATED], rest[LOCATED:]
                found.update(await self._locate([one.key for one in batch]))
                size -= sum(one.size for one in batch if one.key in found)
        return found

    def _evict(self, zips: list[HeldZip], reason: str) -> list[int]:
        gone = []
        for one in zips:
            try:
                if size := self._store.evict(one, reason):
                    gone.append(size)
            except StoreError as error:
                log.warning("a zip cannot be removed", file=str(one.key), error=str(error))
        return gone
