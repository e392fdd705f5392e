"""Messages: one meaning for every byte, and bounds before anything is built."""

from __future__ import annotations

import tracemalloc
from typing import Any

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import (
    MAX_MESSAGE,
    decode,
    decode_as,
    decode_part,
    encode,
    encode_part,
    evolve,
    message,
    part,
    registered,
)


@part
class Place:
    name: str = attrs.field(validator=at_most(8))
    port: int = attrs.field(validator=between(1, 65535))


@message(9_001)
class Everything:
    count: int
    digest: bytes = attrs.field(validator=size(4))
    note: str | None
    places: tuple[Place, ...]
    numbers: tuple[int, ...] = attrs.field(validator=at_most(3))
    flag: bool
    ratio: float
    best: Place | None


@message(9_002)
class Nothing:
    pass


FULL = Everything(5, b"abcd", "ü", (Place("here", 1), Place("", 65535)), (1, 2, 3), True, 0.5, Place("b", 2))
FIELDS: list[Any] = [9_001, 5, b"abcd", "ü", [["here", 1], ["", 65535]], [1, 2, 3], True, 0.5, ["b", 2]]


def altered(index: int, value: object) -> bytes:
    fields = list(FIELDS)
    fields[index] = value
    return bytes(msgpack.packb(fields))


def test_a_message_comes_back_as_it_was() -> None:
    assert decode(encode(FULL)) == FULL
    assert decode(encode(Nothing())) == Nothing()
    bare = evolve(FULL, note=None, places=(), numbers=(), best=None)
    assert decode_as(Everything, encode(bare)) == bare


def test_its_form_is_its_number_and_its_fields_in_order() -> None:
    assert msgpack.unpackb(encode(FULL)) == FIELDS


def test_a_part_comes_back_by_itself() -> None:
    assert decode_part(Place, encode_part(Place("x", 7))) == Place("x", 7)
    with pytest.raises(MalformedData, match="fields of a Place"):
        decode_part(Place, msgpack.packb(["x", 7, 7]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        bytes(msgpack.packb([])),
        bytes(msgpack.packb({})),
        bytes(msgpack.packb(9_001)),
        bytes(msgpack.packb([424_242, 1])),
        bytes(msgpack.packb([True])),
        bytes(msgpack.packb([b"9001"])),
        bytes(msgpack.packb(FIELDS[:-1])),
        bytes(msgpack.packb([*FIELDS, 0])),
        encode(FULL)[:-1],
        encode(FULL) + b"\0",
        altered(1, "5"),
        altered(1, 5.0),
        altered(1, True),
        altered(2, "abcd"),
        altered(2, b"abc"),
        altered(3, b"x"),
        altered(4, "no list"),
        altered(4, [["here", 0]]),
        altered(4, [["here", 65536]]),
        altered(4, [["far too long a name", 1]]),
        altered(4, [["here"]]),
        altered(4, [["here", 1, 1]]),
        altered(4, [None]),
        altered(4, {}),
        altered(5, [1, 2, 3, 4]),
        altered(5, b"123"),
        altered(6, 1),
        altered(7, 1),
        altered(7, float("nan")),
        altered(7, float("inf")),
        altered(8, []),
        altered(8, msgpack.ExtType(1, b"x")),
        altered(8, msgpack.Timestamp(0)),
    ],
    ids=repr,
)
def test_everything_else_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedData):
        decode(data)


def test_a_message_of_another_class_is_refused_where_one_is_awaited() -> None:
    with pytest.raises(MalformedData, match="a Nothing where a Everything should be"):
        decode_as(Everything, encode(Nothing()))


def test_what_is_too_long_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(MalformedData, match="more than 65536"):
        decode(bytes(MAX_MESSAGE + 1))
    with pytest.raises(ValueError, match="more than 65536"):
        encode(evolve(FULL, note="x" * MAX_MESSAGE))


@pytest.mark.parametrize(
    "unit", [b"\xdc\xff\xff", b"\xdc\x04\x00", b"\x91", b"\x80", b"\x90", b"\xde\x00\x00"], ids=repr
)
def test_a_bomb_takes_no_memory(unit: bytes) -> None:
    bomb = b"\xdc\x03\xe8" + unit * ((MAX_MESSAGE - 3) // len(unit))
    tracemalloc.start()
    try:
        with pytest.raises(MalformedData):
            decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_be_refused(data: bytes) -> None:
    try:
        found = decode(data)
    except MalformedData:
        return
    assert decode(encode(found)) == found


def test_two_messages_cannot_share_a_number() -> None:
    with pytest.raises(ValueError, match="both number 9001"):

        @message(9_001)
        class Other:
            pass

    assert registered()[9_001] is Everything


def test_a_value_out_of_bounds_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="port is 0"):
        Place("x", 0)
    with pytest.raises(ValueError, match="digest has length 3"):
        evolve(FULL, digest=b"abc")
