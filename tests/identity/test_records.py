"""Records: nobody speaks for another node."""

from __future__ import annotations

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.identity.key import id_of_public, node_id, public_bytes, public_of_id
from p2pmods.identity.records import (
    DIRECTOR,
    MAX_ENDPOINTS,
    MAX_RECORD,
    SEED,
    Endpoint,
    NodeRecord,
    open_record,
    sign_record,
)
from p2pmods.identity.signing import check_signature, sign
from p2pmods.wire.codec import encode_part, evolve

ANN = Ed25519PrivateKey.from_private_bytes(bytes(32))
EVE = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
RECORD = NodeRecord(
    public_key=public_bytes(ANN),
    session=b"12345678",
    incarnation=3,
    endpoints=(Endpoint("192.0.2.7", 4242), Endpoint("2001:db8::1", 4242)),
    flags=DIRECTOR | SEED,
)


def test_a_record_is_read_as_it_was_signed() -> None:
    signed = sign_record(RECORD, ANN)
    assert open_record(signed.raw) == signed
    assert signed.record.node_id == node_id(ANN)
    assert signed.record.is_director


def test_nobody_signs_for_another() -> None:
    with pytest.raises(ValueError, match="its own node"):
        sign_record(RECORD, EVE)


def test_a_record_under_another_nodes_signature_is_refused() -> None:
    data = encode_part(RECORD)
    forged = _pack(data, sign(EVE, "node record", data))
    with pytest.raises(MalformedData, match="wrong signature"):
        open_record(forged)


def test_a_signature_for_another_purpose_is_refused() -> None:
    data = encode_part(RECORD)
    forged = _pack(data, sign(ANN, "suspicion", data))
    with pytest.raises(MalformedData, match="wrong signature"):
        open_record(forged)


@given(st.integers(0, 8 * len(sign_record(RECORD, ANN).raw) - 1))
def test_no_flipped_bit_passes(bit: int) -> None:
    raw = bytearray(sign_record(RECORD, ANN).raw)
    raw[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(MalformedData):
        open_record(bytes(raw))


def test_the_largest_record_fits() -> None:
    widest = tuple(
        Endpoint(f"2001:db8:1111:2222:3333:4444:5555:{i:x}fff", 65535) for i in range(1, MAX_ENDPOINTS + 1)
    )
    record = evolve(RECORD, incarnation=(1 << 64) - 1, endpoints=widest, flags=0xFFFF)
    assert len(sign_record(record, ANN).raw) <= MAX_RECORD


def test_what_is_longer_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedData, match="more than"):
        open_record(bytes(MAX_RECORD + 1))


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("0.0.0.0", 1),
        ("::", 1),
        ("224.0.0.251", 1),
        ("ff02::fb", 1),
        ("fe80::1", 1),
        ("fe80::1%eth0", 1),
        ("localhost", 1),
        ("", 1),
        ("192.0.2.07", 1),
        ("2001:DB8::1", 1),
        ("192.0.2.1", 0),
        ("192.0.2.1", 65536),
    ],
)
def test_an_address_that_others_cannot_dial_is_refused(host: str, port: int) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Endpoint(host, port)


def test_more_endpoints_than_allowed_are_refused() -> None:
    with pytest.raises(ValueError, match="endpoints"):
        evolve(RECORD, endpoints=RECORD.endpoints * MAX_ENDPOINTS)


def test_signatures_hold_for_their_bytes_key_and_purpose() -> None:
    signature = sign(ANN, "lease", b"data")
    check_signature(public_bytes(ANN), "lease", b"data", signature)
    for public, domain, data in (
        (public_bytes(EVE), "lease", b"data"),
        (public_bytes(ANN), "record", b"data"),
        (public_bytes(ANN), "lease", b"other"),
        (b"short", "lease", b"data"),
    ):
        with pytest.raises(MalformedData):
            check_signature(public, domain, data, signature)


def test_a_node_id_is_its_public_key() -> None:
    assert public_of_id(node_id(ANN)) == public_bytes(ANN)
    assert id_of_public(public_bytes(ANN)) == node_id(ANN)


@pytest.mark.parametrize(
    "text", ["", "a" * 51, "a" * 53, "A" * 52, "1" * 52, "é" * 52, node_id(ANN)[:-1] + "b", node_id(ANN)[:51] + "="]
)
def test_other_texts_are_no_node_ids(text: str) -> None:
    with pytest.raises(MalformedData, match="node id"):
        public_of_id(text)


def _pack(record: bytes, signature: bytes) -> bytes:
    return bytes(msgpack.packb([record, signature]))
