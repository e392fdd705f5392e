"""Gathering an object in pieces, from all who have some of it, and giving what is here to those who want it too."""

from __future__ import annotations

import hashlib
import os
from functools import partial as with_first
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import MalformedData, PeerError, PeerRefused, StoreError
from p2pmods.identity.key import id_of_public
from p2pmods.identity.records import open_record
from p2pmods.mesh.desk import seconds_until
from p2pmods.mesh.following import follow
from p2pmods.mesh.piecerequest import get_pieces
from p2pmods.mesh.seeds import Seed
from p2pmods.mesh.tallies import Tallies
from p2pmods.swarm.bits import first_bits, unpack
from p2pmods.swarm.download import Download
from p2pmods.swarm.messages import BUSY
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import (
    MAX_PIECES,
    PIECE,
    Follow,
    Have,
    ListGrew,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from p2pmods.identity.records import SignedRecord
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.partial import Partial
    from p2pmods.mesh.seeds import Seeds
    from p2pmods.mesh.standing import Standing
    from p2pmods.swarm.download import Request
    from p2pmods.swarm.pieces import ObjectName, Others
    from p2pmods.wire.entropy import Entropy

NEIGHBOURS: Final = 14  # followed for one object
FORSAKEN: Final = 1.0  # seconds for which others may still have news when the fetcher is gone

log = structlog.get_logger()


class Gathering:
    """How this node gathers. `strike` is told who sent what is wrong."""

    def __init__(
        self,
        links: Links,
        seeds: Seeds,
        standing: Standing,
        entropy: Entropy,
        strike: Callable[[str], None],
    ) -> None:
        self.links = links
        self.seeds = seeds
        self.standing = standing
        self.by_peer = Tallies()
        self.entropy = entropy
        self.strike = strike

    async def gather(
        self,
        name: ObjectName,
        sources: Sequence[str],
        partial: Partial,
        received: Callable[[int], None],
        *,
        signer: bytes | None = None,
    ) -> list[str]:
        """The object into `partial`, which keeps its pieces for another try when this raises PeerError or StoreError.

        `signer` is the public key of whoever must have made the list, None when anybody may. `received(count)` is
        told of right bytes only. The ids of who answers for the list and of those who gave, the largest share last.
        """
        return await _Object(self, name, partial, received, signer).gather(sources)


class _Object:
    """One that is being gathered."""

    def __init__(
        self,
        node: Gathering,
        name: ObjectName,
        partial: Partial,
        received: Callable[[int], None],
        signer: bytes | None,
    ) -> None:
        self._node = node
        self._name = name
        self._partial = partial
        self._received = received
        self._list = PieceList(name, signer)
        self._fetcher = None if signer is None else id_of_public(signer)
        self._download = Download(node.entropy)
        self._seed = Seed(self._list, partial.room.read, on_follower=self._meet)
        self._neighbours: dict[str, trio.CancelScope] = {}
        self._left: set[str] = set()
        self._alive = trio.current_time()  # when something was under way last
        self._scopes: dict[int, trio.CancelScope] = {}  # of the requests under way
        self._changed = trio.lowlevel.ParkingLot()
        self._failure: Exception | None = None
        self._bringer = ""  # of what the present maker of the list signed first
        self._nursery: trio.Nursery

    async def gather(self, sources: Sequence[str]) -> list[str]:
        if hasattr(os, "pread"):  # elsewhere reading would move the place where the next piece is written
            self._node.seeds.add(self._seed)
        try:
            async with trio.open_nursery() as self._nursery:
                for node in sources[:NEIGHBOURS]:
                    self._meet(node)
                await self._go_on()
                self._nursery.cancel_scope.cancel()
            if self._failure is not None:
                raise self._failure
            self._settle()
        except BaseException:
            self._seed.stop("it is not gathered any more")
            raise
        culprit = self._who_answers_for_the_list()
        givers = self._download.givers() or [culprit]
        for giver in givers[:1]:
            self._node.by_peer.add(giver, 0, files=1)
        return [culprit, *reversed(givers)]

    def _who_answers_for_the_list(self) -> str:
        """Its maker; if nobody here ever spoke to that one, whoever brought it: makers cost nothing to invent."""
        assert self._list.signer is not None
        maker = id_of_public(self._list.signer)
        return maker if maker in self._left or maker in self._neighbours else self._bringer

    def _settle(self) -> None:
        """All pieces are here: others may have them, wherever the file goes."""
        assert self._list.length is not None
        self._partial.finish(self._list.length)
        self._seed.is_needed = False
        self._seed.hold(self._partial.room.open())
        self._tell()

    async def _go_on(self) -> None:
        while self._failure is None and not self._download.is_complete:
            now = trio.current_time()
            for request in self._download.next(now=now):
                self._scopes[id(request)] = trio.CancelScope()  # before it begins it may be of no use any more
                self._nursery.start_soon(self._get, request)
            if not self._neighbours or self._is_forsaken(now):
                self._failure = PeerError("", "nobody is left who gives pieces")
                return
            with trio.move_on_after(min(FORSAKEN, seconds_until(self._download.next_timer(now=now)))):
                await self._changed.park()

    def _is_forsaken(self, now: float) -> bool:
        """Whether the fetcher is gone, and nobody else has had anything new for a while."""
        if self._fetcher is None or self._fetcher in self._neighbours or not self._download.is_idle:
            self._alive = now
        return now >= self._alive + FORSAKEN

    def _tell(self) -> None:
        self._seed.have = self._download.have & first_bits(self._download.known)
        self._seed.changed()
        self._changed.unpark_all()

    # Neighbours

    def _meet(self, node: str) -> None:
        """Follow it, unless it is followed, or enough are."""
        known = node in self._neighbours or node in self._left or node == self._node.links.node_id
        if not known and len(self._neighbours) < NEIGHBOURS and not self._nursery.cancel_scope.cancel_called:
            self._neighbours[node] = trio.CancelScope()
            self._nursery.start_soon(self._stay_with, node)

    def _leave(self, node: str) -> None:
        """It is of no use for this object any more."""
        if node in self._neighbours:
            self._neighbours[node].cancel()

    async def _stay_with(self, node: str) -> None:
        try:
            with self._neighbours[node]:
                await self._follow(node)
        except MalformedData as error:
            log.info("a peer's news about pieces make no sense", peer=node, reason=str(error))
            self._node.strike(node)
        except PeerError as error:
            log.debug("a peer gives no more pieces", peer=node, reason=str(error))
        except StoreError as error:
            self._fail(error)
        finally:
            self._download.left(node)
            del self._neighbours[node]
            self._left.add(node)
            self._changed.unpark_all()

    async def _follow(self, node: str) -> None:
        """Until it says no more. Raises PeerError, MalformedData, StoreError."""
        wanted = Follow(self._name, len(self._list.hashes), self._node.standing.record.raw)
        joined = with_first(self._download.joined, node)
        await follow(self._node.links, node, wanted, with_first(self._hear, node), on_begun=joined)

    def _hear(self, node: str, news: ListGrew | Have | Others) -> None:
        if isinstance(news, ListGrew):
            self._extend(node, news)
        elif isinstance(news, Have):
            self._download.has(node, unpack(news.pieces, MAX_PIECES))
        else:
            self._others([open_record(raw) for raw in news.records])
        self._changed.unpark_all()

    def _extend(self, node: str, part: ListGrew) -> None:
        before, maker = len(self._list.hashes), self._list.signer
        if not self._list.extend(part):
            raise PeerError(node, "has another list of the pieces")
        if self._list.signer != maker:
            self._bringer = node
        known = len(self._list.hashes)
        kept = self._partial.find(self._list.hashes, before, known)
        self._download.known = known
        self._download.have |= kept
        self._download.is_list_complete = self._list.is_complete
        if kept:
            self._received(kept.bit_count() * PIECE)
        self._tell()

    def _others(self, records: Iterable[SignedRecord]) -> None:
        for record in records:
            self._node.standing.know(record)
            self._meet(record.record.node_id)

    # Pieces

    async def _get(self, request: Request) -> None:
        try:
            with self._scopes[id(request)]:
                await get_pieces(
                    self._node.links, self._name, request, self._list.length, with_first(self._put, request)
                )
        except PeerRefused as error:
            if error.code == BUSY:
                self._download.busy(request.node, now=trio.current_time())
            else:
                self._leave(request.node)
        except PeerError as error:
            log.debug("a peer gave no pieces", peer=request.node, reason=str(error))
            self._leave(request.node)
        except StoreError as error:
            self._fail(error)
        finally:
            del self._scopes[id(request)]
            self._download.ended(request)
            self._changed.unpark_all()

    def _put(self, request: Request, piece: int, data: bytes) -> None:
        digest = hashlib.sha256(data).digest()
        if digest != self._list.hashes[piece]:
            log.warning("a peer's piece is wrong", peer=request.node, object=self._name.path, piece=piece)
            self._node.strike(request.node)
            raise PeerError(request.node, "gives a wrong piece")
        self._node.by_peer.add(request.node, len(data))
        if not self._download.have >> piece & 1:
            self._partial.write_piece(piece, data, digest)
            self._received(len(data))
        for useless in self._download.arrived(request.node, piece, now=trio.current_time()):
            self._scopes[id(useless)].cancel()
        self._tell()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._changed.unpark_all()
