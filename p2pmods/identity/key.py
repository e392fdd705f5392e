"""The node's own key, and the name that follows from it."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from p2pmods.errors import MalformedData, printable

SEED_SIZE: Final = 32  # bytes, RFC 8032
PUBLIC_SIZE: Final = 32  # bytes
NODE_ID_SIZE: Final = 52  # characters
_HEADER: Final = "p2pmods-ed25519-seed-v1:"


def node_id(key: Ed25519PrivateKey) -> str:
    """Unpadded lower-case base32 of the public key: 52 characters, which fit a DNS label."""
    return id_of_public(public_bytes(key))


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public key."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def id_of_public(public: bytes) -> str:
    """The node id of a public key of 32 bytes."""
    if len(public) != PUBLIC_SIZE:
        raise ValueError(f"a public key has {PUBLIC_SIZE} bytes, not {len(public)}")
    return base64.b32encode(public).decode("ascii").rstrip("=").lower()


def public_of_id(text: str) -> bytes:
    """The public key of a node id. Raises MalformedData for every text that is not exactly a node id."""
    try:
        public = base64.b32decode(f"{text.upper()}====") if len(text) == NODE_ID_SIZE else b""
    except (binascii.Error, ValueError):
        public = b""
    if len(public) != PUBLIC_SIZE or id_of_public(public) != text:
        raise MalformedData("node id", f"{printable(text, 80)!r} is none")
    return public


def format_key(seed: bytes) -> bytes:
    """The text of `identity.key` for a secret seed of 32 random bytes."""
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a seed has {SEED_SIZE} bytes, not {len(seed)}")
    return f"{_HEADER}{seed.hex()}{_checksum(seed)}\n".encode()


def parse_key(data: bytes) -> Ed25519PrivateKey:
    """The key in the text of `identity.key`. Raises MalformedData when a single bit of it is not as written."""
    try:
        text = data.decode("ascii")
        body = bytes.fromhex(text.removeprefix(_HEADER).rstrip("\n"))
    except ValueError:
        body = b""
    seed = body[:SEED_SIZE]
    if len(body) != SEED_SIZE + 4 or format_key(seed) != data:
        raise MalformedData("identity key", "it is not as p2pmods wrote it")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _checksum(seed: bytes) -> str:
    """Four bytes of the public key: another seed by accident would silently be another node."""
    return public_bytes(Ed25519PrivateKey.from_private_bytes(seed))[:4].hex()
