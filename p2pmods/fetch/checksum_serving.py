"""What this node tells its peers of the checksum database: proven parts that it holds, at once, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.sumdb.bundle import tiles_for_head, tiles_for_record
from p2pmods.sumdb.tiles import width_in
from p2pmods.wire.codec import MAX_MESSAGE
from p2pmods.wire.proofs import (
    MAX_NOTE,
    MAX_TEXT,
    AskHead,
    AskRecord,
    AskTile,
    HeadBundle,
    NotHeld,
    Question,
    RecordBundle,
    Reply,
    TileBytes,
    TileHashes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.fetch.checksum_records import Records
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.sumdb.tiles import Tile
    from p2pmods.sumdb.tlog import Head

_FRAME: Final = 64  # bytes of a bundle beside text, note and tiles
_TILE_FRAME: Final = 16  # bytes of a tile beside its hashes


class Replies:
    """Answers the questions of peers. Module paths that `may_name` refuses are private: of those nothing is held."""

    def __init__(self, log: CheckedLog, records: Records, may_name: Callable[[str], bool]) -> None:
        self._log = log
        self._records = records
        self._may_name = may_name

    def reply(self, question: Question) -> Reply:
        """Never fetches, never waits; reads at most some tiles from disk."""
        head = self._log.head
        if question.database != self._log.name or head is None or len(head.note) > MAX_NOTE:
            return NotHeld()
        if isinstance(question, AskRecord):
            return self._record(question.module, head, question.size, question.levels)
        if isinstance(question, AskTile):
            return self._tile(question.tile, head)
        return self._head(question, head)

    def _record(self, module: ModuleVersion, head: Head, asker: int, levels: int) -> Reply:
        proven = self._records.held(module) if self._may_name(module.path) else None
        if proven is None or len(proven.record.text) > MAX_TEXT:
            return NotHeld()
        record = proven.record
        wanted = tiles_for_record(record.id, head.size, asker, levels)
        tiles = self._held(wanted, MAX_MESSAGE - _FRAME - len(record.text) - len(head.note))
        return RecordBundle(record.id, record.text, head.note, tiles)

    def _tile(self, tile: Tile, head: Head) -> Reply:
        if width_in(tile.position, head.size) < tile.width:
            return NotHeld()
        held = self._log.held_tile(tile.position)
        return NotHeld() if held is None else TileBytes(held[: tile.size])

    def _head(self, question: AskHead, head: Head) -> Reply:
        wanted = () if question.size is None else tiles_for_head(head.size, question.size)
        return HeadBundle(head.note, self._held(wanted, MAX_MESSAGE - _FRAME - len(head.note)))

    def _held(self, wanted: Iterable[Tile], room: int) -> tuple[TileHashes, ...]:
        """Those of the tiles that are held and fit into a message that has `room` bytes left for them."""
        found: list[TileHashes] = []
        for tile in wanted:
            held = self._log.held_tile(tile.position)
            if held is None or tile.size + _TILE_FRAME > room:
                continue
            room -= tile.size + _TILE_FRAME
            found.append(TileHashes(tile.level, tile.index, held[: tile.size]))
        return tuple(found)
