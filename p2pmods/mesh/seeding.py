"""Giving objects in pieces: news for those who follow, and the pieces that they ask for."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import MalformedData, P2pmodsError, StoreError
from p2pmods.identity.key import public_bytes
from p2pmods.identity.records import open_record
from p2pmods.mesh.giving import open_again
from p2pmods.mesh.growing import GrowthStopped
from p2pmods.mesh.seeds import Seed, Seeds, SeedStopped
from p2pmods.mesh.turns import Turns
from p2pmods.swarm.bits import pack
from p2pmods.swarm.messages import BUSY, NOT_HELD, SHA256_SIZE, STOPPED
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import (
    MAX_OTHERS,
    PIECE,
    Follow,
    Followed,
    GetPieces,
    Have,
    Others,
    Pieces,
    pack_news,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.giving import Giving, OpenFile
    from p2pmods.mesh.growing import Growing
    from p2pmods.mesh.links import Links
    from p2pmods.swarm.pieces import ObjectName

MAX_FOLLOWERS: Final = 24  # of one object; one more is only told of the others
TOGETHER: Final = 0.02  # seconds in which news comes together
SEND_TIME: Final = 20.0  # seconds for one request: the floor of 64 KiB/s for the largest, and a little
AHEAD: Final = 64  # pieces of a file that is held, hashed in one go

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

    def __init__(self, giving: Giving, maker: Ed25519PrivateKey) -> None:
        self.seeds = Seeds()
        self._giving = giving
        self._maker = maker
        self._turns = Turns()
        self._given: Counter[tuple[ObjectName, str]] = Counter()  # bytes, by whom that follows what
        self._nursery: trio.Nursery

    def serve(self, links: Links) -> None:
        """Answer what comes over these links."""
        links.on(Follow, self.follow)
        links.on(GetPieces, self.pieces)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled: keeps the lists of what is here up to date."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                while True:
                    await trio.sleep(SEND_TIME)
                    self.seeds.sweep()
        finally:
            self.seeds.close()

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
        if not self._giving.policy.gives:
            await call.refuse(BUSY, "does not give at the moment")
            return
        seed = await self._seed_of(asked.name, key)
        if seed is None:
            await call.refuse(NOT_HELD, "not here")
            return
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
            await call.reply_stream(Followed())
            while True:
                if not await self._tell_news(call, seed, told):
                    await seed.wait()
                    await trio.sleep(TOGETHER)
        except SeedStopped as error:
            await call.refuse(STOPPED, str(error))
        finally:
            seed.unfollow(call.peer)
            given = self._given.pop((seed.name, call.peer), 0)
            if given:
                self._giving.by_peer.add(call.peer, 0, files=1)
                self._giving.on_given(call.peer, key, given)

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
        seed = self.seeds.find(wanted.name)
        if seed is None or call.peer not in seed.followers or not seed.has(wanted.first, wanted.count):
            await call.refuse(NOT_HELD, "not here")
            return
        if not self._giving.policy.gives or not self._turns.may_queue(call.peer):
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
            self._giving.by_peer.add(call.peer, len(data))
            self._given[seed.name, call.peer] += len(data)
        await call.end()

    # Where seeds come from

    async def _seed_of(self, name: ObjectName, key: FileKey) -> Seed | None:
        seed = self.seeds.find(name)
        if seed is not None:
            return seed
        if name.token is not None:
            growing = await self._giving.growing.find(key, name.token)
            found = self.seeds.find(name)
            return found or (self._grow(name, growing) if growing is not None else None)
        file = await open_again(self._giving.shelf, key, name.sha256)
        if file is None:
            return None
        begun = self.seeds.find(name)
        if begun is None:
            return self._open(name, file)
        file.close()
        return begun

    def _new_list(self, name: ObjectName) -> PieceList:
        return PieceList(name, public_bytes(self._maker))

    def _grow(self, name: ObjectName, growing: Growing) -> Seed | None:
        if not hasattr(os, "pread"):  # there reading would move the place where the next bytes are written
            return None
        seed = Seed(self._new_list(name), growing.reading(), maker=self._maker)
        self.seeds.add(seed)
        self._nursery.start_soon(self._list_growing, seed, growing)
        return seed

    async def _list_growing(self, seed: Seed, growing: Growing) -> None:
        """Keep the list of a file that is being fetched as long as the file."""
        rest = b""
        size = 0
        try:
            with growing.reader(0) as reader:
                async for data in reader:
                    size += len(data)
                    rest += data
                    while len(rest) >= PIECE:
                        seed.pieces.append(hashlib.sha256(rest[:PIECE]).digest())
                        rest = rest[PIECE:]
                    seed.grew(at_once=False)
            seed.hold(growing.open())  # before the file is moved to its place
        except (GrowthStopped, StoreError) as error:
            seed.stop(str(error))
            return
        if rest:
            seed.pieces.append(hashlib.sha256(rest).digest())
        seed.pieces.finish(size)
        seed.is_needed = False
        seed.grew(at_once=True)

    def _open(self, name: ObjectName, file: OpenFile) -> Seed:
        seed = Seed(
            self._new_list(name),
            lambda at, length: file.read(at, min(length, file.size - at)),
            maker=self._maker,
        )
        self.seeds.add(seed)
        self._nursery.start_soon(self._list_held, seed, file)
        return seed

    async def _list_held(self, seed: Seed, file: OpenFile) -> None:
        """The list of a whole file, and the file kept open as long as the seed lasts."""

        def hash_on(offset: int) -> list[bytes]:
            starts = range(offset, min(file.size, offset + AHEAD * PIECE), PIECE)
            return [hashlib.sha256(file.read(at, min(PIECE, file.size - at))).digest() for at in starts]

        with file:
            try:
                for offset in range(0, file.size, AHEAD * PIECE):
                    for digest in await trio.to_thread.run_sync(hash_on, offset):
                        seed.pieces.append(digest)
                    seed.grew(at_once=True)
                seed.pieces.finish(file.size)
                seed.is_needed = False
                seed.grew(at_once=True)
                while True:
                    await seed.wait()
            except (SeedStopped, OSError) as error:
                seed.stop(str(error))
