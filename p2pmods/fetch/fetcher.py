"""The one way that a request takes: store, module cache, upstream; and the only place that decides.

Identical requests share one fetch, which goes on when a client hangs up. Only the file that was asked for is
fetched. Nothing is kept or answered that the checks of `trust` did not let through.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from p2pmods.errors import (
    NotFound,
    Poisoned,
    Refused,
    SourceError,
    StoreChanged,
    StoreError,
    Tombstoned,
    Unavailable,
)
from p2pmods.fetch.memory import NotFoundMemory
from p2pmods.fetch.outcome import FetchFailed, Served, Verdict, verdict_of
from p2pmods.fetch.receiving import Receiver
from p2pmods.fetch.sharing import Sharing
from p2pmods.gomod.info import format_info, synthesise_info
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.trust.evidence import Source, SourceKind
from p2pmods.upstream.sink import BytesSink

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from p2pmods.fetch.failures import Failures
    from p2pmods.fetch.holdings import Holdings
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.fetch.writing import Writing
    from p2pmods.store.modcache import ModuleCache
    from p2pmods.store.store import Store
    from p2pmods.upstream.route import Upstream

MODULE_CACHE: Final = "module cache"


class Fetcher:
    """Gets one immutable file of one module version."""

    def __init__(
        self,
        store: Store,
        module_cache: ModuleCache | None,
        upstream: Upstream,
        *,
        holdings: Holdings,
        proofs: Proofs,
        intake: Intake,
        failures: Failures,
        writing: Writing,
        nursery: trio.Nursery,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._module_cache = module_cache
        self._upstream = upstream
        self._holdings = holdings
        self._proofs = proofs
        self._intake = intake
        self._failures = failures
        self._writing = writing
        self._clock = clock
        self._not_found = NotFoundMemory(monotonic)
        self._sharing: Sharing[Served] = Sharing(nursery, (FetchFailed, StoreError))

    async def get(self, key: FileKey, *, only_held: bool = False) -> Served:
        """The file, from the first source that has it. Raises FetchFailed, and StoreError when the index is gone.

        `only_held` asks no one outside: what is in the store or the module cache, or a failure.
        """
        try:
            self._store.check_allowed(key.module)
            pending = self._pending(key)
            if pending is not None:
                return pending
            stored = await self._store.get(key)
            if stored is not None:
                return self._intake.from_store(stored)
        except (Poisoned, Tombstoned) as error:
            raise FetchFailed(str(key), Verdict.REFUSED, [Refused("store", str(error))], str(error)) from error
        except (StoreChanged, StoreError):
            pass  # it changed, or the disk failed, between the look and the reading: fetch it like a miss
        return await self._sharing.get((key, only_held), partial(self._fetch, key, only_held))

    def _pending(self, key: FileKey) -> Served | None:
        pending = self._writing.get(key)
        return None if pending is None else replace(pending, source=SourceKind.STORE)

    async def _fetch(self, key: FileKey, only_held: bool) -> Served:
        pending = self._pending(key)
        if pending is not None:
            return pending  # it arrived while this request looked into the store
        tried: list[SourceError] = []
        if self._module_cache is not None:
            try:
                return await self._from_module_cache(key, self._module_cache)
            except SourceError as error:
                tried.append(error)
        if only_held:
            tried.append(Unavailable("store", "not held, and the request asks for nothing else"))
        else:
            try:
                return await self._from_upstream(key)
            except SourceError as error:
                tried.append(error)
        await self._writing.wait_empty()
        if key.kind is FileKind.INFO and self._holdings.has_any(key.module):
            return _synthesised(key)
        raise self._failed(key, tried)

    async def _from_module_cache(self, key: FileKey, module_cache: ModuleCache) -> Served:
        path = module_cache.find(key)
        if path is None:
            raise NotFound(MODULE_CACHE, "not there")
        source = Source(SourceKind.MODULE_CACHE, str(module_cache.directory), self._clock())
        return await self._intake.take_external(key, path, source)

    async def _from_upstream(self, key: FileKey) -> Served:
        known = self._not_found.get(key)
        if known is not None:
            raise known.tried[-1].with_traceback(None)
        self._proofs.begin(key)
        if key.kind is FileKind.ZIP:
            return await self._zip_from_upstream(key)
        sink = BytesSink()
        return await self._upstream.fetch_file(
            key, sink, lambda source: self._intake.take_small(key, sink.getvalue(), source)
        )

    async def _zip_from_upstream(self, key: FileKey) -> Served:
        try:
            sink = Receiver(self._store.temp)
            try:
                return await self._upstream.fetch_file(
                    key, sink, lambda source: self._intake.take_zip(key, sink.content(), source)
                )
            except BaseException:
                sink.discard()
                raise
        except StoreError as error:
            raise Unavailable("store", str(error)) from error

    def _failed(self, key: FileKey, tried: list[SourceError]) -> FetchFailed:
        failure = FetchFailed(str(key), verdict_of(tried), tried)
        self._failures.add(failure)
        if failure.verdict is Verdict.NOT_FOUND:
            self._not_found.add(key, failure)
        return failure


def _synthesised(key: FileKey) -> Served:
    """An `.info` for a version whose other files are held: better than none, and never stored as an upstream's."""
    body = format_info(synthesise_info(key.module))
    digest = hashlib.sha256(body).hexdigest()
    return Served(key, SourceKind.STORE, len(body), digest, None, False, False, body, None)
