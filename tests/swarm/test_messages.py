"""News about pieces, in any slices, and the bounds of all messages about them."""

from __future__ import annotations

import pytest

from p2pmods.errors import MalformedData, P2pmodsError
from p2pmods.swarm.messages import GetVersions
from p2pmods.swarm.pieces import (
    MAX_PIECES,
    MAX_SPAN,
    STEP,
    Follow,
    GetPieces,
    Have,
    ListGrew,
    NewsReader,
    ObjectName,
    Others,
    Pieces,
    pack_news,
)
from p2pmods.wire.codec import MAX_MESSAGE, decode, encode

NAME = ObjectName("example.org/acme/widget", "v1.0.0", None, bytes(16))
NEWS = [ListGrew(0, bytes(64), None, bytes(32), bytes(64)), Have(b"\3"), Others((b"record",)), Have(b"")]


@pytest.mark.parametrize("slice_size", [1, 2, 3, 50, 10_000])
def test_news_arrive_in_any_slices(slice_size: int) -> None:
    data = b"".join(map(pack_news, NEWS))
    reader = NewsReader()
    heard = [news for at in range(0, len(data), slice_size) for news in reader.feed(data[at : at + slice_size])]
    assert heard == NEWS


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0",
        b"\0\1\xc1",
        pack_news(Pieces()),
        pack_news(GetVersions("a.example/b")),
        pack_news(NEWS[1])[:2] + b"\x92\x50\xc0",
    ],
)
def test_what_is_no_news_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedData):
        list(NewsReader().feed(data + bytes(10)))


def test_the_longest_messages_fit() -> None:
    encode(ListGrew(MAX_PIECES, bytes(STEP * 32), 1, bytes(32), bytes(64)))
    encode(Have(bytes(MAX_PIECES // 8)))
    assert len(encode(Others(tuple([bytes(640)] * 16)))) < MAX_MESSAGE
    encode(Follow(ObjectName("a" * 1024, "v" * 256, bytes(32), None), MAX_PIECES, bytes(640)))


def raw(*fields: object) -> bytes:
    import msgpack

    packed = msgpack.packb(list(fields))
    assert isinstance(packed, bytes)
    return packed


PLAIN = ["example.org/m", "v1.0.0", None, bytes(16)]


@pytest.mark.parametrize(
    "data",
    [
        raw(82, PLAIN, 0, MAX_SPAN + 1),
        raw(82, PLAIN, 0, 0),
        raw(82, PLAIN, MAX_PIECES, 1),
        raw(82, PLAIN, -1, 1),
        raw(82, ["example.org/m", "v1.0.0", None, None], 0, 1),
        raw(82, ["example.org/m", "v1.0.0", bytes(32), bytes(16)], 0, 1),
        raw(82, ["example.org/m", "v1.0.0", bytes(31), None], 0, 1),
        raw(77, PLAIN, MAX_PIECES + 1, b""),
        raw(77, PLAIN, 0, bytes(641)),
        raw(79, 0, bytes(33), None, bytes(32), bytes(64)),
        raw(79, 0, bytes((STEP + 1) * 32), None, bytes(32), bytes(64)),
        raw(79, 0, b"", None, bytes(31), bytes(64)),
        raw(80, bytes(MAX_PIECES // 8 + 1)),
        raw(81, [b"x"] * 17),
        raw(81, [bytes(641)]),
    ],
)
def test_bounds(data: bytes) -> None:
    with pytest.raises(MalformedData):
        decode(data)


def test_the_name_of_an_object_is_a_key() -> None:
    assert decode(encode(GetPieces(NAME, 0, 1))) == GetPieces(NAME, 0, 1)
    assert len({NAME, decode(encode(GetPieces(NAME, 0, 1))).name}) == 1
    assert str(NAME.key) == "example.org/acme/widget@v1.0.0.zip"
    with pytest.raises(P2pmodsError):
        _ = ObjectName("../x", "v1.0.0", None, bytes(16)).key
