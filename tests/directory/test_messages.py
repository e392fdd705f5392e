"""The messages: what is refused, and that the largest that a node makes fit."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.directory.messages import (
    MAX_AGE,
    MAX_AVOIDED,
    MAX_BATCH,
    MAX_DELTAS,
    MAX_ENTRUSTED,
    MAX_FOUND,
    MAX_FOUND_RECORDS,
    MAX_HOLDERS,
    MAX_NAME,
    MAX_SIZE,
    Advert,
    Advertised,
    Alone,
    Claim,
    Entrust,
    Entrusted,
    Found,
    Grant,
    Growing,
    Holder,
    Holding,
    Intend,
    Intended,
    Location,
    Lookup,
    Providers,
    Release,
    Renew,
    Stop,
    Terms,
    Wait,
)
from p2pmods.errors import MalformedData
from p2pmods.identity.records import MAX_RECORD
from p2pmods.testing.room import ABLE
from p2pmods.wire.codec import MAX_INT, MAX_MESSAGE, decode, encode, registered
from tests.directory.parts import ANN, KEY, holding

NODE = ANN.id
HOLDER = Holder(NODE, bytes(32), MAX_SIZE, MAX_AGE)
GROWING = Growing(NODE, bytes(16), MAX_SIZE)
TERMS = Terms(NODE, bytes(16), NODE, bytes(64))
RECORD = bytes(MAX_RECORD)
NAME = "x" * MAX_NAME

LARGEST = [
    Claim(NAME, ABLE, RECORD, (NODE,) * MAX_AVOIDED, bytes(16), True, NODE),
    Providers((HOLDER,) * MAX_HOLDERS, (RECORD,) * MAX_HOLDERS),
    Wait(GROWING, True, RECORD),
    Grant(TERMS),
    Alone(2000),
    Intend(KEY, TERMS, RECORD, bytes(16)),
    Intended(TERMS, (HOLDER,) * MAX_HOLDERS, (RECORD,) * MAX_HOLDERS),
    Renew(KEY, TERMS, MAX_SIZE, True, RECORD),
    Release(KEY, bytes(16), 3, holding()),
    Stop(KEY, bytes(16), GROWING, RECORD),
    Lookup((NAME,) * MAX_BATCH),
    Found((Location((HOLDER,) * MAX_FOUND, GROWING),) * MAX_BATCH, (RECORD,) * MAX_FOUND_RECORDS),
    Advert(bytes(8), MAX_INT - 1, True, RECORD, (holding(),) * MAX_DELTAS, (KEY,) * MAX_DELTAS),
    Advertised(bytes(8), MAX_INT),
    Entrust((NAME,) * MAX_ENTRUSTED),
    Entrusted(MAX_ENTRUSTED),
]


@pytest.mark.parametrize("message", LARGEST, ids=lambda message: type(message).__name__)
def test_the_largest_of_each_fits_and_comes_back_as_it_was(message: object) -> None:
    data = encode(message)
    assert len(data) <= MAX_MESSAGE
    assert decode(data) == message


def test_every_message_of_the_directory_is_tried_here() -> None:
    assert {type(m) for m in LARGEST} == {cls for number, cls in registered().items() if 40 <= number < 70}


REFUSED: list[tuple[str, list[Any]]] = [
    ("a holder that is no node", [41, [["x" * 52, bytes(32), 1, 1]], []]),
    ("a long hash", [41, [[NODE, bytes(33), 1, 1]], []]),
    ("a size above the largest zip", [41, [[NODE, bytes(32), MAX_SIZE + 1, 1]], []]),
    ("a negative size", [41, [[NODE, bytes(32), -1, 1]], []]),
    ("a negative age", [41, [[NODE, bytes(32), 1, -1]], []]),
    ("33 holders", [41, [[NODE, bytes(32), 1, 1]] * 33, []]),
    ("33 records", [41, [], [b""] * 33]),
    ("a record too long", [41, [], [bytes(MAX_RECORD + 1)]]),
    ("a short token", [42, [NODE, bytes(15), 0], False, None]),
    ("a flag that is a number", [42, [NODE, bytes(16), 0], 1, None]),
    ("terms without proof", [43, [NODE, bytes(16), NODE, b""]]),
    ("a long delay", [44, 2001]),
    ("a delay that is a float", [44, 1.0]),
    ("a module name too long", [40, "x" * (MAX_NAME + 1), [2, 3, 10], b"", [], None, False, None]),
    ("an upstream of an unknown class", [40, "a@v", [3, 3, 10], b"", [], None, False, None]),
    ("too many to avoid", [40, "a@v", [2, 3, 10], b"", [NODE] * 9, None, False, None]),
    ("avoiding what is no node", [40, "a@v", [2, 3, 10], b"", ["ann"], None, False, None]),
    ("a claimant that is no node", [40, "a@v", [2, 3, 10], b"", [], None, False, "ann"]),
    ("a stalled token too long", [40, "a@v", [2, 3, 10], b"", [], bytes(17), False, None]),
    ("a field too many", [44, 1, 1]),
    ("a field too few", [45, KEY]),
    ("a short key", [48, KEY[1:], bytes(16), 0, None]),
    ("an unknown end", [48, KEY, bytes(16), 4, None]),
    ("65 modules", [50, ["a@v"] * 65]),
    ("a module too long in a lookup", [50, ["x" * (MAX_NAME + 1)]]),
    ("six holders in a location", [51, [[[[NODE, bytes(32), 1, 1]] * 6, None]], []]),
    ("65 locations", [51, [[[], None]] * 65, []]),
    ("25 records found", [51, [], [b""] * 25]),
    ("257 additions", [52, bytes(8), 0, True, b"", [[KEY, bytes(32), 1]] * 257, []]),
    ("257 removals", [52, bytes(8), 0, True, b"", [], [KEY] * 257]),
    ("a removed key too long", [52, bytes(8), 0, True, b"", [], [bytes(17)]]),
    ("the last number there is", [52, bytes(8), MAX_INT, True, b"", [], []]),
    ("a short session", [53, bytes(7), 1]),
]


@pytest.mark.parametrize("fields", [fields for _, fields in REFUSED], ids=[what for what, _ in REFUSED])
def test_it_is_refused(fields: list[Any]) -> None:
    with pytest.raises(MalformedData):
        decode(msgpack.packb(fields))


@given(st.sampled_from(LARGEST), st.integers(0, 4000), st.integers(1, 255))
def test_a_byte_that_changed_makes_another_message_or_none(message: object, at: int, flip: int) -> None:
    data = bytearray(encode(message))
    data[at % len(data)] ^= flip
    try:
        decode(bytes(data))
    except MalformedData:
        return


def test_a_holding_is_bounded() -> None:
    with pytest.raises(ValueError):
        Holding(KEY, bytes(32), MAX_SIZE + 1)
