"""The one way that a request takes: store, module cache, peers, upstream; and the only place that decides.

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
from p2pmods.fetch.usual import UsualTime
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
    from p2pmods.fetch.peering import Peering
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.fetch.writing import Writing
    from p2pmods.mesh.growing import Backing, Growing
    from p2pmods.store.modcache import ModuleCache
    from p2pmods.store.store import Store
    from p2pmods.upstream.route import Upstream

    Watch = Callable[[Backing], Growing]

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
        peering: Peering | None,
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
        self._peering = peering
        self._clock = clock
        self._not_found = NotFoundMemory(monotonic)
        self._small_usually = UsualTime(monotonic)
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

    async def get_for_peer(self, key: FileKey) -> Served:
        """A small file that a peer wants of this home: held, of one who holds it, or from an upstream that anybody
        could ask.

        Raises FetchFailed, StoreError.
        """
        return await self._sharing.get((key, "peer"), partial(self._fetch_for_peer, key))

    async def _fetch_for_peer(self, key: FileKey) -> Served:
        held = self._pending(key)
        try:
            if held is None and self._module_cache is not None:
                held = await self._from_module_cache(key, self._module_cache)
        except SourceError:
            pass
        if held is None and self._peering is not None:
            held = await self._peering.small_of_own_key(key)
        try:
            return held or await self._from_upstream(key, anonymous=True)
        except SourceError as error:
            raise FetchFailed(str(key), verdict_of([error]), [error]) from error

    def on_its_way(self, key: FileKey) -> Served | None:
        """The file, when it is verified and will be in the store in a moment."""
        return self._writing.get(key)

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
                return await self._from_others(key)
            except SourceError as error:
                if self._peering is not None:
                    tried.append(self._peering.word_on(key))
                tried.append(error)  # the last word is the upstream's
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

    async def _from_others(self, key: FileKey) -> Served:
        """From peers, where they may be asked, and from upstream. Raises SourceError."""
        peering = self._peering
        if peering is not None:
            await peering.settled()
        if peering is None or not peering.may_ask(key):
            return await self._from_upstream(key)
        if key.kind is FileKind.ZIP:
            return await peering.zip(key, partial(self._from_upstream, key))
        served = await peering.small(key, self._small_usually.seconds)
        if served is not None:
            return served
        try:
            return await self._from_upstream(key)
        except SourceError as error:
            if isinstance(error, NotFound):
                raise  # "not found" is never taken from peers while the upstream answers, nor the other way round
            try:
                return await peering.small_from_anyone(key)
            except SourceError:
                raise error from None

    async def _from_upstream(self, key: FileKey, watch: Watch | None = None, *, anonymous: bool = False) -> Served:
        known = self._not_found.get(key)
        if known is not None:
            raise known.tried[-1].with_traceback(None)
        self._proofs.begin(key)
        if key.kind is FileKind.ZIP:
            return await self._zip_from_upstream(key, watch)
        sink = BytesSink()
        with self._small_usually.measured():
            return await self._upstream.fetch_file(
                key,
                sink,
                lambda source: self._intake.take_small(key, sink.getvalue(), source),
                anonymous=anonymous,
            )

    async def _zip_from_upstream(self, key: FileKey, watch: Watch | None) -> Served:
        try:
            sink = Receiver(self._store.temp)
            watched = watch(sink) if watch is not None else None

            async def accept(source: Source) -> Served:
                if watched is not None:
                    watched.finish()
                return await self._intake.take_zip(key, sink.content(), source)

            try:
                if watched is None:
                    return await self._upstream.fetch_file(key, sink, accept)
                return await self._upstream.fetch_file(key, watched, accept, listener=watched)
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
