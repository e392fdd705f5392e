"""Datagrams: members only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.wire.seal import MAX_DATAGRAM, MAX_PLAIN, seal, unseal

KEY = bytes(range(32))
NONCE = bytes(12)


def test_a_member_reads_what_another_sealed() -> None:
    assert unseal(KEY, seal(KEY, b"ping", NONCE)) == b"ping"
    assert unseal(KEY, seal(KEY, bytes(MAX_PLAIN), NONCE)) == bytes(MAX_PLAIN)


def test_a_sealed_datagram_fits_every_path() -> None:
    assert len(seal(KEY, bytes(MAX_PLAIN), NONCE)) == MAX_DATAGRAM
    with pytest.raises(ValueError, match="more than"):
        seal(KEY, bytes(MAX_PLAIN + 1), NONCE)


@given(st.integers(0, 8 * len(seal(KEY, b"ping", NONCE)) - 1))
def test_no_flipped_bit_passes(bit: int) -> None:
    sealed = bytearray(seal(KEY, b"ping", NONCE))
    sealed[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(MalformedData):
        unseal(KEY, bytes(sealed))


@pytest.mark.parametrize("data", [b"", b"p2p\x01", bytes(32), bytes(MAX_DATAGRAM + 1), b"p2p\x02" + bytes(60)])
def test_what_no_member_sealed_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedData):
        unseal(KEY, data)


def test_another_swarm_is_shut_out() -> None:
    with pytest.raises(MalformedData, match="not sealed with this swarm's key"):
        unseal(bytes(32), seal(KEY, b"ping", NONCE))
