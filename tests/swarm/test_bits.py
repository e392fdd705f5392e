"""Sets of pieces behave as sets."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.swarm.bits import first_bits, lowest, pack, pieces_of, run_length, some_piece, span, unpack

SETS = st.sets(st.integers(0, 300), min_size=1)


def as_bits(pieces: set[int]) -> int:
    return sum(1 << piece for piece in pieces)


@given(SETS, st.integers(0, 1000))
def test_a_set_is_its_bits(pieces: set[int], seed: int) -> None:
    bits = as_bits(pieces)
    assert list(pieces_of(bits)) == sorted(pieces)
    assert lowest(bits) == min(pieces)
    assert some_piece(bits, Random(seed)) in pieces
    assert unpack(pack(bits, 301), 301) == bits
    first = min(pieces)
    run = run_length(bits, first, 16)
    assert all(first + i in pieces for i in range(run))
    assert run == 16 or first + run not in pieces


def test_every_piece_has_its_chance() -> None:
    assert {some_piece(0b1011, Random(seed)) for seed in range(50)} == {0, 1, 3}


def test_spans() -> None:
    assert span(2, 3) == 0b11100
    assert first_bits(0) == 0
    assert pack(0b1_0000_0001, 9) == b"\x01\x01"
    assert pack(0b11, 1) == b"\x01"


def test_pieces_beyond_the_object_are_refused() -> None:
    with pytest.raises(MalformedData, match="from 8 on"):
        unpack(b"\0\1", 8)
