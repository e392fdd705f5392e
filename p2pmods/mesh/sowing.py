"""Where seeds come from: an object that others ask for becomes one, with the list of its pieces."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import StoreError
from p2pmods.identity.key import public_bytes
from p2pmods.mesh.giving import open_again
from p2pmods.mesh.growing import GrowthStopped
from p2pmods.mesh.seeds import Seed, Seeds, SeedStopped
from p2pmods.swarm.dealing import Dealing
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import PIECE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.giving import OpenFile, Shelf
    from p2pmods.mesh.growing import Growing, GrowingFiles
    from p2pmods.swarm.pieces import ObjectName

AHEAD: Final = 64  # pieces of a file that is held, hashed in one go
SWEEP: Final = 20.0  # seconds between two looks for seeds that nobody needs


class Sowing:
    """Of what grows here, and of what is on the shelf. `maker` signs the lists."""

    def __init__(self, growing: GrowingFiles, shelf: Shelf, maker: Ed25519PrivateKey) -> None:
        self.seeds = Seeds()
        self._growing = growing
        self._shelf = shelf
        self._maker = maker
        self._nursery: trio.Nursery

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled: keeps the lists of what is here up to date."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                while True:
                    await trio.sleep(SWEEP)
                    self.seeds.sweep()
        finally:
            self.seeds.close()

    async def seed_of(self, name: ObjectName, key: FileKey) -> Seed | None:
        """The seed there is, or a new one; None when nothing of the object is here."""
        seed = self.seeds.find(name)
        if seed is not None:
            return seed
        if name.token is not None:
            growing = await self._growing.find(key, name.token)
            found = self.seeds.find(name)
            return found or (self._grow(name, growing) if growing is not None else None)
        file = await open_again(self._shelf, key, name.sha256)
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
        seed = Seed(
            self._new_list(name),
            growing.reading(),
            maker=self._maker,
            dealing=Dealing(),
        )
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
                    seed.grew()
            seed.hold(growing.open())  # before the file is moved to its place
        except (GrowthStopped, StoreError) as error:
            seed.stop(str(error))
            return
        if rest:
            seed.pieces.append(hashlib.sha256(rest).digest())
        seed.pieces.finish(size)
        seed.is_needed = False
        seed.grew()

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
                    seed.grew()
                seed.pieces.finish(file.size)
                seed.is_needed = False
                seed.grew()
                while True:
                    await seed.wait()
            except (SeedStopped, OSError) as error:
                seed.stop(str(error))
