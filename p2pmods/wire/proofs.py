"""Messages 90 to 96: the checksum database among nodes. docs/protocol/proofs.md says who sends what, and when.

All of it is untrusted: an answer becomes something only when its receiver has proven it up to a signed tree head.
"""

from __future__ import annotations

from typing import Final

import attrs

from p2pmods.errors import P2pmodsError
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.bundle import MAX_LEVELS
from p2pmods.sumdb.tiles import FULL, Tile
from p2pmods.sumdb.tlog import HASH_SIZE
from p2pmods.wire.bounds import at_most, between
from p2pmods.wire.codec import message, part

MAX_NAME: Final = 256  # characters of a database's name
MAX_PATH: Final = 1024  # characters
MAX_VERSION: Final = 256  # characters
MAX_TEXT: Final = 8 << 10  # bytes of a record: two go.sum lines
MAX_NOTE: Final = 16 << 10  # bytes; the database's own are 200, and 100 witnesses would add 12,000
MAX_TILES: Final = 3 * MAX_LEVELS  # the chains of a record, the asker's head and the giver's: what sumdb.bundle plans
MAX_SIZE: Final = (1 << 63) - 1  # records

_number = between(0, MAX_SIZE)


def _check_hashes(_: object, attribute: attrs.Attribute[bytes], value: bytes) -> None:
    if not value or len(value) % HASH_SIZE or len(value) > FULL * HASH_SIZE:
        raise ValueError(f"{attribute.name} are {len(value)} bytes, no 1 to {FULL} hashes")


@part
class TileHashes:
    """A tile as it travels: as wide as it has hashes of 32 bytes."""

    level: int = attrs.field(validator=between(0, MAX_LEVELS - 1))
    index: int = attrs.field(validator=_number)
    hashes: bytes = attrs.field(validator=_check_hashes)

    @property
    def tile(self) -> Tile:
        return Tile(self.level, self.index, len(self.hashes) // HASH_SIZE)


@message(90)
class AskRecord:
    """Wants the RecordBundle of one module version. `size` is that of the asker's tree, 0 when it has none.

    `levels` says how many of the record's lowest tiles the asker may lack: it has all the tiles above them.
    """

    database: str = attrs.field(validator=at_most(MAX_NAME))
    path: str = attrs.field(validator=at_most(MAX_PATH))
    version: str = attrs.field(validator=at_most(MAX_VERSION))
    size: int = attrs.field(validator=_number)
    levels: int = attrs.field(validator=between(0, MAX_LEVELS))

    def __attrs_post_init__(self) -> None:
        try:
            ModuleVersion(self.path, self.version)
        except P2pmodsError as error:
            raise ValueError(str(error)) from error

    @property
    def module(self) -> ModuleVersion:
        return ModuleVersion(self.path, self.version)


@message(91)
class RecordBundle:
    """Record number `id` with its go.sum lines, the giver's signed tree head, and tiles as far as they fit."""

    id: int = attrs.field(validator=_number)
    text: bytes = attrs.field(validator=at_most(MAX_TEXT))
    note: bytes = attrs.field(validator=at_most(MAX_NOTE))
    tiles: tuple[TileHashes, ...] = attrs.field(validator=at_most(MAX_TILES))


@message(92)
class AskTile:
    """Wants the TileBytes of one tile, exactly so wide."""

    database: str = attrs.field(validator=at_most(MAX_NAME))
    level: int = attrs.field(validator=between(0, MAX_LEVELS - 1))
    index: int = attrs.field(validator=_number)
    width: int = attrs.field(validator=between(1, FULL))

    @property
    def tile(self) -> Tile:
        return Tile(self.level, self.index, self.width)


@message(93)
class TileBytes:
    """The hashes of the tile that was asked for."""

    hashes: bytes = attrs.field(validator=_check_hashes)


@message(94)
class AskHead:
    """Wants the HeadBundle: with a `size`, what leads from the asker's tree of that size to the giver's (0: from
    none); without, the note alone.
    """

    database: str = attrs.field(validator=at_most(MAX_NAME))
    size: int | None = attrs.field(validator=_number)


@message(95)
class HeadBundle:
    """The giver's signed tree head, and tiles as far as they are wanted and fit."""

    note: bytes = attrs.field(validator=at_most(MAX_NOTE))
    tiles: tuple[TileHashes, ...] = attrs.field(validator=at_most(MAX_TILES))


@message(96)
class NotHeld:
    """The answer to each of the questions when there is nothing to give, which says nothing about the database."""


Question = AskRecord | AskTile | AskHead
Reply = RecordBundle | TileBytes | HeadBundle | NotHeld
