"""Giving objects in pieces: news for those who follow, and the pieces that they ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import MalformedData, P2pmodsError, PeerError, StoreError
from p2pmods.identity.records import open_record
from p2pmods.mesh.following import follow
from p2pmods.mesh.growing import GrowthStopped
from p2pmods.mesh.seeds import Seed, SeedStopped
from p2pmods.mesh.turns import Turns
from p2pmods.swarm.bits import pack, unpack
from p2pmods.swarm.messages import BUSY, NOT_HELD, SHA256_SIZE, STOPPED
from p2pmods.swarm.pieces import (
    MAX_OTHERS,
    MAX_PIECES,
    Follow,
    Followed,
    GetPieces,
    Have,
    Others,
    Pieces,
    pack_news,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.giving import Giving
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.sowing import Sowing
    from p2pmods.mesh.standing import Standing
    from p2pmods.swarm.pieces import ListGrew

MAX_FOLLOWERS: Final = 24  # of one object; one more is only told of the others
TOGETHER: Final = 0.02  # seconds in which news comes together
SEND_TIME: Final = 20.0  # seconds for one request: the floor of 64 KiB/s for the largest, and a little

log = structlog.get_logger()


@dataclass(slots=True)
class _Told:
    """What one follower knows from us."""

    known: int  # hashes of the list
    is_list_complete: bool = False
    have: int = 0
    others: set[str] = field(default_factory=set)


class Seeding:
    """Handlers of Follow and GetPieces, under the rules and into the accounts of `giving`."""

    def __init__(
        self,
        links: Links,
        giving: Giving,
        sowing: Sowing,
        standing: Standing,
        strike: Callable[[str], None],
    ) -> None:
        """`strike` is told of whoever talks nonsense."""
        self._links = links
        self._giving = giving
        self._sowing = sowing
        self._standing = standing
        self._strike = strike
        self._turns = Turns()

    def serve(self) -> None:
        """Answer what comes over the links."""
        self._links.on(Follow, self.follow)
        self._links.on(GetPieces, self.pieces)

    async def follow(self, call: Call) -> None:
        """Answer a Follow."""
        asked: Follow = call.message
        try:
            key = asked.name.key
            if open_record(asked.record).record.node_id != call.peer:
                raise MalformedData("node record", "of another node")
        except P2pmodsError as error:
            await call.refuse(NOT_HELD, str(error))
            return
        if await self._giving.declines(call):
            return
        seed = await self._sowing.seed_of(asked.name, key)
        if seed is None:
            await call.refuse(NOT_HELD, "not here")
            return
        with self._giving.busy():
            await self._tell(call, seed, key)

    async def _tell(self, call: Call, seed: Seed, key: FileKey) -> None:
        told = _Told(call.message.known)
        if len(seed.followers) >= MAX_FOLLOWERS or call.peer in seed.followers:
            await call.reply_stream(Followed())
            await self._tell_others(call, seed, told)
            await call.end()
            return
        seed.follow(call.peer, call.message.record)
        try:
            async with trio.open_nursery() as nursery:
                if seed.dealing is not None:
                    nursery.start_soon(self._hear_of, seed, call.peer)
                await self._tell_all(call, seed, told)
                nursery.cancel_scope.cancel()
        finally:
            given = seed.unfollow(call.peer)
            if given:
                self._giving.by_peer.add(call.peer, 0, files=1)
                self._giving.on_given(call.peer, key, given)

    async def _tell_all(self, call: Call, seed: Seed, told: _Told) -> None:
        """Until the seed stops."""
        try:
            await call.reply_stream(Followed())
            while True:
                if not await self._tell_news(call, seed, told):
                    await seed.wait()
                    await trio.sleep(TOGETHER)
        except SeedStopped as error:
            await call.refuse(STOPPED, str(error))

    async def _tell_news(self, call: Call, seed: Seed, told: _Told) -> bool:
        """Whether there was any."""
        seed.check()
        part = None if told.is_list_complete else seed.pieces.part(told.known, seed.maker)
        if part is not None:
            told.known = part.start + len(part.hashes) // SHA256_SIZE
            told.is_list_complete = part.length is not None
            await call.send(pack_news(part))
        fresh = seed.shown_to(call.peer) & ~told.have
        if fresh:
            told.have |= fresh
            await call.send(pack_news(Have(pack(fresh, fresh.bit_length()))))
        return await self._tell_others(call, seed, told) or part is not None or bool(fresh)

    async def _tell_others(self, call: Call, seed: Seed, told: _Told) -> bool:
        fresh = [node for node in seed.followers if node not in told.others and node != call.peer][-MAX_OTHERS:]
        if fresh:
            told.others.update(fresh)
            await call.send(pack_news(Others(tuple([seed.followers[node] for node in fresh]))))
        return bool(fresh)

    async def pieces(self, call: Call) -> None:
        """Answer a GetPieces."""
        wanted: GetPieces = call.message
        seed = self._sowing.seeds.find(wanted.name)
        if seed is None or not seed.has_shown(call.peer, wanted.first, wanted.count):
            await call.refuse(NOT_HELD, "not here")
            return
        if await self._giving.declines(call):
            return
        if not self._turns.may_queue(call.peer):
            await call.refuse(BUSY, "gives enough already")
            return
        try:
            async with self._turns.turn(call.peer):
                with trio.fail_after(SEND_TIME):
                    await self._send(call, seed, wanted)
        except (SeedStopped, GrowthStopped, StoreError, OSError) as error:
            await call.refuse(STOPPED, str(error))
        except trio.TooSlowError:
            await call.refuse(BUSY, "took too long")

    async def _send(self, call: Call, seed: Seed, wanted: GetPieces) -> None:
        await call.reply_stream(Pieces())
        for piece in range(wanted.first, wanted.first + wanted.count):
            data = seed.read(piece)
            await self._giving.uploads.take(len(data))
            await call.send(data)
            seed.sent(call.peer, piece, len(data))
            self._giving.by_peer.add(call.peer, len(data))
        await call.end()

    async def _hear_of(self, seed: Seed, node: str) -> None:
        """What a follower has, for as long as it follows; one that does not say is dealt to all the same."""

        def hear(news: ListGrew | Have | Others) -> None:
            if isinstance(news, Have):
                seed.holds(node, unpack(news.pieces, MAX_PIECES))

        wanted = Follow(seed.name, len(seed.pieces.hashes), self._standing.record.raw)
        try:
            await follow(self._links, node, wanted, hear)
        except MalformedData as error:
            log.info("a peer's news about pieces make no sense", peer=node, reason=str(error))
            self._strike(node)
        except PeerError as error:
            log.debug("a peer does not say which pieces it has", peer=node, reason=str(error))
