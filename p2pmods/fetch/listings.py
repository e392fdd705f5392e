"""`list`, `@latest` and queries such as a branch: fresh for 60 s, and honest about what is not known offline.

Online the upstream's answer is authoritative. When it fails, its last answer may stand in. Offline a list is computed
from what can be delivered, by this node or its neighbours. When the highest version ever seen cannot, the answer is
a failure that names it and the newest that can: a shorter list would make `go get x@latest` downgrade and exit 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import InvalidPath, InvalidVersion, MalformedData, SourceError, StoreError, Unavailable
from p2pmods.fetch.memory import NotFoundMemory
from p2pmods.fetch.outcome import FetchFailed, Verdict, verdict_of
from p2pmods.fetch.sharing import Sharing
from p2pmods.gomod.info import parse_info
from p2pmods.gomod.listing import format_list, parse_list
from p2pmods.gomod.listing import latest as latest_of
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.stored import Answer
from p2pmods.trust.evidence import SourceKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.fetch.failures import Failures
    from p2pmods.fetch.fetcher import Fetcher
    from p2pmods.fetch.holdings import Holdings
    from p2pmods.fetch.writing import Writing
    from p2pmods.store.store import Store
    from p2pmods.trust.evidence import Source
    from p2pmods.upstream.route import Upstream

FRESH: Final = 60.0  # seconds that an upstream's list, latest or branch is answered again unasked
SHORT: Final = 4 << 10  # bytes of an answer that is read at once: some ten milliseconds
_LIST: Final = "list"
_LATEST: Final = "@latest"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Listing:
    """An answer: its body, and where it was found."""

    body: bytes
    source: SourceKind


class Listings:
    """Answers about more than one version."""

    def __init__(
        self,
        store: Store,
        holdings: Holdings,
        upstream: Upstream,
        fetcher: Fetcher,
        failures: Failures,
        *,
        writing: Writing,
        nursery: trio.Nursery,
        neighbours: Callable[[str], Awaitable[list[str]]],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._upstream = upstream
        self._fetcher = fetcher
        self._failures = failures
        self._writing = writing
        self._neighbours = neighbours
        self._clock = clock
        self._not_found = NotFoundMemory(monotonic)
        self._sharing: Sharing[Listing] = Sharing(nursery, (FetchFailed, StoreError))

    async def versions(self, path: str, *, only_held: bool = False) -> Listing:
        """`@v/list`. Raises FetchFailed, and StoreError when the index is gone and no upstream has an answer."""
        return await self._get(path, _LIST, partial(self._upstream.fetch_list, path), only_held=only_held)

    async def query(self, path: str, query: str | None, *, only_held: bool = False) -> Listing:
        """`@latest` (`query` None) or `@v/<query>.info`. Raises as `versions` does."""
        if query is None:
            return await self._get(path, _LATEST, partial(self._upstream.fetch_latest, path), only_held=only_held)
        ask = partial(self._upstream.fetch_query, path, query)
        return await self._get(path, _key_of(query), ask, only_held=only_held)

    async def _get(
        self, path: str, what: str, ask: Callable[[], Awaitable[tuple[bytes, Source]]], *, only_held: bool
    ) -> Listing:
        # What a node that is set to be offline heard a moment ago may name what it cannot deliver.
        known = None if self._upstream.is_forbidden else self._recall(path, what)
        if known is not None and 0 <= self._clock() - known.source.at < FRESH:
            return Listing(known.body, SourceKind.STORE)
        if only_held:
            tried: list[SourceError] = [Unavailable("store", "the request asks only for what is held")]
            return await self._from_held(path, what, tried, others=[])
        if (failure := self._not_found.get((path, what))) is not None:
            raise failure.with_traceback(None)
        return await self._sharing.get((path, what), partial(self._ask, path, what, ask))

    async def _ask(self, path: str, what: str, ask: Callable[[], Awaitable[tuple[bytes, Source]]]) -> Listing:
        try:
            body, source = await ask()
            checked, newest = await _read(path, what, body)
            answer = Answer(checked, source)
        except MalformedData as error:
            return await self._instead(path, what, [Unavailable("upstream", str(error))])
        except SourceError as error:
            return await self._instead(path, what, [error])
        try:
            self._store.remember(path, what, answer)
            self._store.saw(path, newest)
        except StoreError as error:
            log.warning("an answer was passed on but not remembered", of=_name(path, what), error=str(error))
        return Listing(answer.body, source.kind)

    def _recall(self, path: str, what: str) -> Answer | None:
        try:
            return self._store.recall(path, what)
        except StoreError as error:
            log.warning("earlier answers cannot be read", of=_name(path, what), error=str(error))
            return None

    async def _instead(self, path: str, what: str, tried: list[SourceError]) -> Listing:
        """The upstream failed: what it said last while it is only in trouble, what is held when it is gone."""
        known = self._recall(path, what)
        in_trouble = isinstance(tried[-1], Unavailable) and self._upstream.statistics().state == "online"
        if known is not None and in_trouble:
            return Listing(known.body, SourceKind.STORE)
        try:
            others = await self._neighbours(path) if isinstance(tried[-1], Unavailable) else []
            return await self._from_held(path, what, tried, others=others)
        except FetchFailed as failure:
            self._failures.add(failure)
            if failure.verdict is Verdict.NOT_FOUND:
                self._not_found.add((path, what), failure)
            raise

    async def _from_held(self, path: str, what: str, tried: list[SourceError], *, others: list[str]) -> Listing:
        """From what is held here, and `others`, versions that neighbours can deliver."""
        await self._writing.wait_empty()
        own = self._holdings.deliverable(path)
        held = sorted({*own, *others})
        newest = latest_of(held)
        if what not in (_LIST, _LATEST):
            return self._held_query(path, what, held, tried)
        if newest is None:
            raise FetchFailed(_name(path, what), verdict_of(tried), tried)
        # A version of which only the go.mod was ever wanted has been seen too: go may require it already.
        named = self._store.highest(path)
        highest = latest_of([*self._holdings.kinds(path), *([named] if named else [])])
        if highest is not None and latest_of([newest, highest]) != newest:
            hint = f"the newest version known, {highest}, is not held here; the newest that is held is {newest}"
            raise FetchFailed(_name(path, what), Verdict.UNAVAILABLE, tried, hint)
        if what == _LIST:
            return Listing(format_list(held), SourceKind.STORE)
        info = FileKey(ModuleVersion(path, newest), FileKind.INFO)
        served = await self._fetcher.get(info, only_held=newest in own)
        assert served.body is not None
        return Listing(served.body, SourceKind.STORE)

    def _held_query(self, path: str, what: str, held: list[str], tried: list[SourceError]) -> Listing:
        """What the query last resolved to, when that can be delivered: offline a branch has no other meaning."""
        known = self._store.recall(path, what)
        if known is None:
            raise FetchFailed(_name(path, what), verdict_of(tried), tried)
        version = parse_info(known.body).version
        if version not in held:
            hint = f"{_bare(what)} was {version} when last asked, which is not held here"
            raise FetchFailed(_name(path, what), Verdict.UNAVAILABLE, tried, hint)
        return Listing(known.body, SourceKind.STORE)


async def no_neighbours(path: str) -> list[str]:
    """What a node in no swarm hears of others' versions of a module."""
    return []


def _key_of(query: str) -> str:
    """What the answer to a query is kept under. A branch may be called `list`, which is not the list."""
    return f"?{query}" if query in (_LIST, _LATEST) else query


def list_name(path: str) -> str:
    """What the list of a module is called in failures and reports."""
    return f"{path}/@v/list"


def query_name(path: str, query: str | None) -> str:
    """The same of a query, None for `@latest`."""
    return f"{path}@{query or 'latest'}"


def _name(path: str, what: str) -> str:
    return list_name(path) if what == _LIST else query_name(path, _bare(what))


def _bare(what: str) -> str:
    return what.lstrip("@?")


async def _read(path: str, what: str, body: bytes) -> tuple[bytes, list[str]]:
    """`_checked`, which takes seconds for the longest list: in a thread, so that others are answered meanwhile."""
    if len(body) <= SHORT:
        return _checked(path, what, body)
    return await trio.to_thread.run_sync(_checked, path, what, body)


def _checked(path: str, what: str, body: bytes) -> tuple[bytes, list[str]]:
    """The answer as it may be passed on, and the newest version that it knows of, if it tells.

    Raises MalformedData when it is none.
    """
    if what == _LIST:
        listed = parse_list(body, path)
        newest = latest_of(item.version for item in listed)
        lines = (f"{item.version} {item.time}" if item.time else item.version for item in listed)
        return "".join(f"{line}\n" for line in lines).encode(), [newest] if newest else []
    version = parse_info(body).version
    try:
        ModuleVersion(path, version)
    except (InvalidPath, InvalidVersion) as error:
        raise MalformedData("info", f"resolves to no version of {path}: {error}") from error
    return body, [version] if what == _LATEST else []
