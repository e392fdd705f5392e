"""Zips from peers: of those who hold one, or of its fetcher while it arrives there; large ones in pieces from all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

from p2pmods.directory.messages import Holder
from p2pmods.errors import PeerError, PeerNotReached, PeerRefused
from p2pmods.gomod.zipdirectory import MAX_ZIP
from p2pmods.identity.key import public_of_id
from p2pmods.mesh.busy import patiently
from p2pmods.mesh.limits import floor_of
from p2pmods.swarm.messages import IN_PIECES, KINDS, MAX_SMALL_BODY, FileHead, GetFile
from p2pmods.swarm.pieces import LARGE, ObjectName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.messages import Growing
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.errands import Errands
    from p2pmods.mesh.gathering import Gathering
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.partial import Partial

DEADLINE: Final = 900.0  # seconds for one file, the floor of speed applied all the while
MOST_HOLDERS: Final = 4  # asked for one object, one after the other


class Sink(Protocol):
    """Takes a file's bytes in order."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes, /) -> None: ...


class Receiving:
    """`received(count)` is told of all bytes that come."""

    def __init__(self, links: Links, gathering: Gathering, errands: Errands) -> None:
        self._links = links
        self._gathering = gathering
        self._errands = errands
        self.by_peer = gathering.by_peer

    async def from_holders(
        self, key: FileKey, holders: Iterable[Holder], partial: Partial, received: Callable[[int], None]
    ) -> list[str]:
        """The object that most of the holders have. Raises PeerError when it did not come whole, StoreError.

        The ids of those who gave bytes, beginning with whom to blame when they are wrong.
        """
        chosen = choose(holders)
        if chosen and chosen[0].size >= LARGE and not self._are_apart(chosen):
            name = ObjectName(key.module.path, key.module.version, chosen[0].sha256, None)
            try:
                return await self._gathering.gather(name, [holder.node for holder in chosen], partial, received)
            except PeerError:
                if not self._are_apart(chosen):  # which is found out when they are asked
                    raise
        return await self._one_after_the_other(key, chosen[:MOST_HOLDERS], partial, received)

    def _are_apart(self, holders: list[Holder]) -> bool:
        """None of them can be asked for pieces, only a director for the whole."""
        return all(self._errands.is_needed(holder.node) for holder in holders)

    async def _one_after_the_other(
        self, key: FileKey, holders: list[Holder], partial: Partial, received: Callable[[int], None]
    ) -> list[str]:
        """From the first that gives it, resumed at the next where one breaks off."""
        failure = PeerError("", "nobody holds it")
        givers: list[str] = []
        partial.restart()
        for holder in holders:
            wanted = GetFile(key.module.path, key.module.version, KINDS.index(key.kind), partial.size, holder.sha256)
            before = partial.size
            try:
                giver = await self._take(holder.node, wanted, partial, received)
            except PeerError as error:
                failure = error
                givers += [error.node_id or holder.node] * (partial.size > before)
            else:
                assert giver is not None
                return [*givers, giver]
        raise failure

    async def from_fetcher(
        self, key: FileKey, growing: Growing, partial: Partial, received: Callable[[int], None]
    ) -> list[str]:
        """The file as it arrives at its fetcher, to its end. Raises PeerError, StoreError.

        When it proves large it goes on in pieces: then everybody who wants it gives what it has to the others.
        """
        is_apart = self._errands.is_needed(growing.fetcher)
        if is_apart or (growing.received < LARGE and not partial.has_pieces):
            giver = await self._while_small(key, growing, partial, received)
            if giver is not None:
                return [giver]
        name = ObjectName(key.module.path, key.module.version, None, growing.token)
        signer = public_of_id(growing.fetcher)
        return await self._gathering.gather(name, [growing.fetcher], partial, received, signer=signer)

    async def _while_small(
        self, key: FileKey, growing: Growing, partial: Partial, received: Callable[[int], None]
    ) -> str | None:
        """Who gave it whole; None when it proved large."""
        partial.restart()
        path, version, kind = key.module.path, key.module.version, KINDS.index(key.kind)
        wanted = GetFile(path, version, kind, 0, token=growing.token, in_pieces=True)
        try:
            giver = await self._take(growing.fetcher, wanted, partial, received, most=LARGE)
        except PeerRefused as error:
            if error.code == IN_PIECES and error.node_id == growing.fetcher:
                return None
            raise
        if giver is None:
            partial.cut_into_pieces()
        return giver

    async def whole(self, key: FileKey, source: Holder | Growing, sink: Sink) -> str:
        """The file from its holder or fetcher itself, in order, and from nobody else. Its id. Raises PeerError."""
        path, version, kind = key.module.path, key.module.version, KINDS.index(key.kind)
        if isinstance(source, Holder):
            node, wanted = source.node, GetFile(path, version, kind, 0, source.sha256)
        else:
            node, wanted = source.fetcher, GetFile(path, version, kind, 0, token=source.token)
        await self._take(node, wanted, sink, lambda _count: None, is_direct=True)
        return node

    async def _take(
        self,
        asked: str,
        wanted: GetFile,
        sink: Sink,
        received: Callable[[int], None],
        *,
        most: int = MAX_ZIP + 1,
        is_direct: bool = False,
    ) -> str | None:
        """Who gave it; None when it was left off because it has more than `most` bytes, and others have pieces."""
        answer = await self._ask(asked, wanted, is_direct=is_direct)
        head, node = answer.message, answer.node_id
        if not isinstance(head, FileHead) or not _is_wanted(head, wanted, may_grow=node != asked):
            await answer.discard()
            raise PeerError(node, "gives another object than was asked for")
        cap = MAX_ZIP if head.length is None else head.length
        async for piece in answer:
            if sink.size + len(piece) > cap:
                await answer.discard()
                raise PeerError(node, f"sends more than {cap} bytes")
            sink.write(piece)
            self.by_peer.add(node, len(piece))
            received(len(piece))
            if sink.size >= most and node == asked:
                await answer.discard()
                return None
        if head.length is not None and sink.size != head.length:
            raise PeerError(node, f"sent {sink.size} bytes of {head.length}")
        self.by_peer.add(node, 0, files=1)
        return node

    async def _ask(self, node: str, wanted: GetFile, *, is_direct: bool) -> Answer:
        """Patient with one who gives to others at the moment. A node that is not reached is asked through another."""
        deadline = trio.current_time() + DEADLINE
        through = not is_direct and self._errands.is_needed(node)

        async def ask() -> Answer:
            nonlocal through
            if not through:
                try:
                    return await self._links.request(node, wanted, deadline=deadline, floor=floor_of(wanted))
                except PeerNotReached:
                    if is_direct:
                        raise
                    through = True
            return await self._errands.ask(node, wanted, deadline=deadline)

        return await patiently(node, ask)


def _is_wanted(head: FileHead, wanted: GetFile, *, may_grow: bool) -> bool:
    """Whether this is the object that was asked for; where it may still grow, that is seen when it is whole."""
    return wanted.sha256 in (None, head.sha256) or (may_grow and head.sha256 is None)


def choose(holders: Iterable[Holder]) -> list[Holder]:
    """Those of the object that most hold, for bytes of different objects never mix."""
    by_object: dict[tuple[bytes, int], list[Holder]] = {}
    for holder in holders:
        by_object.setdefault((holder.sha256, holder.size), []).append(holder)
    return max(by_object.values(), key=len, default=[])


async def read_small(answer: Answer) -> bytes:
    """The body of an answer to GetSmall. Raises PeerError."""
    data = b""
    async for piece in answer:
        data += piece
        if len(data) > MAX_SMALL_BODY:
            await answer.discard()
            raise PeerError(answer.node_id, f"sends more than {MAX_SMALL_BODY} bytes of small files")
    return data
