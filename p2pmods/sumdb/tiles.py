"""Tiles: the log's hashes in pieces of up to 256, and which of them prove what.

The tile (level L, index n, width W) holds the W hashes at tree level 8L that begin at index 256n. In a tree of size
N the width is `clamp((N >> 8L) - 256n, 0, 256)`. A tile narrower than 256 lies on the tree's right edge, and there
is at most one on each level; every other tile is full, never changes again, and is proven by one entry of the tile
above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, printable
from p2pmods.sumdb.tlog import EMPTY_ROOT, HASH_SIZE, node_hash, subtree_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

FULL: Final = 256

_PATH: Final = re.compile(
    r"8/(?P<level>0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?", re.ASCII
)
_MAX_LEVEL: Final = 7  # 256**8 records are more than any tree head can count

Position = tuple[int, int]  # (level, index)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile's place, and how many of its hashes are meant (1 to 256)."""

    level: int
    index: int
    width: int

    @property
    def position(self) -> Position:
        return (self.level, self.index)

    @property
    def is_full(self) -> bool:
        return self.width == FULL

    @property
    def size(self) -> int:
        """Bytes."""
        return self.width * HASH_SIZE

    @property
    def full(self) -> Tile:
        """The complete tile at the same place."""
        return Tile(self.level, self.index, FULL)

    @property
    def path(self) -> str:
        """`8/0/x001/x234/067.p/5`: what follows `tile/` in URLs and file names."""
        ending = "" if self.is_full else f".p/{self.width}"
        return f"8/{self.level}/{format_index(self.index)}{ending}"


def format_index(index: int) -> str:
    """`x001/x234/067` of 1234067."""
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups))


def parse_tile_path(path: str) -> Tile:
    """The tile that `path` (what follows `tile/`) names. Raises MalformedData unless it is written exactly so."""
    found = _PATH.fullmatch(path)
    if found is None or int(found["level"]) > _MAX_LEVEL:
        raise MalformedData("tile path", printable(path))
    index = int(found["index"].replace("x", "").replace("/", ""))
    width = int(found["width"] or FULL)
    tile = Tile(int(found["level"]), index, width)
    if width > FULL or tile.path != path:
        raise MalformedData("tile path", printable(path))
    return tile


def width_in(position: Position, size: int) -> int:
    """How many hashes the tile at `position` holds in a tree of `size` records; 0 when it does not exist yet."""
    level, index = position
    return max(0, min(FULL, (size >> 8 * level) - FULL * index))


def chain(record: int, size: int) -> tuple[Tile, ...]:
    """The tiles above record number `record`, lowest first, as they are in a tree of `size` records.

    They prove the record when `record < size`. With the size of an older tree for `record`, they hold all that
    the older tree's root is computed of; `chain(size, size)` is the right edge, which the root itself is made of.
    """
    tiles = []
    level = 0
    while size >> 8 * level:
        index = record >> 8 * (level + 1)
        width = width_in((level, index), size)
        if width:
            tiles.append(Tile(level, index, width))
        level += 1
    return tuple(tiles)


def right_edge(size: int) -> tuple[Tile, ...]:
    """The partial tiles of a tree of `size` records, lowest first: at most one on each level."""
    return chain(size, size)


def tree_root(size: int, tiles: Mapping[Position, bytes]) -> bytes:
    """The root of the tree of the first `size` records, from the tiles at `right_edge(size)`, which may be wider.

    Each tile of the edge is cut to its width in that tree. Its binary digits say which complete subtrees it
    holds, the largest first; the root joins all subtrees from right to left.
    """
    root = b""
    for tile in right_edge(size):
        hashes = tiles[tile.position]
        end = tile.width
        while end:
            length = end & -end
            subtree = subtree_hash(hashes[(end - length) * HASH_SIZE : end * HASH_SIZE])
            root = node_hash(subtree, root) if root else subtree
            end -= length
    return root or EMPTY_ROOT


def parent(position: Position) -> Position:
    """The tile with the entry that proves the full tile at `position`."""
    level, index = position
    return (level + 1, index >> 8)


def entry(tile: bytes, number: int) -> bytes:
    """The hash of child tile or record `number` in the tile above it."""
    at = (number & 0xFF) * HASH_SIZE
    return tile[at : at + HASH_SIZE]
