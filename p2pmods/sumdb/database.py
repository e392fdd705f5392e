"""The rule that keeps a cached database from ever breaking a client, as plans and their checks.

Kept are one signed head S, the heads H that local clients may hold, records, and `chain(x, S)` for S itself, every
head in H and every record x. A plan names the tiles it needs; its check takes their bytes, from anywhere, and
returns what they prove.

Advancing from S to T needs `chain(S, T)` and `chain(T, T)`, and nothing for H or the records: a tile of theirs that
is full in S never changes, and one that is partial in S lies on the right edge of S, thus in `chain(S, T)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, SumdbSecurityError
from p2pmods.sumdb.tiles import Position, Tile, chain, entry, parent, right_edge, tree_root, width_in
from p2pmods.sumdb.tlog import HASH_SIZE, subtree_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p2pmods.sumdb.records import Record
    from p2pmods.sumdb.tlog import Head

_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class ProvenHead:
    """A head whose right edge hashes to its root, and which contains the head held before it, if any.

    `tiles` are the proven tiles that came along, the right edge among them. Only `Advance.check` makes one.
    """

    head: Head
    tiles: Mapping[Tile, bytes]
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only Advance.check makes a ProvenHead")

    @property
    def edge(self) -> dict[Position, bytes]:
        """The tiles of the right edge, by their places."""
        return {tile.position: self.tiles[tile] for tile in right_edge(self.head.size)}


@dataclass(frozen=True, slots=True)
class Advance:
    """The step from the head `old` (None: the first one ever) to `new`, which is at least as large."""

    database: str
    old: Head | None
    new: Head
    tiles: tuple[Tile, ...] = field(init=False)

    def __post_init__(self) -> None:
        old_size = self.old.size if self.old else 0
        if old_size > self.new.size:
            raise ValueError("the newer head is the smaller one")
        wanted = set(right_edge(self.new.size))
        if old_size:
            wanted.update(chain(old_size, self.new.size))
        # Top down, so that each full tile comes after the one that proves it.
        object.__setattr__(self, "tiles", tuple(sorted(wanted, reverse=True)))

    def check(self, answers: Mapping[Tile, bytes]) -> ProvenHead:
        """Judge the bytes of all `tiles`.

        MalformedData when they are not what `new` signs: whoever sent them is wrong, not the database.
        SumdbSecurityError when they are, and do not contain `old`: the database signed two different logs.
        """
        proven = {tile.position: _exact(tile, answers[tile]) for tile in self.tiles}
        if tree_root(self.new.size, proven) != self.new.tree.root:
            raise MalformedData("tiles", f"they do not hash to the root of the tree of size {self.new.size}")
        for tile in self.tiles:
            if tile.is_full:
                check_full_tile(tile.position, proven[tile.position], proven[parent(tile.position)])
        if self.old is not None:
            check_contains(self.database, self.new, self.old, proven)
        by_tile = {tile: proven[tile.position] for tile in self.tiles}
        return ProvenHead(self.new, MappingProxyType(by_tile), _SEAL)


def check_full_tile(position: Position, hashes: bytes, parent_hashes: bytes) -> None:
    """Raises MalformedData unless the proven tile above states this full tile's hash."""
    if len(hashes) != 256 * HASH_SIZE or subtree_hash(hashes) != entry(parent_hashes, position[1]):
        level, index = position
        raise MalformedData("tile", f"{Tile(level, index, 256).path} is not the one that the tree contains")


def check_contains(database: str, newer: Head, older: Head, tiles: Mapping[Position, bytes]) -> None:
    """Raises SumdbSecurityError unless `older` is the beginning of `newer`.

    `tiles` hold `chain(older.size, newer.size)`, proven for `newer`.
    """
    root = tree_root(older.size, tiles)
    if root != older.tree.root:
        reason = (
            f"the tree of size {newer.size} does not contain the signed tree of size {older.size}: "
            f"its first {older.size} records hash to {root.hex()}, not {older.tree.root.hex()}"
        )
        raise SumdbSecurityError(database, older.note, newer.note, reason)


def check_record(record: Record, tile: bytes) -> None:
    """Raises MalformedData unless the proven level-0 tile above `record` holds its hash."""
    wanted = entry(tile, record.id)
    if len(wanted) != HASH_SIZE or record.leaf != wanted:
        raise MalformedData("record", f"number {record.id} of the log is another text")


def edge_position(position: Position, size: int) -> bool:
    """Whether the tile at `position` is partial, thus on the right edge, in a tree of `size` records."""
    return 0 < width_in(position, size) < 256


def _exact(tile: Tile, hashes: bytes) -> bytes:
    if len(hashes) != tile.size:
        raise MalformedData("tile", f"{tile.path} has {len(hashes)} bytes instead of {tile.size}")
    return hashes
