"""Where a checksum database is reached: through a proxy that supports it, or by itself (modfetch's dbClient)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import NotFound
from p2pmods.gomod.goproxy import ProxyStep
from p2pmods.upstream.failure import Tried, UpstreamFailed, UpstreamNotFound, UpstreamUnavailable
from p2pmods.upstream.limits import Want

if TYPE_CHECKING:
    from p2pmods.upstream.offline import OfflineState

REMEMBERED: Final = 600.0  # seconds; a go command decides once in its life, a node lives longer

_PARTIAL_TILE: Final = re.compile(r"(tile/8/[0-9]+/(?:x[0-9]{3}/)*[0-9]{3})\.p/([0-9]{1,3})")
_HASH_SIZE: Final = 32

Get = Callable[[ProxyStep, str, Want], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Base:
    """Requests go to `prefix` below the step's URL. Decided at `since`, monotonic."""

    step: ProxyStep
    prefix: str
    since: float


class SumdbRoute:
    """Decides once for each database, remembers it for a while, and asks there. Safe for many tasks at once."""

    def __init__(self, steps: tuple[ProxyStep, ...], get: Get, offline: OfflineState) -> None:
        self._steps = steps
        self._get = get
        self._offline = offline
        self._bases: dict[tuple[str, str | None], _Base] = {}
        self._deciding = trio.Lock()

    async def fetch(self, name: str, endpoint: str, url: str | None) -> bytes:
        """The body at `endpoint` of database `name`. Raises UpstreamFailed."""
        if self._offline.forced:
            raise UpstreamUnavailable(name, "the node is set to be offline")
        base = await self._base(name, url)
        try:
            return await self._get_tile(base, endpoint)
        except NotFound:
            raise
        except UpstreamFailed:
            if self._bases.get((name, url)) is base:
                del self._bases[name, url]
            raise

    async def _get_tile(self, base: _Base, endpoint: str) -> bytes:
        try:
            return await self._get(base.step, base.prefix + endpoint, Want.SUMDB)
        except NotFound:
            # A directory may hold the full tile only, as go knows too: the partial one is its beginning.
            found = _PARTIAL_TILE.fullmatch(endpoint)
            if found is None:
                raise
            full = await self._get(base.step, base.prefix + found[1], Want.SUMDB)
            return full[: int(found[2]) * _HASH_SIZE]

    async def _base(self, name: str, url: str | None) -> _Base:
        if self._offline.offline:  # one request looks whether that is over; the others do not wait for it
            return self._fresh(name, url) or await self._decide_anew(name, url)
        async with self._deciding:
            return self._fresh(name, url) or await self._decide_anew(name, url)

    def _fresh(self, name: str, url: str | None) -> _Base | None:
        base = self._bases.get((name, url))
        return None if base is None or trio.current_time() - base.since > REMEMBERED else base

    async def _decide_anew(self, name: str, url: str | None) -> _Base:
        base = self._bases[name, url] = await self._decide(name, url)
        return base

    async def _decide(self, name: str, url: str | None) -> _Base:
        """The first proxy that says `supported`, else the database itself: dbClient.initBase."""
        direct = _Base(ProxyStep("url", url or f"https://{name}"), "", trio.current_time())
        if url is not None:
            return direct
        tried = Tried()
        for step in self._steps:
            try:
                if step.kind != "url":
                    raise UpstreamNotFound(step.kind, "not a proxy")
                await self._get(step, f"sumdb/{name}/supported", Want.SUMDB)
            except UpstreamFailed as error:
                tried.add(error, direct=step.kind == "direct")
                if not (step.fall_through_any or isinstance(error, NotFound)):
                    break
            else:
                return _Base(step, f"sumdb/{name}/", trio.current_time())
        if isinstance(failure := tried.error(), NotFound):
            return direct
        raise failure
