"""The Go module download API: files, lists and queries, under a path token or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from p2pmods.api.answers import failure_answer, file_answer, listing_answer
from p2pmods.api.routes import FileRoute, ListRoute, QueryRoute
from p2pmods.api.smallfiles import Ready, SmallFiles
from p2pmods.errors import HashMismatch, Refused, StoreChanged, StoreError, Unavailable
from p2pmods.fetch.listings import list_name, query_name
from p2pmods.fetch.outcome import FetchFailed, Served, Verdict
from p2pmods.httpd.render import ready_made
from p2pmods.trust.evidence import Pin, SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.api.sessions import Access, Session
    from p2pmods.fetch.alarms import Receivers
    from p2pmods.fetch.fetcher import Fetcher
    from p2pmods.fetch.listings import Listings
    from p2pmods.fetch.writing import Writing
    from p2pmods.gomod.module import FileKey
    from p2pmods.httpd.message import Response
    from p2pmods.store.store import Store

log = structlog.get_logger()


class Download:
    """Answers the three kinds of module routes, counts them, and holds a session's go.sum against them."""

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        listings: Listings,
        receivers: Receivers,
        writing: Writing,
        *,
        is_proof_wanted: Callable[[FileKey], bool],
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._listings = listings
        self._receivers = receivers
        self._writing = writing
        self._is_proof_wanted = is_proof_wanted
        self._small = SmallFiles(lambda: store.generation)

    def ready(self, target: bytes, session: Session | None) -> bytes | None:
        """The whole answer for a small file that was served before; None to go the long way."""
        ready = self._small.get(target)
        if ready is None:
            return None
        if session is not None:
            try:
                pinned = session.check(ready.served.key, ready.served.h1)
            except HashMismatch:
                return None
            session.record(ready.served, pinned=pinned)
        self._store.count(SourceKind.STORE, ready.served.size)
        return ready.answer

    async def answer(
        self, route: FileRoute | ListRoute | QueryRoute, access: Access, *, only_held: bool, client: str, target: str
    ) -> Response:
        """`target` is the request path without its token. Raises nothing that a client or a source caused."""
        try:
            return await self._answer(route, access, only_held, client, target)
        except FetchFailed as failure:
            if access.session is not None:
                access.session.record_failure(failure)
            return failure_answer(failure, alone=access.strict)
        except StoreError as error:
            log.warning("the store failed", error=str(error))
            trouble = FetchFailed(target.removeprefix("/"), Verdict.UNAVAILABLE, [Unavailable("store", str(error))])
            return failure_answer(trouble, alone=access.strict)

    async def _answer(
        self, route: FileRoute | ListRoute | QueryRoute, access: Access, only_held: bool, client: str, target: str
    ) -> Response:
        match route:
            case FileRoute(key):
                served = await self._fetcher.get(key, only_held=only_held)
                self._account(served, access.session, client)
                try:
                    return self._file_answer(served, target)
                except StoreChanged:  # it left the store between the look and the opening: a miss after all
                    return self._file_answer(await self._fetcher.get(key, only_held=only_held), target)
            case ListRoute(path):
                listing = await self._listings.versions(path, only_held=only_held)
                _record_listing(access.session, list_name(path))
                return listing_answer(listing, "text/plain; charset=utf-8")
            case QueryRoute(path, query):
                listing = await self._listings.query(path, query, only_held=only_held)
                _record_listing(access.session, query_name(path, query))
                return listing_answer(listing, "application/json")

    def _account(self, served: Served, session: Session | None, client: str) -> None:
        pinned = False
        if session is not None:
            try:
                pinned = session.check(served.key, served.h1)
            except HashMismatch as error:
                refusal = Refused("go.sum", str(error))
                raise FetchFailed(str(served.key), Verdict.REFUSED, [refusal], str(error)) from error
            session.record(served, pinned=pinned)
            if pinned and not served.proven:
                self._writing.then(served.key, partial(self._pin, served, session.origin))
        if not served.proven:
            self._receivers.note(served.key, session.origin or client if session else client)
        self._store.count(served.source, served.size)

    def _pin(self, served: Served, origin: str) -> None:
        """A go.sum agreed with what was served. What is held may be something else: nothing was said of that."""
        try:
            for held in self._store.held(served.key):
                if held.h1 == served.h1:
                    self._store.add_evidence(held, Pin(origin))
        except StoreError as error:
            log.warning("a go.sum's word could not be recorded", file=str(served.key), error=str(error))

    def _file_answer(self, served: Served, target: str) -> Response:
        response = file_answer(served)
        # A file whose proof is still to come goes the long way each time, so that whoever gets it is remembered.
        is_settled = served.proven or not self._is_proof_wanted(served.key)
        if is_settled and served.body is not None and served.lasting and served.source is SourceKind.STORE:
            self._small.put(target.encode("ascii"), Ready(ready_made(response), served))
        return response


def _record_listing(session: Session | None, name: str) -> None:
    if session is not None:
        session.record_listing(name)
