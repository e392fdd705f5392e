"""What nodes tell each other of the checksum database is bounded before anything is built of it."""

from __future__ import annotations

from typing import Any

import pytest

from p2pmods.errors import MalformedData
from p2pmods.sumdb.tiles import Tile
from p2pmods.wire.codec import MAX_MESSAGE, decode, encode, evolve
from p2pmods.wire.proofs import (
    MAX_NOTE,
    MAX_TEXT,
    MAX_TILES,
    AskHead,
    AskRecord,
    AskTile,
    HeadBundle,
    NotHeld,
    RecordBundle,
    TileBytes,
    TileHashes,
)

RECORD = AskRecord("sum.example.org", "github.com/BurntSushi/toml", "v1.2.0", 601, 8)
TILE = AskTile("sum.example.org", 1, 2, 256)
HEAD = AskHead("sum.example.org", 601)
BUNDLE = RecordBundle(300, b"text\n", b"note\n", (TileHashes(0, 1, b"\1" * 8192),))
MESSAGES = [
    RECORD,
    BUNDLE,
    TILE,
    TileBytes(b"\2" * 64),
    HEAD,
    AskHead("sum.example.org", None),
    HeadBundle(b"note\n", ()),
    NotHeld(),
]


@pytest.mark.parametrize("sent", MESSAGES)
def test_what_is_sent_arrives(sent: object) -> None:
    assert decode(encode(sent)) == sent


def test_a_message_names_its_tile_and_module() -> None:
    assert TILE.tile == Tile(1, 2, 256)
    assert BUNDLE.tiles[0].tile == Tile(0, 1, 256)
    assert str(RECORD.module) == "github.com/BurntSushi/toml@v1.2.0"


@pytest.mark.parametrize(
    ("sent", "field", "value"),
    [
        (RECORD, "database", "x" * 257),
        (RECORD, "path", "x.org/" + "y" * 1024),
        (RECORD, "path", "../../etc/passwd"),
        (RECORD, "path", "github.com/a\0b"),
        (RECORD, "version", "latest"),
        (RECORD, "version", "v1.2.0-" + "x" * 256),
        (RECORD, "size", -1),
        (RECORD, "size", 1 << 63),
        (RECORD, "levels", 9),
        (RECORD, "levels", -1),
        (TILE, "database", "x" * 257),
        (TILE, "level", 8),
        (TILE, "level", -1),
        (TILE, "index", 1 << 63),
        (TILE, "index", -1),
        (TILE, "width", 0),
        (TILE, "width", 257),
        (HEAD, "database", "x" * 257),
        (HEAD, "size", 1 << 63),
        (BUNDLE, "id", 1 << 63),
        (BUNDLE, "id", -1),
        (BUNDLE, "text", b"x" * (MAX_TEXT + 1)),
        (BUNDLE, "note", b"x" * (MAX_NOTE + 1)),
        (BUNDLE, "tiles", (TileHashes(0, 0, b"x" * 32),) * (MAX_TILES + 1)),
        (BUNDLE.tiles[0], "level", 8),
        (BUNDLE.tiles[0], "index", 1 << 63),
        (BUNDLE.tiles[0], "hashes", b"x" * 31),
        (BUNDLE.tiles[0], "hashes", b"x" * 8224),
        (TileBytes(b"x" * 32), "hashes", b""),
        (HeadBundle(b"", ()), "note", b"x" * (MAX_NOTE + 1)),
        (HeadBundle(b"", ()), "tiles", (TileHashes(0, 0, b"x" * 32),) * (MAX_TILES + 1)),
    ],
)
def test_what_is_out_of_bounds_is_no_message(sent: Any, field: str, value: object) -> None:
    with pytest.raises(ValueError):
        evolve(sent, **{field: value})


@pytest.mark.parametrize("sent", [message for message in MESSAGES if not isinstance(message, NotHeld)])
def test_a_cut_message_is_none(sent: object) -> None:
    data = encode(sent)
    for end in range(0, len(data), max(1, len(data) // 50)):
        with pytest.raises(MalformedData):
            decode(data[:end])


def test_the_largest_bundle_that_fits_is_sent() -> None:
    tiles = tuple(TileHashes(0, (1 << 63) - 1, b"x" * 8192) for _ in range(7))
    assert len(encode(RecordBundle((1 << 63) - 1, b"x" * 600, b"x" * 300, tiles))) <= MAX_MESSAGE
