"""Two nodes that do not reach each other at all: a director with a link to the one gets the zip for the other.

It receives it as it would for itself, and keeps it once it is verified and proven. Who asked reads along while it
arrives, and verifies it whole as everything that comes from peers.
"""

from __future__ import annotations

import secrets
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import structlog
import trio

from p2pmods.directory.messages import Growing as Fetching
from p2pmods.directory.messages import Holder
from p2pmods.errors import P2pmodsError, PeerError, PeerRefused
from p2pmods.gomod.zipdirectory import MAX_ZIP
from p2pmods.identity.key import NODE_ID_SIZE
from p2pmods.mesh.growing import Growing
from p2pmods.mesh.limits import floor_of
from p2pmods.swarm.messages import (
    BUSY,
    MAX_PATH,
    MAX_VERSION,
    NOT_HELD,
    SHA256_SIZE,
    TOKEN_SIZE,
    ZIP,
    GetFile,
)
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.giving import Giving, Shelf
    from p2pmods.mesh.growing import Backing, GrowingFiles
    from p2pmods.mesh.introductions import Introductions
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.policy import SharingPolicy

MAX_ERRANDS: Final = 8  # zips that a node gets for others at once
MAX_OF_PEER: Final = 2  # of them that one peer may have begun
ERRAND_TIME: Final = 300.0  # seconds for one

log = structlog.get_logger()


@message(17)
class FetchFor:
    """Request to a director: a zip of `node`, which I do not reach, from `offset` on. Answered as a GetFile is.

    Either `sha256` names the object, or `token` one that grows there.
    """

    node: str = attrs.field(validator=size(NODE_ID_SIZE))
    path: str = attrs.field(validator=at_most(MAX_PATH))
    version: str = attrs.field(validator=at_most(MAX_VERSION))
    offset: int = attrs.field(validator=between(0, MAX_ZIP))
    sha256: bytes | None = attrs.field(validator=size(SHA256_SIZE))
    token: bytes | None = attrs.field(validator=size(TOKEN_SIZE))

    def __attrs_post_init__(self) -> None:
        if (self.sha256 is None) is (self.token is None):
            raise ValueError("an object or one that grows, not both")


class Bring(Protocol):
    """Gets a zip from one peer into the store, verified as always. What `watch` makes of the sink that receives it
    sees the bytes arrive. Raises P2pmodsError."""

    async def __call__(
        self, key: FileKey, source: Holder | Fetching, watch: Callable[[Backing], Growing]
    ) -> None: ...


@dataclass(slots=True)
class _Errand:
    token: bytes  # under which it can be read along here
    begun: trio.Event = field(default_factory=trio.Event)


class Errands:
    """Of one node in one swarm, asked for and done. `bring` is set by who can keep files."""

    def __init__(
        self,
        links: Links,
        introductions: Introductions,
        policy: SharingPolicy,
        growing: GrowingFiles,
        shelf: Shelf,
        giving: Giving,
    ) -> None:
        self.bring: Bring | None = None
        self._links = links
        self._introductions = introductions
        self._policy = policy
        self._growing = growing
        self._shelf = shelf
        self._giving = giving
        self._under_way: dict[tuple[FileKey, bytes], _Errand] = {}
        self._of_peer: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None
        links.on(FetchFor, self._asked)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def is_needed(self, node: str) -> bool:
        """Whether `node` and this one were found not to reach each other, a while ago at most."""
        return node in self._introductions.apart()

    async def ask(self, node: str, wanted: GetFile, *, deadline: float) -> Answer:
        """What a director answers that gets it from `node`. Raises PeerError; PeerRefused (BUSY) when one might."""
        question = FetchFor(node, wanted.path, wanted.version, wanted.offset, wanted.sha256, wanted.token)
        failure = PeerError(node, "no director gets it from there")
        for director in self._introductions.between(node):
            try:
                return await self._links.request(director, question, deadline=deadline, floor=floor_of(wanted))
            except PeerError as error:
                if isinstance(error, PeerRefused) and error.code == BUSY:
                    failure = error
        raise failure

    # For others.

    async def _asked(self, call: Call) -> None:
        asked: FetchFor = call.message
        try:
            key = GetFile(asked.path, asked.version, ZIP, 0).key
        except P2pmodsError as error:
            await call.refuse(NOT_HELD, str(error))
            return
        if self.bring is None or not self._policy.may_ask(key.module.path):
            await call.refuse(NOT_HELD, "not here")
        elif self._is_held(key, asked.sha256):
            await self._give(call, asked, None)
        elif asked.node == call.peer or asked.node not in self._links.linked():
            await call.refuse(NOT_HELD, "no link to that node here")
        else:
            await self._get(call, key, asked)

    def _is_held(self, key: FileKey, sha256: bytes | None) -> bool:
        opened = self._shelf.open_file(key, sha256.hex()) if sha256 is not None else None
        if opened is None:
            return False
        with opened:
            return True

    async def _get(self, call: Call, key: FileKey, asked: FetchFor) -> None:
        errand = self._errand(key, asked, call.peer)
        if errand is None:
            await call.refuse(BUSY, "gets enough for others already")
            return
        await errand.begun.wait()
        await self._give(call, asked, errand.token)

    async def _give(self, call: Call, asked: FetchFor, token: bytes | None) -> None:
        """As if it had been asked for what is here."""
        sha256 = asked.sha256 if token is None else None
        call.message = GetFile(asked.path, asked.version, ZIP, asked.offset, sha256, token)
        await self._giving.file(call)

    def _errand(self, key: FileKey, asked: FetchFor, peer: str) -> _Errand | None:
        """The one that is under way for the same bytes, or a new one; None when there are too many."""
        name = (key, asked.sha256 or asked.token or b"")
        errand = self._under_way.get(name)
        if errand is not None:
            return errand
        if not self._policy.gives or self._nursery is None:
            return None
        if len(self._under_way) >= MAX_ERRANDS or self._of_peer[peer] >= MAX_OF_PEER:
            return None
        errand = self._under_way[name] = _Errand(secrets.token_bytes(TOKEN_SIZE))
        self._of_peer[peer] += 1
        self._nursery.start_soon(self._run, errand, name, asked, peer)
        return errand

    async def _run(self, errand: _Errand, name: tuple[FileKey, bytes], asked: FetchFor, peer: str) -> None:
        key, _ = name
        try:
            with suppress(P2pmodsError), trio.move_on_after(ERRAND_TIME):
                await self._fetch(key, asked, errand)
        except Exception as error:  # the border between one errand and the node
            log.exception("an errand failed by a fault of p2pmods", file=str(key), exc_info=error)
        finally:
            del self._under_way[name]
            self._of_peer[peer] -= 1
            self._of_peer += Counter()  # nobody is kept for nothing
            errand.begun.set()

    async def _fetch(self, key: FileKey, asked: FetchFor, errand: _Errand) -> None:
        assert self.bring is not None
        source: Holder | Fetching
        if asked.sha256 is not None:
            source = Holder(asked.node, asked.sha256, 0, 0)
        else:
            assert asked.token is not None
            source = Fetching(asked.node, asked.token, 0)
        log.debug("gets a zip for a node that does not reach who has it", file=str(key), node=asked.node)
        with ExitStack() as sharing:

            def watch(backing: Backing) -> Growing:
                growing = Growing(backing, lambda _size: None, lambda _at: None)
                sharing.enter_context(self._growing.share(key, errand.token, growing))
                errand.begun.set()
                return growing

            await self.bring(key, source, watch)
