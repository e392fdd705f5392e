"""Which tiles travel with a record or a head, so that a node with another head can prove it: the plans of a giver.

The giver has the tree of size `size`, the asker that of size `asker` (0: none yet). What travels is never more than a
proposal: the asker proves it by its own plans (database.py), and asks for what is missing tile by tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.sumdb.tiles import Tile, chain, right_edge, width_in

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LEVELS: Final = 8  # of tiles: 256**8 records are more than any tree head can count


def tiles_for_record(record: int, size: int, asker: int, levels: int = MAX_LEVELS) -> tuple[Tile, ...]:
    """What proves record number `record`, which is below `size`, to the asker: the most needed tiles first.

    An asker whose tree has the record keeps its own head and gets the `levels` lowest tiles of the record's chain as
    wide as they are in its own tree, without those that are narrower at the giver. Any other one has to come along to
    the giver's tree, and gets what that takes too.
    """
    if record < asker:
        return _as_wide_for(chain(record, min(size, asker)), asker)[:levels]
    return tuple(dict.fromkeys((*chain(record, size), *tiles_for_head(size, asker))))


def tiles_for_head(size: int, asker: int) -> tuple[Tile, ...]:
    """What leads the asker from its tree to the giver's: `chain(size, size)` and `chain(asker, size)`."""
    if asker >= size:
        return ()
    older = chain(asker, size) if asker else ()
    return tuple(dict.fromkeys((*right_edge(size), *older)))


def _as_wide_for(tiles: Iterable[Tile], asker: int) -> tuple[Tile, ...]:
    return tuple(tile for tile in tiles if width_in(tile.position, asker) == tile.width)
