"""The held part of a checksum database's log: one signed head S, and every tile proven against it.

A full tile is proven by its entry in the tile above, the partial ones together by S's root. What is on disk is
judged in the same way each time it is loaded: damage heals with the next fetch.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from p2pmods.errors import (
    MalformedData,
    PeerError,
    SourceError,
    StoreError,
    SumdbError,
    SumdbSecurityError,
    Unavailable,
)
from p2pmods.fetch.sharing import Sharing
from p2pmods.fetch.together import together
from p2pmods.sumdb.database import Advance, ProvenHead, check_contains, check_full_tile, edge_position
from p2pmods.sumdb.tiles import FULL, Position, Tile, chain, parent, right_edge, width_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from p2pmods.fetch.checksum_remote import LogSource
    from p2pmods.store.checksum_files import Alarm, ChecksumFiles
    from p2pmods.store.sumdb_directory import SumdbDirectory
    from p2pmods.sumdb.note import Verifier
    from p2pmods.sumdb.tlog import Head

TILES_IN_MEMORY: Final = 512  # full tiles of 8 KiB

T = TypeVar("T")


class CheckedLog:
    """Reads, fetches and proves tiles, and moves S forward, never back. `clients` is go's own cache, if known.

    What is missing comes from the `source` that each call names, and nothing from any source is kept or believed
    before it is proven. Errors: Unavailable or PeerError when tiles cannot be had from it, SumdbError when its tiles
    are wrong, SumdbSecurityError when the database signed two different logs; from then on it is frozen: what is held
    is served, nothing new gets in.
    """

    def __init__(
        self,
        verifier: Verifier,
        files: ChecksumFiles,
        clients: SumdbDirectory | None,
        *,
        nursery: trio.Nursery,
        on_alarm: Callable[[Alarm], None],
    ) -> None:
        self.verifier = verifier
        self.name = verifier.name
        self.alarm = files.load_alarm()
        self._files = files
        self._clients = clients
        self._on_alarm = on_alarm
        self._heads = {head.size: head for head in files.load_heads(verifier)}
        self._edge: ProvenHead | None = None
        self._tiles: OrderedDict[Position, bytes] = OrderedDict()
        self._sharing: Sharing[bytes] = Sharing(nursery, (SourceError, SumdbError, PeerError))
        self._moving = trio.Lock()

    @property
    def head(self) -> Head | None:
        """S."""
        return self._heads[max(self._heads)] if self._heads else None

    @property
    def heads(self) -> list[Head]:
        """H, the smallest first; S is the last."""
        return [self._heads[size] for size in sorted(self._heads)]

    def held_tile(self, position: Position) -> bytes | None:
        """The proven tile at its width in S, from memory or this node's files; None when it must be fetched."""
        head = self.head
        if head is None or not width_in(position, head.size):
            return None
        if edge_position(position, head.size):
            edge = self._held_edge(head)
            return None if edge is None else edge.edge[position]
        if position in self._tiles:
            self._tiles.move_to_end(position)
            return self._tiles[position]
        above = self.held_tile(parent(position))
        return None if above is None else self._proven_in(self._files, position, above)

    async def tile(self, position: Position, source: LogSource) -> bytes:
        """The proven tile at its width in S, with all above it, held from now on."""
        held = self.held_tile(position)
        if held is not None:
            return held
        # By source too: nobody is told of, or blamed for, what another source did.
        return await self._sharing.get((position, source), lambda: self._fetch_tile(position, source))

    async def merge(self, head: Head, source: LogSource) -> None:
        """Make `head` one of H, advancing S when it is newer."""
        async with self._moving:
            self.refuse_when_frozen()
            current = self.head
            if current is not None and head.size <= current.size:
                await self._add(head, current, source)
                return
            proven = await self._prove(Advance(self.name, current, head), source)
            await self._write(lambda: self._commit(proven.tiles, [*self.heads, head]))
            self._heads[head.size] = head
            self._edge = proven

    def compare(self, head: Head) -> None:
        """Freeze when `head` contradicts what is held; of a head that the held tiles cannot judge it says nothing."""
        ours = self._heads.get(head.size)
        if ours is not None and ours.tree != head.tree:
            reason = f"two signed trees of size {head.size} with different roots"
            raise self._freeze(SumdbSecurityError(self.name, ours.note, head.note, reason), {})
        current = self.head
        if ours is None and current is not None and 0 < head.size < current.size:
            tiles = {tile: self.held_tile(tile.position) for tile in chain(head.size, current.size)}
            held = {tile: data for tile, data in tiles.items() if data is not None}
            if len(held) == len(tiles):
                self._check_contains(current, head, held)

    def joins(self, head: Head) -> bool:
        """Whether all of `chain(head.size, S)` is held: a node with this head, S or older, can be led to S."""
        current = self.head
        return current is not None and all(
            self.held_tile(tile.position) is not None for tile in chain(head.size, current.size)
        )

    async def join(self, head: Head, source: LogSource) -> dict[Position, bytes]:
        """Hold all of `chain(head.size, S)` for a head that is not newer than S, and see that S contains it."""
        current = self.head
        assert current is not None
        wanted = chain(head.size, current.size)
        tiles = {tile: await self.tile(tile.position, source) for tile in reversed(wanted)}
        if head.size:
            self._check_contains(current, head, tiles)
        return {tile.position: data for tile, data in tiles.items()}

    def refuse_when_frozen(self) -> None:
        if self.alarm is not None:
            evidence = ", ".join(self.alarm.evidence)
            reason = f"frozen, nothing new is accepted: {self.alarm.reason} (see evidence/: {evidence})"
            raise SumdbSecurityError(self.name, b"", b"", reason)

    async def _fetch_tile(self, position: Position, source: LogSource) -> bytes:
        head = self.head
        assert head is not None
        if edge_position(position, head.size):
            proven = await self._prove(Advance(self.name, None, head), source)
            await self._write(lambda: self._files.save_tiles(proven.tiles))
            self._edge = proven
            return proven.edge[position]
        tile = Tile(*position, FULL)
        data = await self._from_clients(tile, source) or await self._from_source(tile, source)
        self._remember(position, data)
        await self._write(lambda: self._files.save_tiles({tile: data}))
        return data

    async def _from_clients(self, tile: Tile, source: LogSource) -> bytes | None:
        if self._clients is None or not any(self._clients.tiles(tile)):
            return None
        return self._proven_in(self._clients, tile.position, await self.tile(parent(tile.position), source))

    async def _from_source(self, tile: Tile, source: LogSource) -> bytes:
        """The tile and what proves it are fetched at the same time. A wrong answer is given a second chance."""
        got = await together(
            {
                "tile": lambda: self._ask(source, tile),
                "above": lambda: self.tile(parent(tile.position), source),
            }
        )
        try:
            check_full_tile(tile.position, got["tile"], got["above"])
            return got["tile"]
        except MalformedData:
            again = await self._ask(source, tile)
        try:
            check_full_tile(tile.position, again, got["above"])
        except MalformedData as error:
            raise SumdbError(f"{self.name}: {error}") from error
        return again

    async def _ask(self, source: LogSource, tile: Tile) -> bytes:
        try:
            return await source.tile(tile)
        except MalformedData as error:
            raise SumdbError(f"{self.name}: {error}") from error

    async def _prove(self, step: Advance, source: LogSource) -> ProvenHead:
        """Get the tiles of `step`, local ones first, and check them; when they fail, once more, all from `source`."""
        local = {tile: data for tile in step.tiles if (data := self._local(tile))}
        try:
            return self._check(step, local | await self._ask_all(source, set(step.tiles) - set(local)))
        except MalformedData:
            fetched = await self._ask_all(source, set(step.tiles))
        try:
            return self._check(step, fetched)
        except MalformedData as error:
            raise SumdbError(f"{self.name}: {error}") from error

    def _check(self, step: Advance, answers: Mapping[Tile, bytes]) -> ProvenHead:
        try:
            return step.check(answers)
        except SumdbSecurityError as error:
            raise self._freeze(error, answers) from None

    async def _ask_all(self, source: LogSource, tiles: set[Tile]) -> dict[Tile, bytes]:
        return await together({tile: partial(self._ask, source, tile) for tile in tiles})

    def _local(self, tile: Tile) -> bytes | None:
        directories = [self._files] if self._clients is None else [self._files, self._clients]
        return next((data for directory in directories for data in directory.tiles(tile)), None)

    async def _add(self, head: Head, current: Head, source: LogSource) -> None:
        self.compare(head)
        if head.size in self._heads or not head.size:
            return
        held = await self.join(head, source)
        edge = {tile: held[tile.position][: tile.size] for tile in right_edge(head.size)}
        heads = sorted([*self._heads.values(), head], key=lambda head: head.size)
        await self._write(lambda: self._commit(edge, heads))
        self._heads[head.size] = head

    def _check_contains(self, newer: Head, older: Head, tiles: Mapping[Tile, bytes]) -> None:
        try:
            check_contains(self.name, newer, older, {tile.position: data for tile, data in tiles.items()})
        except SumdbSecurityError as error:
            raise self._freeze(error, tiles) from None

    def _commit(self, tiles: Mapping[Tile, bytes], heads: Sequence[Head]) -> None:
        """Tiles first, then the heads: that file is the commit point."""
        self._files.save_tiles(tiles)
        self._files.save_heads(heads)

    def _freeze(self, error: SumdbSecurityError, tiles: Mapping[Tile, bytes]) -> SumdbSecurityError:
        alarm = self._files.freeze(error, tiles)
        if self.alarm is None:
            self.alarm = alarm
            self._on_alarm(alarm)
        return error

    def _held_edge(self, head: Head) -> ProvenHead | None:
        if self._edge is not None and self._edge.head == head:
            return self._edge
        step = Advance(self.name, None, head)
        try:
            self._edge = step.check({tile: next(self._files.tiles(tile), b"") for tile in step.tiles})
        except MalformedData:
            return None
        return self._edge

    def _proven_in(self, directory: SumdbDirectory, position: Position, above: bytes) -> bytes | None:
        for data in directory.tiles(Tile(*position, FULL)):
            try:
                check_full_tile(position, data, above)
            except MalformedData:
                continue
            if directory is self._files:
                self._remember(position, data)
            return data
        return None

    def _remember(self, position: Position, data: bytes) -> None:
        self._tiles[position] = data
        if len(self._tiles) > TILES_IN_MEMORY:
            self._tiles.popitem(last=False)

    async def _write(self, write: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(write)
        except StoreError as error:
            raise Unavailable("this node's disk", str(error)) from error
