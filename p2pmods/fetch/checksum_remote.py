"""Where the parts of a log come from, and the log as the upstream has it: raw answers, bounded, not yet proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

from p2pmods.errors import MalformedData, NotFound, Unavailable
from p2pmods.sumdb.note import MAX_NOTE
from p2pmods.sumdb.records import MAX_LOOKUP, lookup_path

if TYPE_CHECKING:
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.sumdb.tiles import Tile

AT_ONCE: Final = 24  # requests under way; a cold build needs some 1,600
DEADLINE: Final = 45.0  # seconds for one answer, the upstream's own attempts included
MAX_DATA_TILE: Final = 1 << 20  # bytes; 256 records of some 300


class LogSource(Protocol):
    """Somebody who has a log. Errors: NotFound, Refused, Unavailable (cannot answer now), MalformedData (nonsense)
    and, of a peer, PeerError.
    """

    async def latest(self) -> bytes:
        """The newest signed tree head."""

    async def lookup(self, module: ModuleVersion) -> bytes:
        """The lookup answer for `module`. NotFound when there is none, with the reason."""

    async def tile(self, tile: Tile) -> bytes:
        """Exactly `tile.size` bytes."""


class SumdbSource(Protocol):
    """What reaches the database, through proxies or directly, and tries again where that helps."""

    async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
        """The body at `/sumdb/<name>/<endpoint>`, or below `url` alone. Raises NotFound, Refused or Unavailable."""


class RemoteLog:
    """Reads the database `name` through `source`; with `url`, which GOSUMDB may give it, from there alone."""

    def __init__(self, name: str, source: SumdbSource, url: str | None = None) -> None:
        self._name = name
        self._url = url
        self._source = source
        self._limiter = trio.CapacityLimiter(AT_ONCE)

    async def latest(self) -> bytes:
        return await self._read("latest", MAX_NOTE)

    async def lookup(self, module: ModuleVersion) -> bytes:
        return await self._read(f"lookup/{lookup_path(module)}", MAX_LOOKUP)

    async def tile(self, tile: Tile) -> bytes:
        """As go does, the full tile is asked for where the partial one is gone."""
        try:
            return _exact(await self._read(f"tile/{tile.path}", tile.size), tile)
        except NotFound as error:
            if tile.is_full:
                raise Unavailable(error.source, f"has no tile/{tile.path}: {error.reason}") from error
        return _exact(await self.tile(tile.full), tile.full)[: tile.size]

    async def data_tile(self, tile: Tile) -> bytes:
        """The texts of the records under the level-0 `tile`, one blank line between them."""
        return await self._read(f"tile/{tile.path.replace('8/0/', '8/data/', 1)}", MAX_DATA_TILE)

    async def _read(self, endpoint: str, limit: int) -> bytes:
        try:
            async with self._limiter:
                with trio.fail_after(DEADLINE):
                    body = await self._source.fetch_sumdb(self._name, endpoint, url=self._url)
        except trio.TooSlowError:
            raise Unavailable(self._name, f"no answer for {endpoint} within {DEADLINE:.0f} seconds") from None
        if len(body) > limit:
            raise MalformedData(endpoint, f"{len(body)} bytes, more than {limit}")
        return body


class Here:
    """Nobody is asked: what this machine holds will do, or nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def latest(self) -> bytes:
        raise self._missing("a newer tree head")

    async def lookup(self, module: ModuleVersion) -> bytes:
        raise self._missing(f"the record of {module}")

    async def tile(self, tile: Tile) -> bytes:
        raise self._missing(f"tile/{tile.path}")

    def _missing(self, what: str) -> Unavailable:
        return Unavailable(self._name, f"{what} is not here")


def _exact(body: bytes, tile: Tile) -> bytes:
    if len(body) != tile.size:
        raise MalformedData(f"tile/{tile.path}", f"{len(body)} bytes instead of {tile.size}")
    return body
