"""Zips from peers: of those who hold one, or of its fetcher while it arrives there; large ones in pieces from all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.gomod.zipdirectory import MAX_ZIP
from p2pmods.identity.key import public_of_id
from p2pmods.swarm.messages import BUSY, KINDS, MAX_SMALL_BODY, FileHead, GetFile
from p2pmods.swarm.pieces import LARGE, ObjectName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.messages import Growing, Holder
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.gathering import Gathering
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.partial import Partial

DEADLINE: Final = 900.0  # seconds for one file, the floor of speed applied all the while
MOST_HOLDERS: Final = 4  # asked for one object, one after the other
BUSY_PAUSE: Final = 0.3  # seconds until one that gives to others already is asked again
BUSY_TRIES: Final = 10


class Receiving:
    """`received(count)` is told of all bytes that come."""

    def __init__(self, links: Links, gathering: Gathering) -> None:
        self._links = links
        self._gathering = gathering
        self.by_peer = gathering.by_peer

    async def from_holders(
        self, key: FileKey, holders: Iterable[Holder], partial: Partial, received: Callable[[int], None]
    ) -> list[str]:
        """The object that most of the holders have. Raises PeerError when it did not come whole, StoreError.

        The ids of those who gave bytes, beginning with whom to blame when they are wrong.
        """
        chosen = choose(holders)
        if chosen and chosen[0].size >= LARGE:
            name = ObjectName(key.module.path, key.module.version, chosen[0].sha256, None)
            return await self._gathering.gather(name, [holder.node for holder in chosen], partial, received)
        return await self._one_after_the_other(key, chosen[:MOST_HOLDERS], partial, received)

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
                await self._take(holder.node, wanted, partial, received)
            except PeerError as error:
                failure = error
                givers += [holder.node] * (partial.size > before)
            else:
                return [*givers, holder.node]
        raise failure

    async def from_fetcher(
        self, key: FileKey, growing: Growing, partial: Partial, received: Callable[[int], None]
    ) -> list[str]:
        """The file as it arrives at its fetcher, to its end. Raises PeerError, StoreError.

        When it proves large it goes on in pieces: then everybody who wants it gives what it has to the others.
        """
        if growing.received < LARGE and not partial.has_pieces:
            partial.restart()
            wanted = GetFile(key.module.path, key.module.version, KINDS.index(key.kind), 0, token=growing.token)
            if await self._take(growing.fetcher, wanted, partial, received, most=LARGE):
                return [growing.fetcher]
            partial.cut_into_pieces()
        name = ObjectName(key.module.path, key.module.version, None, growing.token)
        signer = public_of_id(growing.fetcher)
        return await self._gathering.gather(name, [growing.fetcher], partial, received, signer=signer)

    async def _take(
        self, node: str, wanted: GetFile, sink: Partial, received: Callable[[int], None], most: int = MAX_ZIP
    ) -> bool:
        """False when it was left off because it has more than `most` bytes."""
        answer = await self._ask(node, wanted)
        head = answer.message
        if not isinstance(head, FileHead) or (wanted.sha256 is not None and head.sha256 != wanted.sha256):
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
            if sink.size >= most:
                await answer.discard()
                return False
        if head.length is not None and sink.size != head.length:
            raise PeerError(node, f"sent {sink.size} bytes of {head.length}")
        self.by_peer.add(node, 0, files=1)
        return True

    async def _ask(self, node: str, wanted: GetFile) -> Answer:
        """Patient with one who gives to others at the moment."""
        deadline = trio.current_time() + DEADLINE
        for _ in range(BUSY_TRIES):
            try:
                return await self._links.request(node, wanted, deadline=deadline, has_floor=True)
            except PeerRefused as error:
                if error.code != BUSY:
                    raise
            await trio.sleep(BUSY_PAUSE)
        raise PeerError(node, "gives to others all the time")


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
