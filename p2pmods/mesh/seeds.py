"""Objects that this node gives pieces of: whole ones, those it fetches, and those it is gathering itself."""

from __future__ import annotations

import math
import os
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.store import fs
from p2pmods.swarm.bits import first_bits, span
from p2pmods.swarm.pieces import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.swarm.dealing import Dealing
    from p2pmods.swarm.piecelist import PieceList
    from p2pmods.swarm.pieces import ObjectName

MAX_SEEDS: Final = 64
LINGER: Final = 30.0  # seconds without anybody who follows, after which a seed may go


class SeedStopped(Exception):
    """Nothing more comes of it here; the text says why."""


class Seed:
    """One object. `have` are the pieces that are here, and `pieces` their list, which `maker` signs if it is ours.

    `read_at(offset, length)` finds the bytes until `hold` is called, and raises OSError, StoreError or SeedStopped.
    `on_follower` is told of each who begins to follow. `dealing` says who is shown what while the object arrives
    from upstream; without it everybody is shown everything.
    """

    def __init__(
        self,
        pieces: PieceList,
        read_at: Callable[[int, int], bytes],
        *,
        maker: Ed25519PrivateKey | None = None,
        on_follower: Callable[[str], None] = lambda _node: None,
        dealing: Dealing | None = None,
    ) -> None:
        self.pieces = pieces
        self.have = 0
        self.maker = maker
        self.followers: dict[str, bytes] = {}  # with their signed records
        self._given: Counter[str] = Counter()  # bytes, to each of them
        self.last_used = trio.current_time()
        self.is_needed = True  # the object is on its way here
        self._read_at = read_at
        self._on_follower = on_follower
        self._descriptor: int | None = None
        self.dealing = dealing
        self._stopped: str | None = None
        self._news = trio.lowlevel.ParkingLot()

    @property
    def name(self) -> ObjectName:
        return self.pieces.name

    @property
    def is_stopped(self) -> bool:
        return self._stopped is not None

    def grew(self) -> None:
        """All pieces of the list are here."""
        known = len(self.pieces.hashes)
        self.have = first_bits(known)
        if self.dealing is not None:
            self.dealing.grew(known, now=trio.current_time())
        self.changed()

    def shown_to(self, node: str) -> int:
        """The pieces that this follower may know of now."""
        if self.dealing is None:
            return self.have
        self.dealing.advance(now=trio.current_time())
        return self.have & self.dealing.shown_to(node)

    def sent(self, node: str, piece: int, size: int) -> None:
        """This one, of `size` bytes, went to `node`, which may have left meanwhile."""
        if node in self.followers:
            self._given[node] += size
        if self.dealing is not None:
            self.dealing.sent(node, piece, now=trio.current_time())
            self.changed()

    def holds(self, node: str, pieces: int) -> None:
        """A follower says that it has these."""
        if self.dealing is not None:
            self.dealing.holds(node, pieces, now=trio.current_time())
            self.changed()

    def changed(self) -> None:
        """There is news for those who follow."""
        self._news.unpark_all()

    def follow(self, node: str, record: bytes) -> None:
        self.followers[node] = record
        if self.dealing is not None:
            self.dealing.joined(node, now=trio.current_time())
        self.changed()
        self._on_follower(node)

    def unfollow(self, node: str) -> int:
        """The bytes that were sent to `node` while it followed."""
        self.followers.pop(node, None)
        self.last_used = trio.current_time()
        if self.dealing is not None:
            self.dealing.left(node, now=trio.current_time())
            self.changed()
        return self._given.pop(node, 0)

    def stop(self, reason: str) -> None:
        """Those who follow are told. Harmless when called again."""
        self._stopped = self._stopped or reason
        self.close()
        self.changed()

    async def wait(self) -> None:
        """For the next news. Raises SeedStopped."""
        self.check()
        ends = self.dealing.next_timer() if self.dealing is not None else math.inf
        with trio.move_on_at(ends):
            await self._news.park()
        self.check()

    def check(self) -> None:
        """Raises SeedStopped."""
        if self._stopped is not None:
            raise SeedStopped(self._stopped)

    def has_shown(self, node: str, first: int, count: int) -> bool:
        """Whether this follower may know of all of these pieces."""
        wanted = span(first, count)
        return node in self.followers and self.shown_to(node) & wanted == wanted

    def read(self, piece: int) -> bytes:
        """One piece that is here. Raises OSError, StoreError, SeedStopped."""
        self.check()
        if self._descriptor is None:
            return self._read_at(piece * PIECE, PIECE)
        return fs.pread(self._descriptor, piece * PIECE, PIECE)

    def hold(self, descriptor: int | None) -> None:
        """The file is complete and can be read here, wherever it is moved; the descriptor is the seed's own now."""
        self.close()
        self._descriptor = descriptor

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Seeds:
    """By the objects' names."""

    def __init__(self) -> None:
        self._seeds: OrderedDict[ObjectName, Seed] = OrderedDict()

    def find(self, name: ObjectName) -> Seed | None:
        seed = self._seeds.get(name)
        return None if seed is None or seed.is_stopped else seed

    def add(self, seed: Seed) -> None:
        """Takes the place of one of the same name; the idlest give way when there are many."""
        self.remove(seed.name, "it began anew")
        self._seeds[seed.name] = seed
        self.sweep()

    def remove(self, name: ObjectName, reason: str) -> None:
        """Harmless when there is none."""
        seed = self._seeds.pop(name, None)
        if seed is not None:
            seed.stop(reason)

    def sweep(self) -> None:
        """Let go what nobody follows, and what is too many."""
        idle = trio.current_time() - LINGER
        for name, seed in list(self._seeds.items()):
            unused = not seed.is_needed and not seed.followers
            if seed.is_stopped or (unused and (seed.last_used < idle or len(self._seeds) > MAX_SEEDS)):
                self.remove(name, "given long enough")

    def close(self) -> None:
        """The node stops."""
        for name in list(self._seeds):
            self.remove(name, "the node stops")
