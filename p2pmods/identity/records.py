"""What a node says of itself: its addresses and its abilities, signed. Others pass it on as they received it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import attrs

from p2pmods.errors import MalformedData
from p2pmods.identity.key import PUBLIC_SIZE, id_of_public, public_bytes
from p2pmods.identity.signing import SIGNATURE_SIZE, check_signature, sign
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import MAX_INT, decode_part, encode_part, part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SESSION_SIZE: Final = 8  # bytes
MAX_ENDPOINTS: Final = 8
MAX_RECORD: Final = 640  # bytes of a signed record, so that one fits a datagram beside its ping

DIRECTOR: Final = 1  # another node dialled its address back
SEED: Final = 2  # `p2pmods up --seed`: always on, with room
WIRED: Final = 4
MAINS: Final = 8  # not on battery

_DOMAIN: Final = "node record"


def _check_host(_: object, __: object, host: str) -> None:
    """A literal unicast address in its one spelling; link-local ones of IPv6 mean another machine on each link."""
    address = ipaddress.ip_address(host)
    link_local = address.version == 6 and address.is_link_local
    if str(address) != host or "%" in host or address.is_unspecified or address.is_multicast or link_local:
        raise ValueError("not an address that others can dial")


@part
class Endpoint:
    """Where a node listens: an IP address, as text, and a port."""

    host: str = attrs.field(validator=[at_most(39), _check_host])
    port: int = attrs.field(validator=between(1, 65535))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@part
class NodeRecord:
    """One node in one session, which begins with its process. Of one session the higher incarnation is right."""

    public_key: bytes = attrs.field(validator=size(PUBLIC_SIZE))
    session: bytes = attrs.field(validator=size(SESSION_SIZE))
    incarnation: int = attrs.field(validator=between(0, MAX_INT))
    endpoints: tuple[Endpoint, ...] = attrs.field(validator=at_most(MAX_ENDPOINTS))
    flags: int = attrs.field(validator=between(0, 0xFFFF))

    @property
    def node_id(self) -> str:
        return id_of_public(self.public_key)

    @property
    def is_director(self) -> bool:
        return bool(self.flags & DIRECTOR)


@part
class _Signed:
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))
    signature: bytes = attrs.field(validator=size(SIGNATURE_SIZE))


@attrs.frozen
class SignedRecord:
    """A record whose signature was checked, and `raw`, the bytes that others check again."""

    raw: bytes
    record: NodeRecord


def sign_record(record: NodeRecord, key: Ed25519PrivateKey) -> SignedRecord:
    """`record` signed by the node that it is about."""
    if record.public_key != public_bytes(key):
        raise ValueError("a record is signed by its own node")
    data = encode_part(record)
    raw = encode_part(_Signed(data, sign(key, _DOMAIN, data)))
    if len(raw) > MAX_RECORD:
        raise ValueError(f"a record of {len(raw)} bytes, more than {MAX_RECORD}")
    return SignedRecord(raw, record)


def open_record(raw: bytes) -> SignedRecord:
    """The record in `raw`. Raises MalformedData when it is malformed, or not signed by its own node."""
    if len(raw) > MAX_RECORD:
        raise MalformedData("node record", f"{len(raw)} bytes, more than {MAX_RECORD}")
    signed = decode_part(_Signed, raw)
    record = decode_part(NodeRecord, signed.record)
    check_signature(record.public_key, _DOMAIN, signed.record, signed.signature)
    return SignedRecord(raw, record)
