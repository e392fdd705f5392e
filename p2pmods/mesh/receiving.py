"""Bytes from peers into a sink: from one of the holders of an object, or from a fetcher while they arrive there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.gomod.zipdirectory import MAX_ZIP
from p2pmods.mesh.tallies import Tallies
from p2pmods.swarm.messages import BUSY, KINDS, MAX_SMALL_BODY, FileHead, GetFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.messages import Growing, Holder
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.links import Links

DEADLINE: Final = 900.0  # seconds for one file, the floor of speed applied all the while
MOST_HOLDERS: Final = 4  # asked for one object, one after the other
BUSY_PAUSE: Final = 0.3  # seconds until one that gives to others already is asked again
BUSY_TRIES: Final = 10


class Sink(Protocol):
    """Takes a file's bytes in order; `restart` forgets all of them."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes, /) -> None: ...
    def restart(self) -> None: ...


class Receiving:
    """`received(count)` is told of all bytes that come."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self.by_peer = Tallies()

    async def from_holders(
        self, key: FileKey, holders: Iterable[Holder], sink: Sink, received: Callable[[int], None]
    ) -> list[str]:
        """The object that most of the holders have, from the first that gives it, resumed at the next where one
        breaks off. The ids of those who gave bytes, in order. Raises PeerError when none gave the last."""
        nodes = choose(holders)
        failure = PeerError("", "nobody holds it")
        givers: list[str] = []
        sink.restart()
        for sha256, node in nodes[:MOST_HOLDERS]:
            wanted = GetFile(key.module.path, key.module.version, KINDS.index(key.kind), sink.size, sha256)
            before = sink.size
            try:
                await self._take(node, wanted, sink, received)
            except PeerError as error:
                failure = error
                givers += [node] * (sink.size > before)
            else:
                return [*givers, node]
        raise failure

    async def from_fetcher(
        self, key: FileKey, growing: Growing, sink: Sink, received: Callable[[int], None]
    ) -> list[str]:
        """The file as it arrives at its fetcher, to its end; the fetcher's id. Raises PeerError."""
        sink.restart()
        wanted = GetFile(key.module.path, key.module.version, KINDS.index(key.kind), 0, token=growing.token)
        await self._take(growing.fetcher, wanted, sink, received)
        return [growing.fetcher]

    async def _take(self, node: str, wanted: GetFile, sink: Sink, received: Callable[[int], None]) -> None:
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
        if head.length is not None and sink.size != head.length:
            raise PeerError(node, f"sent {sink.size} bytes of {head.length}")
        self.by_peer.add(node, 0, files=1)

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


def choose(holders: Iterable[Holder]) -> list[tuple[bytes, str]]:
    """(object, node) in the order in which to ask: the object that most hold first, and pieces never mix."""
    by_object: dict[tuple[bytes, int], list[str]] = {}
    for holder in holders:
        by_object.setdefault((holder.sha256, holder.size), []).append(holder.node)
    if not by_object:
        return []
    (sha256, _), nodes = max(by_object.items(), key=lambda item: len(item[1]))
    return [(sha256, node) for node in nodes]


async def read_small(answer: Answer) -> bytes:
    """The body of an answer to GetSmall. Raises PeerError."""
    data = b""
    async for piece in answer:
        data += piece
        if len(data) > MAX_SMALL_BODY:
            await answer.discard()
            raise PeerError(answer.node_id, f"sends more than {MAX_SMALL_BODY} bytes of small files")
    return data
